# SPDX-License-Identifier: Apache-2.0
"""Receipts of a wrong shape, signed as they are: only the shape gives them away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.corpus.making import (
    FIRST,
    HASH_A,
    SECOND,
    W3C,
    Case,
    Json,
    draft,
    envelope,
    full_draft,
    put,
    rotation,
    sign,
    spell,
    verdict_of,
    without,
)

SUBJECT = "/credentialSubject"
ACTION = "/credentialSubject/action"
OUTCOME = "/credentialSubject/outcome"
CHAIN = "/credentialSubject/chain"
GRANT = "/credentialSubject/authorization"
V1, V2, V3, V4 = (f"https://agentreceipts.ai/context/v{number}" for number in range(1, 5))


def refused(name: str, why: str, receipt: Json | bytes, *codes: str, **more: Any) -> Case:
    """Return a case that is refused."""
    data = receipt if isinstance(receipt, bytes) else spell(receipt)
    return Case(
        kind="receipt", name=name, why=why, data=data, codes=codes, verdict="refused", **more
    )


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _missing()
    yield from _types()
    yield from _values()
    yield from _versions()
    yield from _hashes()
    yield from _times()
    yield from _ids()
    yield from _nulls()


def _missing() -> Iterator[Case]:
    by_code = {
        "/@context": "CONTEXT_WRONG",
        "/type": "TYPE_WRONG",
        "/version": "VERSION_UNKNOWN",
        "/proof": "PROOF_MISSING",
        "/proof/type": "PROOF_TYPE",
        "/proof/proofPurpose": "PROOF_PURPOSE",
    }
    for pointer in (
        "/@context", "/id", "/type", "/version", "/issuer", "/issuer/id", "/issuanceDate",
        "/credentialSubject", f"{SUBJECT}/principal", f"{SUBJECT}/principal/id", ACTION,
        f"{ACTION}/id", f"{ACTION}/type", f"{ACTION}/risk_level", f"{ACTION}/timestamp", OUTCOME,
        f"{OUTCOME}/status", CHAIN, f"{CHAIN}/sequence", f"{CHAIN}/previous_receipt_hash",
        f"{CHAIN}/chain_id",
    ):  # fmt: skip
        name = f"missing{_dashed(pointer)}"
        code = by_code.get(pointer, "FIELD_MISSING")
        yield refused(name, f"{pointer} is missing.", sign(without(draft(name), pointer)), code)
    for pointer in (
        "/proof", "/proof/type", "/proof/created", "/proof/verificationMethod",
        "/proof/proofPurpose", "/proof/proofValue",
    ):  # fmt: skip
        name = f"missing{_dashed(pointer)}"
        code = by_code.get(pointer, "FIELD_MISSING")
        yield refused(name, f"{pointer} is missing.", without(sign(draft(name)), pointer), code)
    for pointer in (
        "/issuer/operator/name", f"{ACTION}/peer_credential/pid", f"{GRANT}/scopes",
        f"{SUBJECT}/delegation/delegator", f"{SUBJECT}/delegation/parent_receipt_id",
        f"{OUTCOME}/state_change/before_hash", f"{SUBJECT}/keyRotation/signed_with",
    ):  # fmt: skip
        name = f"missing{_dashed(pointer)}"
        made = sign(without(full_draft(name), pointer))
        why = f"{pointer} is missing, beside which others stand."
        yield refused(name, why, made, "FIELD_MISSING")
    name = "unknown-action-without-target"
    made = put(draft(name), ACTION + "/type", "unknown")
    made = sign(put(made, ACTION + "/risk_level", "medium"))
    yield refused(name, "An action of type unknown names no target.", made, "FIELD_MISSING")


def _dashed(pointer: str) -> str:
    text = pointer.replace("/credentialSubject/", "/").replace("@", "").replace("_", "-")
    return "".join("-" + c.lower() if c.isupper() else c for c in text.replace("/", "-"))


def _types() -> Iterator[Case]:
    for what, pointer, value in (
        ("sequence-as-text", CHAIN + "/sequence", "1"),
        ("sequence-as-float", CHAIN + "/sequence", 1.0),
        ("sequence-as-true", CHAIN + "/sequence", True),
        ("sequence-over-53-bits", CHAIN + "/sequence", 2.0**53),
        ("terminal-as-number", CHAIN + "/terminal", 1),
        ("terminal-as-text", CHAIN + "/terminal", "true"),
        ("reversible-as-text", OUTCOME + "/reversible", "yes"),
        ("reversible-as-number", OUTCOME + "/reversible", 1),
        ("window-as-text", OUTCOME + "/reversal_window_seconds", "30"),
        ("window-as-float", OUTCOME + "/reversal_window_seconds", 30.5),
        ("pid-as-text", ACTION + "/peer_credential", {"platform": "linux", "pid": "4711"}),
        ("id-as-number", "/id", 7),
        ("risk-as-number", ACTION + "/risk_level", 3),
        ("scopes-as-text", GRANT, {"scopes": "all", "granted_at": "2026-01-01T00:00:00Z"}),
        ("scope-as-number", GRANT, {"scopes": [1], "granted_at": "2026-01-01T00:00:00Z"}),
        ("target-as-array", ACTION + "/target", ["disk"]),
        ("issuer-as-text", "/issuer", "did:agent:sample"),
        ("subject-as-array", SUBJECT, []),
        ("runtime-as-text", "/issuer/runtime", "fast"),
        ("agent-id-as-number", "/issuer/runtime", {"agent_id": 7}),
        ("disclosure-as-text", ACTION + "/parameters_disclosure", "all"),
        ("context-item-as-number", "/@context", [W3C, V3, 3]),
        ("time-as-number", "/issuanceDate", 1767322801),
    ):
        name = f"type-{what}"
        why = f"{pointer} has another JSON type, and was signed with it."
        yield refused(name, why, sign(put(draft(name), pointer, value)), "FIELD_TYPE")
    for what, pointer, value, code in (
        ("version-as-number", "/version", 0.6, "VERSION_UNKNOWN"),
        ("type-as-text", "/type", "AgentReceipt", "TYPE_WRONG"),
        ("context-as-text", "/@context", W3C, "CONTEXT_WRONG"),
    ):
        name = f"type-{what}"
        why = f"{pointer} has another JSON type, and was signed with it."
        yield refused(name, why, sign(put(draft(name), pointer, value)), code)
    made = sign(draft("type-proof-as-text"))
    made = put(made, "/proof", made["proof"]["proofValue"])
    yield refused("type-proof-as-text", "/proof is no object.", made, "FIELD_TYPE")


def _values() -> Iterator[Case]:
    sealed = envelope("sealed")
    grant = {"scopes": [], "granted_at": "2026-01-01T00:00:00Z"}
    peer = {"platform": "linux", "pid": 1, "uid": -1}
    hand_over = rotation(FIRST, SECOND)
    for what, pointer, value in (
        ("terminal-false", CHAIN + "/terminal", False),
        ("sequence-zero", CHAIN + "/sequence", 0),
        ("sequence-negative", CHAIN + "/sequence", -1),
        ("chain-status", CHAIN, _closed("aborted")),
        ("outcome-status", OUTCOME + "/status", "ok"),
        ("risk", ACTION + "/risk_level", "extreme"),
        ("risk-in-capitals", ACTION + "/risk_level", "LOW"),
        ("principal-type", SUBJECT + "/principal/type", "Robot"),
        ("scopes-empty", GRANT, grant),
        ("correlation-empty", SUBJECT + "/correlation_id", ""),
        ("idempotency-empty", ACTION + "/idempotency_key", ""),
        ("uid-negative", ACTION + "/peer_credential", peer),
        ("drop-count-negative", ACTION + "/emitter_metadata", {"drop_count": -1}),
        ("window-negative", OUTCOME + "/reversal_window_seconds", -1),
        ("trusted-timestamp", ACTION + "/trusted_timestamp", "no base64"),
        ("disclosure-mixed", ACTION + "/parameters_disclosure", {"a": "1", "b": 2}),
        ("disclosure-null", ACTION + "/parameters_disclosure", {"a": None}),
        ("envelope-algorithm", ACTION + "/parameters_disclosure", sealed | {"alg": "rot13"}),
        ("envelope-version", OUTCOME + "/response_disclosure", sealed | {"v": "2"}),
        ("envelope-padded", OUTCOME + "/response_disclosure", sealed | {"ct": sealed["ct"] + "="}),
        ("envelope-two-recipients", OUTCOME + "/response_disclosure",
         sealed | {"recipients": sealed["recipients"] * 2}),
        ("response-disclosure-flat", OUTCOME + "/response_disclosure", {"a": "1"}),
        ("rotation-event", SUBJECT + "/keyRotation", hand_over | {"event_type": "revoked"}),
        ("rotation-signed-with-new", SUBJECT + "/keyRotation", hand_over | {"signed_with": "new"}),
    ):  # fmt: skip
        name = f"value-{what}"
        why = f"{pointer} holds a value that is not allowed there."
        yield refused(name, why, sign(put(draft(name), pointer, value)), "FIELD_VALUE")
    name = "status-without-terminal"
    made = sign(put(draft(name), CHAIN + "/status", "complete"))
    yield refused(name, "A status without terminal.", made, "CHAIN_STATUS_WITHOUT_TERMINAL")
    name = "genesis-with-hash"
    made = sign(put(draft(name), CHAIN + "/previous_receipt_hash", HASH_A))
    yield refused(name, "Sequence 1 names a predecessor.", made, "CHAIN_GENESIS_HASH")
    name = "null-link-later"
    made = sign(put(draft(name), CHAIN + "/sequence", 2))
    yield refused(name, "Sequence 2 names no predecessor.", made, "CHAIN_LINK_MISSING")
    for what, pointer in (("chain-id", CHAIN + "/chain_id"), ("issuer-id", "/issuer/id")):
        name = f"too-long-{what}"
        made = prove_named(put(draft(name), pointer, "x" * 1025))
        yield refused(name, f"{pointer} has 1025 characters.", made, "FIELD_TOO_LONG")


def prove_named(unsigned: Json) -> Json:
    """Return the signed receipt with the usual verification method, whatever the issuer says."""
    return put(sign(unsigned), "/proof/verificationMethod", "did:agent:sample#key-1")


def _closed(status: str) -> Json:
    return {
        "sequence": 1,
        "previous_receipt_hash": None,
        "chain_id": "chain-closed",
        "terminal": True,
        "status": status,
    }


def _versions() -> Iterator[Case]:
    for version in ("0.0.9", "0.7.0", "0.6", "v0.6.0", "9.9.9", ""):
        name = "version-" + (version.replace(".", "-") or "empty")
        made = sign(put(draft(name), "/version", version))
        yield refused(name, f"There is no version {version!r}.", made, "VERSION_UNKNOWN")
    for what, version, context in (
        ("v1-for-0-6-0", "0.6.0", [W3C, V1]),
        ("v2-for-0-6-0", "0.6.0", [W3C, V2]),
        ("v3-for-0-5-0", "0.5.0", [W3C, V3]),
        ("v3-for-0-1-0", "0.1.0", [W3C, V3]),
        ("v4", "0.6.0", [W3C, V4]),
        ("swapped", "0.6.0", [V3, W3C]),
        ("one", "0.6.0", [W3C]),
        ("none", "0.6.0", []),
        ("first-edition", "0.6.0", ["https://www.w3.org/2018/credentials/v1", V3]),
        ("slash", "0.6.0", [W3C, V3 + "/"]),
    ):
        name = f"context-{what}"
        made = sign(put(draft(name, version=version), "/@context", context))
        yield refused(name, f"@context does not go with {version}.", made, "CONTEXT_WRONG")
    for what, value in (
        ("other", ["Foo"]),
        ("swapped", ["AgentReceipt", "VerifiableCredential"]),
        ("third", ["VerifiableCredential", "AgentReceipt", "Foo"]),
        ("alone", ["VerifiableCredential"]),
        ("old-name", ["VerifiableCredential", "AIActionReceipt"]),
        ("none", []),
    ):
        name = f"kind-{what}"
        made = sign(put(draft(name), "/type", value))
        yield refused(name, f"type is {value}.", made, "TYPE_WRONG")


def _hashes() -> Iterator[Case]:
    for what, text in (
        ("md5", "md5:zzz"),
        ("upper-case", HASH_A.upper().replace("SHA", "sha")),
        ("short", HASH_A[:-1]),
        ("long", HASH_A + "0"),
        ("bare", HASH_A[7:]),
        ("line-feed", HASH_A + "\n"),
        ("empty", ""),
        ("other-digits", HASH_A[:-1] + "١"),
    ):
        name = f"hash-{what}"
        made = sign(put(draft(name), ACTION + "/parameters_hash", text))
        yield refused(name, f"parameters_hash is {text!r}.", made, "HASH_SHAPE")
    for pointer in (
        f"{SUBJECT}/intent/conversation_hash", f"{SUBJECT}/intent/reasoning_hash",
        f"{OUTCOME}/response_hash", f"{OUTCOME}/state_change/before_hash",
        f"{OUTCOME}/state_change/after_hash", f"{SUBJECT}/keyRotation/old_key_fingerprint",
        f"{SUBJECT}/keyRotation/new_key_fingerprint",
    ):  # fmt: skip
        name = f"hash-in{_dashed(pointer)}"
        made = sign(put(full_draft(name), pointer, "sha256:none"))
        yield refused(name, f"{pointer} is no hash.", made, "HASH_SHAPE")
    name = "hash-in-link"
    made = put(draft(name), CHAIN + "/sequence", 2)
    made = sign(put(made, CHAIN + "/previous_receipt_hash", HASH_A.upper()))
    yield refused(name, "previous_receipt_hash is no hash.", made, "HASH_SHAPE")


def _times() -> Iterator[Case]:
    for what, text in (
        ("30-february", "2026-02-30T00:00:00Z"),
        ("29-february", "2026-02-29T00:00:00Z"),
        ("29-february-1900", "1900-02-29T00:00:00Z"),
        ("31-april", "2026-04-31T00:00:00Z"),
        ("month-13", "2026-13-01T00:00:00Z"),
        ("day-0", "2026-01-00T00:00:00Z"),
        ("year-0", "0000-01-01T00:00:00Z"),
        ("hour-24", "2026-01-01T24:00:00Z"),
        ("second-60", "2026-12-31T23:59:60Z"),
        ("no-zone", "2026-01-01T00:00:00"),
        ("offset-24", "2026-01-01T00:00:00+24:00"),
        ("space", "2026-01-01 00:00:00Z"),
        ("lower-case", "2026-01-01t00:00:00z"),
        ("day-only", "2026-01-01"),
        ("ten-digits", "2026-01-01T00:00:00.1234567890Z"),
        ("no-digits", "2026-01-01T00:00:00.Z"),
        ("line-feed", "2026-01-01T00:00:00Z\n"),
        ("other-digits", "٢٠٢٦-01-01T00:00:00Z"),
        ("empty", ""),
    ):
        name = f"time-{what}"
        made = sign(put(draft(name), "/issuanceDate", text))
        yield refused(name, f"issuanceDate is {text!r}.", made, "TIMESTAMP_SHAPE")
    for pointer in (f"{ACTION}/timestamp", f"{GRANT}/granted_at", f"{GRANT}/expires_at"):
        name = f"time-in{_dashed(pointer)}"
        made = sign(put(full_draft(name), pointer, "2026-02-30T00:00:00Z"))
        yield refused(name, f"{pointer} names a day that is not.", made, "TIMESTAMP_SHAPE")
    made = sign(draft("time-in-proof-created"))
    made = put(made, "/proof/created", "2026-02-30T00:00:00Z")
    why = "/proof/created names a day that is not."
    yield refused("time-in-proof-created", why, made, "TIMESTAMP_SHAPE")


def _ids() -> Iterator[Case]:
    uuid = "0b8d2f3a-1111-4222-8333-444455556666"
    for what, text in (
        ("upper-case", f"urn:receipt:{uuid.upper()}"),
        ("line-feed", f"urn:receipt:{uuid}\n"),
        ("braces", f"urn:receipt:{{{uuid}}}"),
        ("no-dashes", f"urn:receipt:{uuid.replace('-', '')}"),
        ("other-urn", f"urn:uuid:{uuid}"),
        ("bare", uuid),
        ("empty", ""),
    ):
        name = f"id-{what}"
        made = sign(put(draft(name), "/id", text))
        yield refused(name, f"id is {text!r}.", made, "ID_SHAPE")
    for version in ("0.3.0", "0.4.0", "0.5.0", "0.6.0"):
        name = "id-free-" + version.replace(".", "-")
        made = sign(put(draft(name, version=version), "/id", "urn:receipt:nightly-1"))
        why = f"Ids are UUIDs from 0.3.0 on, so also in {version}."
        yield refused(name, why, made, "ID_SHAPE")
    for what, text in (("upper-case", f"act_{uuid.upper()}"), ("free", "act_1"), ("bare", uuid)):
        name = f"action-id-{what}"
        made = sign(put(draft(name), ACTION + "/id", text))
        yield refused(name, f"action.id is {text!r}.", made, "ID_SHAPE")
    for pointer in (f"{OUTCOME}/reversal_of", f"{SUBJECT}/delegation/parent_receipt_id"):
        name = f"id-in{_dashed(pointer)}"
        made = sign(put(full_draft(name), pointer, "urn:receipt:nightly-1"))
        yield refused(name, f"{pointer} is no receipt id.", made, "ID_SHAPE")
    name = "old-id-too-long"
    made = sign(put(draft(name, version="0.1.0"), "/id", "urn:receipt:" + "x" * 1024))
    yield refused(name, "An id of an old version, over 1024 characters.", made, "ID_SHAPE")


def _nulls() -> Iterator[Case]:
    accept = {"accept_nulls": True}
    spots = ("/issuer/name", "/issuer/runtime", f"{SUBJECT}/keyRotation", f"{CHAIN}/terminal",
             f"{ACTION}/tool_name", f"{OUTCOME}/error", f"{SUBJECT}/delegation")  # fmt: skip
    for name, options, code, verdict in (
        ("nulls-refused", {}, "FIELD_NULL", "refused"),
        ("nulls-accepted", accept, "nulls_normalised", "verified"),
    ):
        made = sign(draft(name))
        for spot in spots:
            made = put(made, spot, None)
        made = put(made, f"{ACTION}/target", {"system": "disk", "resource": None})
        honest = sign(put(draft(name), f"{ACTION}/target", {"system": "disk"}))
        made |= {"proof": honest["proof"]}
        why = f"Optional members are null, as some emitters write them; {verdict} here."
        codes = (code,) * (len(spots) + 1)
        yield Case(kind="receipt", name=name, why=why, data=spell(made), codes=codes,
                   verdict=verdict, options=options)  # fmt: skip
    name = "nulls-signed"
    made = sign(put(draft(name), "/issuer/name", None))
    why = "A null that was signed as a null: the protocol signs it as absent."
    yield refused(name, why, made, "FIELD_NULL", "SIGNATURE_INVALID")
    name = "nulls-accepted-and-changed"
    made = put(put(sign(draft(name)), "/issuer/name", None), f"{OUTCOME}/status", "failure")
    why = "Accepting nulls accepts no other change."
    yield refused(name, why, made, "nulls_normalised", "SIGNATURE_INVALID", options=accept)
    for pointer in ("/issuer", SUBJECT, CHAIN, f"{ACTION}/timestamp", "/proof/created"):
        name = f"null{_dashed(pointer)}"
        whole = draft(name)
        made = sign(whole if pointer.startswith("/proof") else put(whole, pointer, None))
        made = put(made, pointer, None)
        why = f"{pointer} is required: a null there is never accepted."
        yield refused(name, why, made, "FIELD_TYPE", options=accept)
    yield from _runtime_nulls()


def _runtime_nulls() -> Iterator[Case]:
    sent = {"agent_id": None, "agent_type": "general", "usage": None}
    signed = {"agent_type": "general", "usage": None}
    why = "Of runtime's members only agent_id and agent_type are declared: null there is absent."
    for name, options, codes in (
        ("null-agent-id", {}, ("FIELD_NULL",)),
        ("null-agent-id-accepted", {"accept_nulls": True}, ("nulls_normalised",)),
    ):
        made = put(sign(put(draft(name), "/issuer/runtime", signed)), "/issuer/runtime", sent)
        yield Case(kind="receipt", name=name, why=why, data=spell(made), codes=codes,
                   verdict=verdict_of(codes), options=options)  # fmt: skip
