# SPDX-License-Identifier: Apache-2.0
"""Every finding code, what it means and what to do: `docs/reference/findings.md` comes from here.

UPPER CASE decides the verdict; lower case is an advisory, which an auditor reads and which leaves
the verdict alone. Codes are never renamed or reused.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from tallystick.errors import how_to_install

Severity = Literal["refused", "unchecked", "advisory"]


class Code(msgspec.Struct, frozen=True):
    """One finding code."""

    name: str
    severity: Severity
    summary: str
    remedy: str


_ISSUER = "Ask the issuer for the receipt as it was issued; do not repair it by hand."
_TAMPERED = "Treat the receipt as altered. Compare it with another copy, for example the issuer's."
_SENDER = "The software that wrote this receipt is at fault: report it to its author."
_CHAIN = "Ask the issuer or the store for the whole chain, in order, from sequence 1."
_KEY = "Get the issuer's public key from a source that you trust and pass it with --key or --trust."

_BUNDLE = "Treat the bundle as altered. Compare it with another copy, for example the solver's."
_ARTIFACT = "Treat the files as altered. Compare them with another copy, for example the solver's."

_REFUSED = {
    # The MALFORMED family: what was read is not one strict JSON value.
    "MALFORMED_JSON": ("The bytes are not JSON.", _ISSUER),
    "MALFORMED_ENCODING": (
        "The bytes are not plain UTF-8, or begin with a byte order mark.",
        _ISSUER,
    ),
    "MALFORMED_DUPLICATE_KEY": (
        "An object names the same key twice; parsers differ on which counts.",
        _TAMPERED,
    ),
    "MALFORMED_TRAILING_DATA": (
        "Something follows the JSON value.",
        "Put each receipt on its own line, or all into one array.",
    ),
    "MALFORMED_NUMBER": ("A number is NaN, infinite, or not exact in an IEEE 754 double.", _SENDER),
    "MALFORMED_SURROGATE": ("A text holds half of a surrogate pair.", _SENDER),
    "MALFORMED_DEPTH": ("Arrays and objects are nested deeper than the limit.", _SENDER),
    "MALFORMED_SIZE": (
        "A receipt is larger than the limit.",
        "Hash large payloads; do not carry them in a receipt.",
    ),
    "MALFORMED_NOT_OBJECT": ("The JSON value is not an object, so it is no receipt.", _ISSUER),
    "MALFORMED_VALUE": (
        "A Python value has no JSON form.",
        "Pass bytes, or dicts of plain JSON values.",
    ),
    # The MALFORMED family ends here. A daemon's store, beside its receipts:
    "STORE_COLUMN": (
        "A column of the store says something else than the receipt: lists and filters lie.",
        "Somebody wrote into the store. Trust the receipts that verify, and no list made from it.",
    ),
    "CHAIN_MISSING": (
        "A chain that others in the store speak of is not there, or not up to where they say.",
        "Receipts were removed, or the store is not whole: look for the missing chain in a backup.",
    ),
    "CHAIN_REPLACED": (
        "Another receipt stands where a chain says that it goes on from, or two go on from one root.",
        "Both were signed: ask the keeper of the key. Compare with a backup, or what a log holds.",
    ),
    "CHAIN_UNANNOUNCED": (
        "No other chain speaks of one that hangs below it, or that stands on an earlier key.",
        "The daemon says so first, always: somebody else who has the key wrote this chain.",
    ),
    "CHAIN_CUT": (
        "A chain is open below one that is closed.",
        "The daemon closes both at once: the end was removed. Look for it in a backup.",
    ),
    # Shape: the JSON is sound and the receipt is not.
    "FIELD_MISSING": ("A member that every receipt has is missing.", _TAMPERED),
    "FIELD_TYPE": (
        'A member has another JSON type, even if it looks alike ("1", 1.0, true for 1).',
        _TAMPERED,
    ),
    "FIELD_VALUE": ("A member has a value that is not allowed there.", _SENDER),
    "FIELD_UNKNOWN": ("A closed object has a member that the protocol does not know.", _TAMPERED),
    "FIELD_NULL": (
        "An optional member is null instead of absent.",
        "If the sender is known to write nulls, verify with --accept-nulls.",
    ),
    "FIELD_TOO_LONG": ("A text is longer than the limit.", _SENDER),
    "VERSION_UNKNOWN": (
        "The protocol version is none of 0.1.0 to 0.6.0.",
        "Update this verifier, if the version exists.",
    ),
    "CONTEXT_WRONG": ("@context is not the pair that goes with the version.", _TAMPERED),
    "TYPE_WRONG": ("type is not [VerifiableCredential, AgentReceipt].", _TAMPERED),
    "ID_SHAPE": ("An id is not of the protocol's shape (refused from version 0.3.0 on).", _SENDER),
    "HASH_SHAPE": ("A hash is not sha256: and 64 lower-case hex digits.", _SENDER),
    "TIMESTAMP_SHAPE": (
        "A timestamp is not RFC 3339, or names a day that does not exist.",
        _SENDER,
    ),
    # Proof and signature.
    "PROOF_MISSING": ("The receipt is not signed.", _ISSUER),
    "PROOF_TYPE": ("proof.type is missing or not Ed25519Signature2020.", _TAMPERED),
    "PROOF_PURPOSE": ("proof.proofPurpose is missing or not assertionMethod.", _TAMPERED),
    "PROOF_METHOD_UNEXPECTED": (
        "proof.verificationMethod is not the one that you expect.",
        "Check which key the issuer announces under which name.",
    ),
    "SIGNATURE_PREFIX": ("proofValue does not begin with u.", _TAMPERED),
    "SIGNATURE_PADDED": ("proofValue is padded with =.", _TAMPERED),
    "SIGNATURE_WHITESPACE": ("proofValue holds white space.", _TAMPERED),
    "SIGNATURE_ALPHABET": ("proofValue holds characters outside base64url.", _TAMPERED),
    "SIGNATURE_LENGTH": ("proofValue does not spell 64 bytes.", _TAMPERED),
    "SIGNATURE_TRAILING_BITS": (
        "proofValue has unused bits that are not zero: a second spelling.",
        _TAMPERED,
    ),
    "SIGNATURE_S_RANGE": (
        "The signature's S is not reduced: a second signature made from a first.",
        _TAMPERED,
    ),
    "SIGNATURE_R_SMALL_ORDER": (
        "The signature's R has small order or is not canonical.",
        _TAMPERED,
    ),
    "SIGNATURE_INVALID": (
        "The signature does not fit these bytes and this key.",
        "If no receipt of the chain verifies, check that the key is the issuer's: before a hand-over "
        "it was an earlier one. If others do, treat this one as altered, and compare it with another "
        "copy.",
    ),
    "KEY_WEAK": ("The public key has small order or is not canonical: anyone could sign.", _KEY),
    "KEY_CHANGED": (
        "Another trusted key signed in mid-chain without a hand-over.",
        "Ask the issuer: a key changes by a keyRotation receipt only.",
    ),
    "KEY_NOT_VALID_THEN": (
        "The receipt was issued outside of the key's validity in the trust file.",
        "Check the validity, and ask the issuer what happened.",
    ),
    # Chain.
    "CHAIN_GENESIS_SEQUENCE": (
        "The chain does not begin at sequence 1: its beginning is missing.",
        _CHAIN,
    ),
    "CHAIN_GENESIS_HASH": ("The first receipt names a predecessor.", _CHAIN),
    "CHAIN_GAP": ("One or more receipts are missing before this one.", _CHAIN),
    "CHAIN_REPEAT": ("A sequence number comes twice, or the order is wrong.", _CHAIN),
    "CHAIN_LINK_MISSING": (
        "A later receipt has null where the predecessor's hash belongs.",
        _CHAIN,
    ),
    "CHAIN_LINK_BROKEN": (
        "The receipt does not name the one before it: something was altered, removed or inserted.",
        _CHAIN,
    ),
    "CHAIN_MIXED": (
        "A receipt of another chain stands among those of one chain.",
        "Verify each chain by itself.",
    ),
    "CHAIN_UNKNOWN": (
        "The chain that you asked for is not in the input.",
        "Check the chain id for typing errors, and the export for completeness.",
    ),
    "CHAIN_AFTER_TERMINAL": ("A receipt follows the one that closed the chain.", _CHAIN),
    "CHAIN_STATUS_WITHOUT_TERMINAL": ("chain.status stands without chain.terminal.", _SENDER),
    "ISSUER_CHANGED": ("One chain holds receipts of several issuers.", _CHAIN),
    "ID_DUPLICATE": ("Two receipts have the same id.", _TAMPERED),
    "EXPECTED_LENGTH": ("The chain has another length than you expect.", _CHAIN),
    "EXPECTED_HEAD": ("The chain ends at another hash than you expect.", _CHAIN),
    "EXPECTED_TERMINAL": ("The chain is not closed, and you require that it is.", _CHAIN),
    "RESPONSE_MISMATCH": (
        "The response body is not the one whose hash was signed.",
        "Compare the body byte for byte; it is hashed in RFC 8785 form after redaction.",
    ),
    # Rotation and delegation.
    "ROTATION_ALGORITHM": ("A hand-over names an algorithm other than ed25519.", _SENDER),
    "ROTATION_OLD_KEY": (
        "A hand-over names another outgoing key than the one that the chain stands on.",
        _TAMPERED,
    ),
    "ROTATION_NEW_KEY": ("A hand-over's fingerprint is not that of its new key.", _TAMPERED),
    "ROTATION_KEY_ENCODING": ("A hand-over's new key is not 32 bytes in base64url.", _SENDER),
    "ROTATION_KEY_WEAK": ("A hand-over goes to a key with which anyone could sign.", _TAMPERED),
    "DELEGATION_PARENT_MISSING": (
        "The parent chain is here, and the receipt that delegated is not in it.",
        _CHAIN,
    ),
    "DELEGATION_DELEGATOR": ("The delegator is not the issuer of the parent chain.", _TAMPERED),
    "DELEGATION_CHANGED": (
        "A later receipt names another parent than the chain's first one.",
        _TAMPERED,
    ),
    "DELEGATION_LOOP": ("A chain is, through its parents, its own parent.", _TAMPERED),
    # The log of a collector.
    "LOG_MALFORMED": (
        "A checkpoint, proof, promise, sheet or entry of a log is not in its one form.",
        "Get the file again from the log; do not edit it.",
    ),
    "LOG_SIGNATURE": (
        "A file of a log is not signed by the key that you trust.",
        "Check that --vkey is this log's key. If it is, the file is not the log's word.",
    ),
    "LOG_ENTRY_MISMATCH": (
        "The log's entry is about another receipt than this one.",
        "Use the proof that belongs to the receipt; compare the receipt with another copy.",
    ),
    "LOG_NOT_INCLUDED": (
        "The path does not lead from the entry to the root that the log signed.",
        "Ask the log for a proof again. If it has none, keep the promise: it is evidence.",
    ),
    "LOG_PROMISE_MISMATCH": (
        "The log's promise is about another receipt than this one.",
        "Treat the receipt as not delivered, and deliver it again.",
    ),
    "LOG_PROMISE_BROKEN": (
        "The log signed a checkpoint that contradicts its promise.",
        "Keep all files: `tally log judge` tells anybody that the log is at fault.",
    ),
    "LOG_INCONSISTENT": (
        "Two checkpoints of one log contradict each other.",
        "Keep both notes and the proof: a log that shows two histories can be convicted.",
    ),
    "LOG_NOT_CONSISTENT": (
        "The path does not show that one checkpoint continues the other.",
        "Ask the log for the proof between these two sizes. If it has none, it has forked.",
    ),
    "LOG_HOLDS_MORE": (
        "The log holds later receipts of this chain: the end of the input was cut off.",
        "Ask whoever gave you the input for the rest; `tally export` fetches it from the log.",
    ),
    "LOG_HOLDS_OTHER": (
        "The log holds a receipt within this chain that the input does not, signed with its key.",
        "Where the input has a gap, get the receipt. Where it has another one, the issuer signed two "
        "histories: keep both.",
    ),
    # Evidence: a bundle, its manifest, and what a run left.
    "EVIDENCE_MALFORMED": (
        "A bundle is not in its one form, or lacks a part that every bundle has.",
        "Ask for the bundle again, and compare both; do not unpack and pack it anew.",
    ),
    "EVIDENCE_MANIFEST": (
        "The manifest, or the list that belongs to it, is not canonical or not of its schema.",
        _BUNDLE,
    ),
    "EVIDENCE_HASH": ("The file manifest.sha256 is not the hash of the manifest.", _BUNDLE),
    "EVIDENCE_SIGNATURE": ("A signature does not fit the manifest and its signer.", _BUNDLE),
    "EVIDENCE_SIGNER": (
        "Nobody whom you trust has signed the manifest.",
        "Check that --key is the solver's key. If it is, the bundle is not the solver's word.",
    ),
    "EVIDENCE_ARTIFACT_MISSING": ("A file that the manifest lists is not there.", _ARTIFACT),
    "EVIDENCE_ARTIFACT_EXTRA": ("There is a file that the manifest does not list.", _ARTIFACT),
    "EVIDENCE_ARTIFACT_CHANGED": ("A file is not the one whose hash was signed.", _ARTIFACT),
    "EVIDENCE_ARTIFACT_RENAMED": ("A file that the manifest lists has another path.", _ARTIFACT),
    "EVIDENCE_ARTIFACT_ORDER": (
        "The list of artefacts is not in the order of its paths, or names one twice.",
        _BUNDLE,
    ),
    "EVIDENCE_ARTIFACT_REFUSED": (
        "The folder holds what no manifest takes in: a link, a device, an ambiguous name.",
        "The run did not leave this. Find out who put it there.",
    ),
    "EVIDENCE_ROOT": ("The list of artefacts does not give the tree that was signed.", _BUNDLE),
    "EVIDENCE_SUMS": (
        "SHA256SUMS says something else than the manifest.",
        "Rely on the manifest; `tally evidence extract` writes the sums anew.",
    ),
    "EVIDENCE_INTENT": ("The intent is not the one that the manifest names.", _BUNDLE),
    "EVIDENCE_POLICY": ("The policy is not the one that the manifest names.", _BUNDLE),
    "EVIDENCE_DECISION": (
        "The decision contradicts itself, the run, or what the policy says of the intent.",
        "Hold it against the solver: it has signed what can't be.",
    ),
    "EVIDENCE_RECEIPTS_UNBOUND": (
        "The manifest of a run binds no chain of receipts.",
        "No solver of ours makes such evidence. Nothing shows what the run did, nor in which order.",
    ),
    "EVIDENCE_RECEIPTS_FOREIGN": (
        "The receipts are another run's: their decision is on another intent or run, or is absent.",
        "Hold it against the solver: it has signed another run's receipts as those of this one.",
    ),
    "EVIDENCE_RECEIPTS_CONTRADICTED": (
        "The receipts say that the intent was decided otherwise than the manifest says.",
        "Hold it against the solver: it has signed both.",
    ),
    "EVIDENCE_PREVIOUS": (
        "The manifest does not follow the one that it should follow.",
        "A bundle of this solver is missing in between, or it tells two histories.",
    ),
    "EVIDENCE_TIMES": (
        "The manifest's own times are out of order.",
        "Check the solver's clock; such a manifest proves no time.",
    ),
    "EVIDENCE_PROOF": (
        "The path does not lead from the artefact to the root that was signed.",
        "Ask for the proof again: `tally evidence prove` makes it from the bundle.",
    ),
    # Posts: what a solver committed to on chain, against the bundle.
    "POST_CONTRADICTED": ("The manifest says something else than the post that commits to it.", "Anyone can prove that on chain: `tally hub challenge --contradicts`."),
    "POST_EVIDENCE_MISMATCH": ("The post commits to another manifest than this bundle's.", "Ask the solver for the bundle of that post; `tally hub challenge --manifest` makes it."),
    "POST_SLASHED": ("The solver lost its stake over this post.", "Do not rely on it; the dispute's events say why."),
}  # fmt: skip
_UNCHECKED = {
    "NOTHING_TO_VERIFY": (
        "There is no receipt in the input. Nothing is not a proof.",
        "Check the path; at a collector, a token shows its own tenant's chains only.",
    ),
    "SOURCE_UNREADABLE": (
        "The input could not be read to its end.",
        "Check the path, or a collector's address, token and health, and that you may read there.",
    ),
    "KEY_MISSING": ("No key was given.", _KEY),
    "KEY_UNUSABLE": ("What was given as a key is not an Ed25519 public key.", _KEY),
    "KEY_UNKNOWN_ISSUER": ("The trust file has no key for this issuer.", _KEY),
    "CHAINS_OVER_LIMIT": (
        "The input holds more chains than the memory limit allows at once.",
        "Split the input by chain and verify the parts.",
    ),
    "REPEATS_UNCONFIRMED": (
        "What looks repeated could not be confirmed: there is too much of it, or the input can't be "
        "read twice alike.",
        "Verify a copy that nobody writes to; remove receipts that are really repeated.",
    ),
    "RESPONSE_UNREADABLE": (
        "A response body could not be read as strict JSON.",
        "Give each body as one JSON file named after its receipt.",
    ),
    "LOG_ENTRY_MISSING": (
        "The proof does not say when the receipt was logged, so its entry can't be computed.",
        "Give the promise too, or a proof with the entry in its `extra` line.",
    ),
    "LOG_PROOF_MISSING": (
        "Nothing was given that would show it.",
        "Ask the log: /log/proof/… gives proofs, /log/sheet its sheet.",
    ),
    "LOG_PROMISE_PENDING": (
        "The promise is sound, and no checkpoint shows yet whether it was kept.",
        "Ask again for a checkpoint and a proof once the promise is due.",
    ),
    "LOG_UNREADABLE": (
        "What the log holds could not be read to its end.",
        "Check the file or the address that --log names.",
    ),
    "LOG_UNCONFIRMED": (
        "Whether the log holds other receipts could not be told: there are too many, or the input "
        "can't be read twice alike.",
        "Verify fewer chains at once, from a file that nobody writes to.",
    ),
    "EVIDENCE_ARTIFACTS_ABSENT": (
        "The artefacts are not in the bundle, so they were not compared.",
        "Give the folder that holds them with --artifacts.",
    ),
    "EVIDENCE_RECEIPTS_ABSENT": (
        "The manifest binds a chain of receipts, and the bundle does not hold it.",
        "Ask the solver for a bundle with its receipts.",
    ),
    "EVIDENCE_INTENT_ABSENT": (
        "The bundle does not hold the intent, so nothing shows what was asked.",
        "Ask the solver, or the requester, for the intent.",
    ),
    "EVIDENCE_POLICY_ABSENT": (
        "The bundle does not hold the policy, so the decision was not made again.",
        "Ask the solver for the policy.",
    ),
    "EVIDENCE_SCHEME_UNAVAILABLE": (
        "A signature is of a kind that needs software which is not installed.",
        f"To check it, {how_to_install('evm')}.",
    ),
    "EVIDENCE_UNREADABLE": (
        "The bundle, or an artefact, could not be read to its end.",
        "Check the path, and that you may read there.",
    ),
    "POST_WITHOUT_BUNDLE": ("The bundle that the post commits to could not be had.", "Give it as PATH, or make the solver show it: `tally hub challenge --manifest`."),
}  # fmt: skip
_ADVISORY = {
    "incomplete_tool_roundtrip": ("A call was recorded as pending, and no result followed in its chain or the next.", "Expected when a process was killed in between; ask what the tool did."),
    "duplicate_idempotency_key": ("The same idempotency key comes more than once: a retry, or a doubled action.", "Compare the receipts to see whether the action ran twice."),
    "time_backwards": ("A receipt was issued earlier than the one before it.", "Check the issuer's clock."),
    "proof_metadata_unsigned": ("verificationMethod or created says something that no signed member confirms.", "Rely on the key, not on these members: anyone can rewrite them."),
    "unrecognised_fields": ("Signed members that this verifier does not know.", "They are covered by the signature; their meaning is not checked."),
    "id_shape_legacy": ("An id of an old version is not of the protocol's shape.", "Accepted up to 0.2.1, because published receipts have such ids."),
    "nulls_normalised": ("Optional nulls were read as absent, as you allowed.", "Ask the sender to leave them out: other verifiers refuse them."),
    "session_changed": ("issuer.session_id changes within the chain.", "Check that the sessions belong together."),
    "principal_changed": ("The principal changes within the chain.", "Check that the agent really served both."),
    "authorization_window": ("The action lies outside of the time that its authorization states.", "Ask by whose leave it was done."),
    "risk_below_taxonomy": ("The stated risk is lower than the taxonomy's for this action.", "Judge the action by the taxonomy."),
    "delegation_unresolved": ("The parent chain is not in the input.", "Verify it together with this one to check the link."),
    "response_not_committed": ("A response body was supplied, and the receipt has no hash of one.", "The body proves nothing; ignore it."),
    "log_lacks": ("The log holds less of this chain than the input.", "Deliver what is missing; what no log holds, nobody else can confirm."),
    "log_unsigned": ("The log holds receipts of this chain that the chain's key did not sign.", "Collectors take whatever they are sent: such receipts prove nothing."),
    "evidence_in_future": ("The manifest says that it was made later than now.", "Check the solver's clock, and yours."),
    "evidence_log_unseen": ("The bundle holds proofs of a log, and no key of a log was given.", "Give the log's key with --vkey to have them checked."),
    "evidence_no_decision": ("The bundle was made of a folder: nothing was asked, decided or run.", "It shows who vouched for these files and nothing of how they came to be."),
    "evidence_previous_unseen": ("The manifest names one before it, which was not compared.", "Give the bundle before this one with --previous."),
    "evidence_signer_unlisted": ("Somebody whom you did not name has signed, too.", "Nothing depends on it: a signer that you named has signed."),
    "post_disputed": ("A dispute about the post is open.", "Wait for its end; `tally hub show` has its time."),
    "post_pending": ("The post can still be disputed: its window is open.", "Verify again when it is final."),
    "post_signer_other": ("The post's operator has not signed the manifest itself.", "It signed the post, which commits to the manifest."),
    "post_unresolved": ("The arbitrators did not decide: everybody got back what was theirs.", "Judge by the evidence."),
    "response_unused": ("A response body belongs to no receipt of the input.", "Check the file's name."),
}  # fmt: skip

_TABLES: Final[dict[Severity, dict[str, tuple[str, str]]]] = {
    "refused": _REFUSED,
    "unchecked": _UNCHECKED,
    "advisory": _ADVISORY,
}
CODES: Final = {
    name: Code(name, severity, summary, remedy)
    for severity, table in _TABLES.items()
    for name, (summary, remedy) in table.items()
}
