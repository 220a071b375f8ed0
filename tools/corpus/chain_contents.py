# SPDX-License-Identifier: Apache-2.0
"""Chains whose links hold: what the caller expects of them, what they say, and who signed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tools.corpus.chains import Edit, case, chain, closing, facts, setting
from tools.corpus.making import (
    FIRST,
    ISSUER_ID,
    SECOND,
    Case,
    Json,
    digest,
    put,
    sha256,
    spell,
)
from tools.corpus.shapes import ACTION, GRANT, OUTCOME, SUBJECT
from tools.corpus.signatures import trust_file


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _expected()
    yield from _responses()
    yield from _calls()
    yield from _advisories()
    yield from _keys()


def _expected() -> Iterator[Case]:
    name = "as-expected"
    made = chain(name, 3, {3: closing("complete")})
    options: Json = {
        "chain_id": f"chain-{name}", "expected_length": 3, "expected_head": digest(made[-1]),
        "require_terminal": True, "verification_method": f"{ISSUER_ID}#key-1",
    }  # fmt: skip
    yield case(name, "All that was expected is so.", made, options=options)
    made = chain("end-cut-off", 5)
    for what, options, codes in (
        ("nothing-expected", {}, ()),
        ("length-expected", {"expected_length": 5}, ("EXPECTED_LENGTH",)),
        ("head-expected", {"expected_head": digest(made[-1])}, ("EXPECTED_HEAD",)),
        ("terminal-expected", {"require_terminal": True}, ("EXPECTED_TERMINAL",)),
    ):
        why = "The last two are missing: without a word from outside, nobody can tell."
        yield case(f"end-cut-off-{what}", why, made[:3], *codes, options=options)
    made = chain("longer-than-expected", 3)
    options = {"expected_length": 2}
    yield case("longer-than-expected", "One too many.", made, "EXPECTED_LENGTH", options=options)
    made = chain("unknown-chain", 2)
    options = {"chain_id": "chain-unknown-chian"}
    why = "The chain that was asked for is not in the input."
    yield case("unknown-chain", why, made, "CHAIN_UNKNOWN", options=options)
    made = chain("method-differs", 2)
    made[1] = put(made[1], "/proof/verificationMethod", f"{ISSUER_ID}#key-2")
    why = "The second's verification method is not the expected one."
    options = {"verification_method": f"{ISSUER_ID}#key-1"}
    yield case("method-differs", why, made, "PROOF_METHOD_UNEXPECTED", options=options)
    why = "The second's verification method differs, and nothing was expected."
    yield case("method-changes", why, made, "proof_metadata_unsigned")


def _responses() -> Iterator[Case]:
    answer = {"rows": [1, 2.5, None], "ok": True}
    body = spell(answer)

    def answered(name: str, committed: bytes | None) -> list[Json]:
        return chain(name, 2, {2: setting(f"{OUTCOME}/response_hash", sha256(committed))}
                     if committed is not None else None)  # fmt: skip

    for name, why, committed, supplied, codes in (
        ("response", "The body is the one that was signed.", body, body, ()),
        ("response-respelled", "The body is hashed in canonical form.", body,
         json.dumps(answer, indent=1).encode(), ()),
        ("response-null", "The body null can be committed like any other.", b"null", b"null", ()),
        ("response-text", "So can a text.", b'"done"', b'"done"', ()),
        ("response-other", "The body is another one.", body, b"{}", ("RESPONSE_MISMATCH",)),
        ("response-not-there", "The receipt names no body.", None, body,
         ("response_not_committed",)),
        ("response-unreadable", "The body has a key twice.", body, b'{"a":1,"a":1}',
         ("RESPONSE_UNREADABLE",)),
        ("response-inexact", "The body has a number that no double holds.", body,
         b'{"id":1234567890123456789}', ("RESPONSE_UNREADABLE",)),
    ):  # fmt: skip
        made = answered(name, committed)
        options = {"responses": {made[1]["id"]: "response.json"}}
        files = {"response.json": supplied}
        yield case(name, why, made, *codes, options=options, files=files)
    made = answered("response-of-nobody", body)
    options = {"responses": {"urn:receipt:none": "response.json"}}
    why = "A body was supplied for a receipt that is not here."
    yield case("response-of-nobody", why, made, "response_unused", options=options,
               files={"response.json": body})  # fmt: skip


def _calls() -> Iterator[Case]:
    status, name_of = f"{OUTCOME}/status", f"{SUBJECT}/correlation_id"

    def call(word: str, correlation: str | None = None) -> Edit:
        def edit(receipt: Json) -> Json:
            made = put(receipt, status, word)
            return put(made, name_of, correlation) if correlation else made

        return edit

    for name, why, edits, count in (
        ("call-answered", "The pending call has its result.",
         {1: call("pending", "call-1"), 2: call("success", "call-1")}, 0),
        ("call-answered-later", "The result comes two receipts later.",
         {1: call("pending", "call-1"), 3: call("failure", "call-1")}, 0),
        ("call-open-at-the-end", "No result follows.", {3: call("pending", "call-1")}, 1),
        ("call-open-in-between", "Its result never came, and the chain went on.",
         {1: call("pending", "call-1")}, 1),
        ("call-open-unnamed", "A pending call without correlation_id.", {2: call("pending")}, 1),
        ("calls-of-which-one-is-open", "One of two calls has its result.",
         {1: call("pending", "call-1"), 2: call("pending", "call-2"),
          3: call("success", "call-1")}, 1),
        ("calls-crossed", "The results come in the other order.",
         {1: call("pending", "call-1"), 2: call("pending", "call-2"),
          3: call("success", "call-2"), 4: call("success", "call-1")}, 0),
        ("call-answered-before", "A result before the call is none.",
         {1: call("success", "call-1"), 2: call("pending", "call-1")}, 1),
        ("call-open-and-closed", "The chain was closed over an open call.",
         {2: call("pending", "call-1"), 3: closing("interrupted")}, 1),
    ):  # fmt: skip
        made = chain(name, max(3, *edits), edits)
        yield case(name, why, made, *["incomplete_tool_roundtrip"] * count)


def _advisories() -> Iterator[Case]:
    at = "/issuanceDate"
    for name, why, edits, codes in (
        ("time-goes-back", "The second was issued before the first.",
         {2: setting(at, "2026-01-02T03:00:00Z")}, ("time_backwards",)),
        ("time-goes-back-by-offset", "The text looks later, the instant is earlier.",
         {2: setting(at, "2026-01-02T09:00:00+06:00")}, ("time_backwards",)),
        ("time-goes-on-by-offset", "The text looks earlier, the instant is later.",
         {2: setting(at, "2026-01-01T23:00:02-04:30"), 3: setting(at, "2026-01-03T00:00:00Z")},
         ()),
        ("time-stands", "The same instant twice.", {2: setting(at, "2026-01-02T03:00:01Z")}, ()),
        ("session-changes", "Another session.",
         {1: setting("/issuer/session_id", "s-1"), 2: setting("/issuer/session_id", "s-1"),
          3: setting("/issuer/session_id", "s-2")}, ("session_changed",)),
        ("session-ends", "The third has no session any more.",
         {1: setting("/issuer/session_id", "s-1"), 2: setting("/issuer/session_id", "s-1")},
         ("session_changed",)),
        ("principal-changes", "Another principal.",
         {2: setting(f"{SUBJECT}/principal/id", "did:user:bob")},
         ("principal_changed", "principal_changed")),
        ("principal-of-wrong-type", "A principal that is refused is not a change besides.",
         dict.fromkeys((1, 3), setting(f"{SUBJECT}/principal/id", 7)),
         ("FIELD_TYPE", "FIELD_TYPE")),
        ("same-idempotency-key", "A retry, or an action that ran twice.",
         dict.fromkeys((1, 3), setting(f"{ACTION}/idempotency_key", "request-1")),
         ("duplicate_idempotency_key",)),
        ("other-idempotency-keys", "Two requests.",
         {1: setting(f"{ACTION}/idempotency_key", "request-1"),
          2: setting(f"{ACTION}/idempotency_key", "request-2")}, ()),
        ("risk-below", "One states a lower risk than the taxonomy.",
         {2: setting(f"{ACTION}/type", "system.pty.open")}, ("risk_below_taxonomy",)),
        ("authorization-ran-out", "One acts after its authorisation ran out.",
         {3: setting(GRANT, {"scopes": ["files:read"], "granted_at": "2026-01-02T03:00:00Z",
                             "expires_at": "2026-01-02T03:00:02Z"})}, ("authorization_window",)),
    ):  # fmt: skip
        yield case(name, why, chain(name, 3, edits), *codes)


def _keys() -> Iterator[Case]:
    both = {"keys": (FIRST.did, SECOND.did)}
    name = "key-changes"
    made = chain(name, 3, keys={2: SECOND, 3: SECOND})
    why = "From the second on another trusted key signs, and nobody handed over."
    yield case(name, why, made, "KEY_CHANGED", "KEY_CHANGED", **both)
    made = chain("key-changes-once", 3, keys={2: SECOND})
    why = "Another trusted key signed just one receipt."
    yield case("key-changes-once", why, made, "KEY_CHANGED", **both)
    made = chain("second-key-all-along", 2, keys={1: SECOND, 2: SECOND})
    why = "The chain stands on the second of the keys."
    stretches = [facts(made, "unknown", (SECOND, 1, 2))]
    yield case("second-key-all-along", why, made, chains=stretches, **both)
    made = chain("key-runs-out", 3)
    trust = trust_file((ISSUER_ID, FIRST.did, None, "2026-01-02T03:00:02.500Z"))
    why = "The key's validity ends before the third receipt."
    yield case("key-runs-out", why, made, "KEY_NOT_VALID_THEN", trust=trust)
    made = chain("no-key-for-issuer", 3)
    trust = trust_file(("did:agent:other", FIRST.did, None, None))
    why = "The trust file names another issuer; said once for each issuer."
    yield case("no-key-for-issuer", why, made, "KEY_UNKNOWN_ISSUER", trust=trust)  # fmt: skip
    made = chain("no-key-and-broken", 3)
    why = "Not checked for want of a key, and refused for the gap that needs none."
    yield case("no-key-and-broken", why, [made[0], made[2]], "KEY_UNKNOWN_ISSUER", "CHAIN_GAP",
               trust=trust)  # fmt: skip
    yield case("no-key", "No key was given.", made, "KEY_MISSING", keys=())
    name = "no-key-and-closed"
    made = chain(name, 2, {2: closing("complete")})
    why = "Closed, as is required, by a receipt that nobody could check: its ending is unknown."
    told = [facts(made) | {"keys": []}]
    yield case(name, why, made, "KEY_MISSING", keys=(), chains=told,
               options={"require_terminal": True})  # fmt: skip
    name = "no-key-and-after-the-end"
    made = chain(name, 3, {2: closing("complete")})
    why = "A receipt after the terminal one is wrong, whoever signed them."
    yield case(name, why, made, "KEY_MISSING", "CHAIN_AFTER_TERMINAL", keys=())
    name = "closed-by-forgery"
    made = chain(name, 3, {2: closing("complete")}, keys={2: SECOND})
    why = "A terminal receipt that somebody else signed closes nothing."
    told = [facts(made)]
    yield case(name, why, made, "SIGNATURE_INVALID", chains=told)
    why = "The key is no key: that the chain is broken is said all the same."
    yield case("garbage-key-and-broken", why, [made[0], made[2]], "KEY_UNUSABLE", "CHAIN_GAP",
               keys=("garbage",))  # fmt: skip
