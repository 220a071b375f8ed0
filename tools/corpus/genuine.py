# SPDX-License-Identifier: Apache-2.0
"""Receipts that verify: every version, every member, and every spelling that JSON allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import rfc8785
from tools.corpus.making import (
    FIRST,
    HASH_A,
    HASH_B,
    SECOND,
    VERSIONS,
    Case,
    Json,
    draft,
    envelope,
    full_draft,
    put,
    sign,
    spell,
    uuid,
)

RUNTIME = "/issuer/runtime"
ACTION = "/credentialSubject/action"
OUTCOME = "/credentialSubject/outcome"


def good(name: str, why: str, data: bytes, *codes: str, **more: Any) -> Case:
    """Return a case that verifies; `codes` are advisories."""
    return Case(kind="receipt", name=name, why=why, data=data, codes=codes, **more)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _versions()
    yield from _members()
    yield from _spellings()
    yield from _runtimes()
    yield from _times()
    yield from _advisories()


def _versions() -> Iterator[Case]:
    news: dict[str, tuple[str, str, Any]] = {
        "0.1.0": ("the base shape", OUTCOME + "/reversible", True),
        "0.2.0": ("response_hash", OUTCOME + "/response_hash", HASH_A),
        "0.2.1": (
            "the flat disclosure of that time",
            ACTION + "/parameters_disclosure",
            {"command": "echo build", "user": "ci"},
        ),
        "0.3.0": ("a disclosure envelope", ACTION + "/parameters_disclosure", envelope("0.3.0")),
        "0.4.0": ("an idempotency key", ACTION + "/idempotency_key", "request-1"),
        "0.5.0": ("issuer.runtime", RUNTIME, {"agent_id": "sub-1", "trace": {"id": 7}}),
        "0.6.0": ("a response envelope", OUTCOME + "/response_disclosure", envelope("0.6.0")),
    }
    assert tuple(news) == VERSIONS
    for version, (what, pointer, value) in news.items():
        name = "genuine-" + version.replace(".", "-")
        receipt = sign(put(draft(name, version=version), pointer, value))
        yield good(name, f"A genuine receipt of version {version}, with {what}.", spell(receipt))


def _members() -> Iterator[Case]:
    full = sign(full_draft("every-member"))
    yield good("every-member", "A genuine receipt with every member there is.", spell(full))
    receipt = sign(put(draft("tool-name"), ACTION + "/tool_name", "read_file"))
    why = "action.tool_name, which emitters in the field write, is signed and known."
    yield good("tool-name", why, spell(receipt))
    made = draft("more-context")
    made["@context"].append("https://example.com/context/v1")
    yield good("more-context", "Further URIs may follow the two of @context.", spell(sign(made)))
    made = put(draft("mid-chain-alone"), "/credentialSubject/chain/sequence", 7)
    made = put(made, "/credentialSubject/chain/previous_receipt_hash", HASH_B)
    why = "A receipt by itself: its place in the chain is not judged."
    yield good("mid-chain-alone", why, spell(sign(made)))
    made = put(draft("empty-texts"), "/credentialSubject/chain/chain_id", "")
    made = put(made, OUTCOME + "/error", "")
    yield good("empty-texts", "Texts without a minimum length may be empty.", spell(sign(made)))
    made = put(draft("empty-objects"), ACTION + "/target", {})
    made = put(made, ACTION + "/emitter_metadata", {})
    made = put(made, ACTION + "/parameters_disclosure", {})
    made = put(made, "/credentialSubject/intent", {})
    yield good("empty-objects", "Objects without required members may be empty.", spell(sign(made)))
    made = put(draft("unknown-action"), ACTION + "/type", "unknown")
    made = put(made, ACTION + "/target", {"system": "mainframe"})
    made = put(made, ACTION + "/risk_level", "medium")
    yield good("unknown-action", "An action of type unknown names its target.", spell(sign(made)))


def _spellings() -> Iterator[Case]:
    receipt = sign(full_draft("pretty-printed"))
    data = json.dumps(receipt, indent=4, ensure_ascii=False).encode()
    yield good("pretty-printed", "White space is not signed.", data)
    receipt = sign(draft("backward-order"))
    data = json.dumps(_backward(receipt)).encode()
    yield good("backward-order", "The order of members is not signed.", data)
    receipt = sign(put(draft("escaped-text"), ACTION + "/target", {"resource": "/srv/übung"}))
    data = json.dumps(receipt).encode().replace(b'"success"', rb'"\u0073uccess"')
    yield good("escaped-text", "Escapes are not signed; the text that they spell is.", data)
    receipt = sign(draft("blanks-around"))
    yield good("blanks-around", "Blanks may stand around.", b" \t\r\n" + spell(receipt) + b"\r\n ")
    receipt = sign(draft("array-of-one"))
    yield good("array-of-one", "An array of one receipt.", b"[ " + spell(receipt) + b" ]")


def _backward(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _backward(value[name]) for name in reversed(value)}
    return value


def _runtimes() -> Iterator[Case]:
    def with_runtime(name: str, runtime: Json) -> Json:
        return sign(put(draft(name), RUNTIME, runtime))

    floats = {"a": 1e21, "b": 0.1, "c": -0.0, "d": 1e-7, "e": 5e-324, "f": 1.7976931348623157e308}
    receipt = with_runtime("runtime-floats", floats)
    why = "Numbers are signed in ECMAScript's shortest form: 1e+21, 0.1, 0, 1e-7."
    yield good("runtime-floats", why, rfc8785.dumps(receipt))
    receipt = with_runtime("runtime-floats-respelled", floats | {"g": 100.0})
    data = rfc8785.dumps(receipt)
    for short, long in (
        (b'"a":1e+21', b'"a":1000000000000000000000'),
        (b'"b":0.1', b'"b":0.1000'),
        (b'"c":0', b'"c":-0.0'),
        (b'"d":1e-7', b'"d":1.0E-07'),
        (b'"g":100', b'"g":100.0'),
    ):
        assert data.count(short) == 1
        data = data.replace(short, long)
    why = "Another spelling of the same doubles is the same receipt."
    yield good("runtime-floats-respelled", why, data)
    receipt = with_runtime(
        "runtime-big-integers", {"a": 2**53 - 1, "b": float(2**53), "c": 2.0**70}
    )
    why = "Integers beyond 2^53-1 that a double holds exactly are read as that double."
    yield good("runtime-big-integers", why, rfc8785.dumps(receipt))
    keys = {"\ufb33": 1, "\U0001f600": 2, "ö": 3, "€": 4, "z": 5, "": 6, "\r": 7, "1": 8}
    receipt = with_runtime("runtime-astral-keys", keys)
    why = "Keys sort by UTF-16 code units: U+1F600 comes before U+FB33."
    yield good("runtime-astral-keys", why, rfc8785.dumps(receipt))
    data = spell(receipt)
    assert data != rfc8785.dumps(receipt)
    receipt = with_runtime("runtime-keys-by-code-point", keys)
    why = "On the wire keys may stand in any order, here by code point."
    yield good("runtime-keys-by-code-point", why, spell(receipt))
    receipt = with_runtime("runtime-nulls", {"usage": {"cached": None, "list": [None]}, "n": None})
    why = "Nulls inside of the open member runtime are values: signed, and never dropped."
    yield good("runtime-nulls", why, spell(receipt))
    accept = {"accept_nulls": True}
    yield good("runtime-nulls-accepting", why, spell(receipt), options=accept)
    text = "".join(map(chr, range(32))) + '"\\/\x7f\u2028\u2029<>&é\U0001f512'
    receipt = with_runtime("runtime-escapes", {"text": text, text: "key"})
    why = "Minimal escapes: short ones, \\u00xx in lower case, and none else."
    yield good("runtime-escapes", why, rfc8785.dumps(receipt))
    receipt = with_runtime("runtime-empty", {"a": {}, "b": [], "c": "", "d": [[], {}]})
    yield good("runtime-empty", "Empty objects, arrays and texts stay.", spell(receipt))
    receipt = with_runtime("runtime-nothing", {})
    yield good("runtime-nothing", "An empty runtime is not an absent one.", spell(receipt))


def _times() -> Iterator[Case]:
    for name, why, instant in (
        ("leap-day", "The 29th of February of a leap year exists.", "2024-02-29T12:00:00Z"),
        ("time-with-offset", "A timestamp may have an offset.", "2026-01-02T05:30:01+02:30"),
        ("time-in-nanoseconds", "Up to nine digits.", "2026-01-02T03:00:01.123456789Z"),
        ("time-in-seconds", "No fraction at all.", "2026-01-02T03:00:01Z"),
    ):
        yield good(name, why, spell(sign(put(draft(name), "/issuanceDate", instant))))


def _advisories() -> Iterator[Case]:
    name = "subject-member-signed"
    receipt = sign(put(draft(name), "/credentialSubject/approved_by", "did:user:bob"))
    why = "credentialSubject is open: a signed member that nobody knows is reported, not refused."
    yield good(name, why, spell(receipt), "unrecognised_fields")
    receipt = put(
        sign(draft("method-rewritten")), "/proof/verificationMethod", "did:agent:other#key-1"
    )
    why = "proof.verificationMethod is not signed: anyone could have rewritten it."
    yield good("method-rewritten", why, spell(receipt), "proof_metadata_unsigned")
    receipt = put(sign(draft("created-earlier")), "/proof/created", "2026-01-01T00:00:00Z")
    why = "The proof says that it is older than what it signs; nothing signed says so."
    yield good("created-earlier", why, spell(receipt), "proof_metadata_unsigned")
    options = {"verification_method": "did:agent:sample#key-1"}
    receipt = sign(draft("method-expected"))
    why = "proof.verificationMethod is the expected one."
    yield good("method-expected", why, spell(receipt), options=options)
    receipt = sign(put(draft("risk-too-low"), ACTION + "/type", "financial.payment.initiate"))
    why = "The stated risk is below the taxonomy's for a payment."
    yield good("risk-too-low", why, spell(receipt), "risk_below_taxonomy")
    receipt = sign(put(draft("risk-raised"), ACTION + "/risk_level", "critical"))
    yield good("risk-raised", "The stated risk may be above the taxonomy's.", spell(receipt))
    for name, granted, expires, late in (
        ("authorized", "2026-01-01T00:00:00Z", "2026-12-31T00:00:00Z", False),
        ("authorized-on-the-dot", "2026-01-02T03:00:01Z", "2026-01-02T04:00:01.000+01:00", False),
        ("authorized-too-late", "2026-01-02T03:00:02Z", None, True),
        ("authorization-expired", "2026-01-01T00:00:00Z", "2026-01-02T03:00:00.999Z", True),
        ("authorization-expired-elsewhere", "2026-01-01T00:00:00Z",
         "2026-01-02T04:00:00+02:00", True),
    ):  # fmt: skip
        grant: Json = {"scopes": ["files:read"], "granted_at": granted}
        if expires:
            grant["expires_at"] = expires
        made = sign(put(draft(name), "/credentialSubject/authorization", grant))
        why = "The action lies {} of the time that it was authorised for."
        codes = ["authorization_window"] if late else []
        yield good(name, why.format("outside" if late else "inside"), spell(made), *codes)
    for version in ("0.1.0", "0.2.0", "0.2.1"):
        name = "old-id-" + version.replace(".", "-")
        made = put(draft(name, version=version), "/id", "urn:receipt:nightly-1")
        made = put(made, ACTION + "/id", "act_nightly_1")
        why = f"Ids that are no UUIDs are reported in {version}: published receipts have them."
        yield good(name, why, spell(sign(made)), "id_shape_legacy", "id_shape_legacy")
    name = "old-reversal-id"
    made = put(draft(name, version="0.2.1"), OUTCOME + "/reversal_of", "urn:receipt:nightly-1")
    why = "The same for the id of the receipt that is reversed."
    yield good(name, why, spell(sign(made)), "id_shape_legacy")
    yield from _keys()


def _keys() -> Iterator[Case]:
    for name, why, keys in (
        ("key-as-pem", "The key as PEM.", (FIRST.pem,)),
        ("key-as-hex", "The key as 32 bytes in hex.", (FIRST.raw.hex(),)),
        ("keys-of-which-one-fits", "One of several keys fits.", (SECOND.did, FIRST.did)),
    ):
        yield good(name, why, spell(sign(draft(name))), keys=keys)
    name = "reversal"
    made = put(draft(name), OUTCOME + "/reversal_of", f"urn:receipt:{uuid(name, 'earlier')}")
    yield good(name, "A receipt that undoes an earlier one.", spell(sign(made)))
