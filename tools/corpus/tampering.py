# SPDX-License-Identifier: Apache-2.0
"""Receipts that somebody changed after they were signed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.corpus.making import HASH_A, HASH_B, Case, draft, full_draft, put, sign, without
from tools.corpus.shapes import ACTION, CHAIN, GRANT, OUTCOME, SUBJECT, refused


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _added()
    yield from _changed()
    yield from _coerced()
    yield from _proof()


def _added() -> Iterator[Case]:
    for what, place in (
        ("top", ""),
        ("issuer", "/issuer"),
        ("operator", "/issuer/operator"),
        ("principal", f"{SUBJECT}/principal"),
        ("action", ACTION),
        ("target", f"{ACTION}/target"),
        ("peer-credential", f"{ACTION}/peer_credential"),
        ("emitter-metadata", f"{ACTION}/emitter_metadata"),
        ("intent", f"{SUBJECT}/intent"),
        ("outcome", OUTCOME),
        ("state-change", f"{OUTCOME}/state_change"),
        ("authorization", GRANT),
        ("delegation", f"{SUBJECT}/delegation"),
        ("delegator", f"{SUBJECT}/delegation/delegator"),
        ("chain", CHAIN),
        ("rotation", f"{SUBJECT}/keyRotation"),
    ):
        name = f"added-to-{what}"
        made = put(sign(full_draft(name)), f"{place}/approved_by", "did:user:mallory")
        why = f"A member was added to {place or 'the receipt'} after signing."
        yield refused(name, why, made, "FIELD_UNKNOWN", "SIGNATURE_INVALID")
        name = f"unknown-in-{what}"
        made = sign(put(full_draft(name), f"{place}/approved_by", "did:user:bob"))
        why = f"{place or 'The receipt'} is closed: a member there that is signed is no better."
        yield refused(name, why, made, "FIELD_UNKNOWN")
    for what, place in (
        ("parameters-envelope", f"{ACTION}/parameters_disclosure"),
        ("response-envelope", f"{OUTCOME}/response_disclosure"),
        ("recipient", f"{OUTCOME}/response_disclosure/recipients/0"),
    ):
        name = f"added-to-{what}"
        made = put(sign(full_draft(name)), f"{place}/approved_by", "did:user:mallory")
        why = f"A member was added to {place} after signing."
        yield refused(name, why, made, "FIELD_VALUE", "SIGNATURE_INVALID")
    name = "added-to-proof"
    made = put(sign(draft(name)), "/proof/approved_by", "did:user:mallory")
    why = "The proof is not signed, and closed all the same."
    yield refused(name, why, made, "FIELD_UNKNOWN")
    name = "added-to-subject"
    made = put(sign(draft(name)), f"{SUBJECT}/approved_by", "did:user:mallory")
    why = "credentialSubject is open, and the signature covers what stands there."
    yield refused(name, why, made, "unrecognised_fields", "SIGNATURE_INVALID")
    name = "added-to-runtime"
    made = put(sign(full_draft(name)), "/issuer/runtime/approved_by", "did:user:mallory")
    yield refused(name, "runtime is open, and signed.", made, "SIGNATURE_INVALID")
    name = "added-null-to-runtime"
    made = put(sign(full_draft(name)), "/issuer/runtime/approved_by", None)
    why = "A null that was added to runtime is a change, whoever accepts nulls."
    options = {"accept_nulls": True}
    yield refused(name, why, made, "SIGNATURE_INVALID", options=options)


def _changed() -> Iterator[Case]:
    for what, pointer, value in (
        ("id", "/id", "urn:receipt:0b8d2f3a-1111-4222-8333-444455556666"),
        ("issuer-name", "/issuer/name", "Another agent"),
        ("date", "/issuanceDate", "2026-01-03T00:00:00.000Z"),
        ("date-respelled", "/issuanceDate", "2026-01-02T03:00:01Z"),
        ("principal", f"{SUBJECT}/principal/id", "did:user:mallory"),
        ("action-type", f"{ACTION}/type", "filesystem.file.modify"),
        ("target", f"{ACTION}/target/resource", "/srv/other.csv"),
        ("parameters-hash", f"{ACTION}/parameters_hash", HASH_B),
        ("status", f"{OUTCOME}/status", "failure"),
        ("response-hash", f"{OUTCOME}/response_hash", HASH_A),
        ("scopes", f"{GRANT}/scopes", ["files:read", "files:write"]),
        ("chain-id", f"{CHAIN}/chain_id", "chain-other"),
        ("runtime", "/issuer/runtime/usage/in", 13),
        ("version", "/version", "0.5.0"),
    ):
        name = f"changed-{what}"
        base = full_draft(name)
        base = put(base, f"{ACTION}/risk_level", "critical")
        made = put(sign(base), pointer, value)
        if pointer == "/version":
            made = put(made, "/@context/1", "https://agentreceipts.ai/context/v2")
        yield refused(name, f"{pointer} was changed.", made, "SIGNATURE_INVALID")
    for what, pointer in (
        ("correlation", f"{SUBJECT}/correlation_id"),
        ("error", f"{OUTCOME}/error"),
        ("authorization", GRANT),
        ("usage", "/issuer/runtime/usage"),
    ):
        name = f"removed-{what}"
        made = without(sign(full_draft(name)), pointer)
        yield refused(name, f"{pointer} was removed.", made, "SIGNATURE_INVALID")
    name = "changed-to-other-normal-form"
    made = put(draft(name), f"{ACTION}/target", {"resource": "caf\u00e9"})
    made = put(sign(made), f"{ACTION}/target/resource", "cafe\u0301")
    why = "Text that looks the same in another Unicode normal form is other text."
    yield refused(name, why, made, "SIGNATURE_INVALID")


def _coerced() -> Iterator[Case]:
    whole: dict[str, tuple[str, Any, Any]] = {
        "sequence-to-text": (f"{CHAIN}/sequence", 1, "1"),
        "sequence-to-true": (f"{CHAIN}/sequence", 1, True),
        "reversible-to-text": (f"{OUTCOME}/reversible", True, "yes"),
        "reversible-to-number": (f"{OUTCOME}/reversible", True, 1),
        "window-to-text": (f"{OUTCOME}/reversal_window_seconds", 30, "30"),
        "terminal-to-number": (f"{CHAIN}/terminal", True, 1),
        "uid-to-text": (f"{ACTION}/peer_credential/uid", 0, "0"),
    }
    for what, (pointer, signed, sent) in whole.items():
        name = f"coerced-{what}"
        made = put(sign(put(full_draft(name), pointer, signed)), pointer, sent)
        why = f"{pointer} was signed as {signed!r} and sent as {sent!r}: lax readers make it fit."
        yield refused(name, why, made, "FIELD_TYPE", "SIGNATURE_INVALID")
    for what, pointer, number in (
        ("sequence-to-float", f"{CHAIN}/sequence", 1.0),
        ("window-to-float", f"{OUTCOME}/reversal_window_seconds", 30.0),
    ):
        name = f"coerced-{what}"
        made = put(sign(full_draft(name)), pointer, number)
        why = f"{pointer} was sent as {number}: the canonical bytes are the same, the type is not."
        yield refused(name, why, made, "FIELD_TYPE")


def _proof() -> Iterator[Case]:
    for what, pointer, value, code in (
        ("type-rsa", "/proof/type", "RsaSignature2018", "PROOF_TYPE"),
        ("type-data-integrity", "/proof/type", "DataIntegrityProof", "PROOF_TYPE"),
        ("type-lower-case", "/proof/type", "ed25519signature2020", "PROOF_TYPE"),
        ("type-null", "/proof/type", None, "PROOF_TYPE"),
        ("purpose-authentication", "/proof/proofPurpose", "authentication", "PROOF_PURPOSE"),
        ("purpose-null", "/proof/proofPurpose", None, "PROOF_PURPOSE"),
        ("as-array", "/proof", [], "FIELD_TYPE"),
        ("value-as-number", "/proof/proofValue", 7, "FIELD_TYPE"),
    ):
        name = f"proof-{what}"
        made = put(sign(draft(name)), pointer, value)
        yield refused(name, f"{pointer} was rewritten; nothing signs it.", made, code)
    name = "proof-method-unexpected"
    made = sign(draft(name))
    options = {"verification_method": "did:agent:sample#key-2"}
    why = "proof.verificationMethod is not the one that the caller expects."
    yield refused(name, why, made, "PROOF_METHOD_UNEXPECTED", options=options)
    name = "proof-method-too-long"
    made = put(sign(draft(name)), "/proof/verificationMethod", "did:agent:sample#" + "x" * 1024)
    why = "proof.verificationMethod is longer than any name."
    yield refused(name, why, made, "FIELD_TOO_LONG")
