# SPDX-License-Identifier: Apache-2.0
"""Inputs that hold several chains: delegation between them, and questions about one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain as joined
from typing import Any

from tools.corpus.chains import chain, closing, facts, setting
from tools.corpus.making import (
    FIRST,
    SECOND,
    THIRD,
    Case,
    Json,
    digest,
    lines,
    put,
    uuid,
    verdict_of,
)
from tools.corpus.shapes import ACTION, SUBJECT
from tools.corpus.signatures import trust_file

PARENT_ID = "did:agent:parent"
MEMBER = f"{SUBJECT}/delegation"


def case(name: str, why: str, receipts: Sequence[Json], *codes: str, **more: Any) -> Case:
    """Return an input case; it is refused when a code decides, unless told otherwise."""
    data = lines(list(receipts))
    more = {"verdict": verdict_of(codes)} | more
    return Case(kind="input", name=name, why=why, data=data, suffix="jsonl", codes=codes, **more)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    yield from _several()
    yield from _asked_for_one()
    yield from _delegated()
    yield from _loops()


def _pair(name: str, length: int = 2) -> tuple[list[Json], list[Json]]:
    one = chain(name + "-1", length)
    other = chain(name + "-2", length, issuer="did:agent:other")
    return one, other


def _several() -> Iterator[Case]:
    one, other = _pair("two-chains")
    told = [facts(one), facts(other)]
    yield case("two-chains", "One after the other.", one + other, chains=told)
    one, other = _pair("interleaved")
    mixed = list(joined(*zip(one, other, strict=True)))
    yield case("interleaved", "In turn.", mixed, chains=[facts(one), facts(other)])
    one, other = _pair("one-of-two-broken", 3)
    why = "One chain has a gap, the other is whole."
    yield case("one-of-two-broken", why, [*one, other[0], other[2]], "CHAIN_GAP")
    one, other = _pair("same-id-in-two-chains")
    other = chain("same-id-in-two-chains-2", 2, {2: setting("/id", one[0]["id"])})
    why = "A receipt of one chain has the id of another's."
    yield case("same-id-in-two-chains", why, one + other, "ID_DUPLICATE")
    name = "same-idempotency-key-in-two-chains"
    edit = {1: setting(f"{ACTION}/idempotency_key", "request-1")}
    one, other = chain(name + "-1", 1, edit), chain(name + "-2", 1, edit)
    yield case(name, "Idempotency keys belong to their chain.", one + other)
    name = "same-correlation-in-two-chains"
    pending = chain(name + "-1", 1, {1: setting(f"{SUBJECT}/outcome/status", "pending")})
    other = chain(name + "-2", 1)
    why = "A result in another chain answers nothing."
    yield case(name, why, pending + other, "incomplete_tool_roundtrip")
    one, other = _pair("two-issuers-trusted")
    trust = trust_file(("did:agent:sample", FIRST.did, None, None),
                       ("did:agent:other", FIRST.did, None, None))  # fmt: skip
    yield case("two-issuers-trusted", "Both issuers are known.", one + other, trust=trust)
    trust = trust_file(("did:agent:sample", FIRST.did, None, None))
    why = "One of two issuers is unknown: not all could be checked."
    yield case("one-issuer-unknown", why, one + other, "KEY_UNKNOWN_ISSUER", trust=trust)
    trust = trust_file(("did:agent:sample", SECOND.did, None, None))
    why = "What is refused beats what could not be checked."
    yield case("refused-beats-unchecked", why, one[:1] + other, "SIGNATURE_INVALID",
               "KEY_UNKNOWN_ISSUER", trust=trust)  # fmt: skip
    trust = trust_file(("did:agent:sample", FIRST.did, None, None),
                       ("did:agent:other", SECOND.did, None, None))  # fmt: skip
    forged = chain("key-of-another-issuer", 1, issuer="did:agent:other")
    why = "A key that is trusted for one issuer signs for another."
    yield case("key-of-another-issuer", why, forged, "SIGNATURE_INVALID", trust=trust)


def _asked_for_one() -> Iterator[Case]:
    one, other = _pair("asked", 3)
    wanted = other[0]["credentialSubject"]["chain"]["chain_id"]
    both = one + other
    expected: Json = {
        "chain_id": wanted, "expected_length": 3, "expected_head": digest(other[-1])
    }  # fmt: skip
    yield case("asked-for-one", "The chain that was asked for is as expected.", both,
               options=expected)  # fmt: skip
    why = "The chain that was asked for is one receipt short; the other is not meant."
    yield case("asked-for-one-cut-off", why, both[:-1], "EXPECTED_LENGTH", "EXPECTED_HEAD",
               options=expected)  # fmt: skip
    why = "The chain that was asked for is not there."
    yield case("asked-for-unknown", why, both, "CHAIN_UNKNOWN", options={"chain_id": "chain-x"})
    why = "A length of several chains, and none is named."
    yield case("length-of-which", why, both, "EXPECTED_LENGTH", options={"expected_length": 3})
    why = "A head of several chains, and none is named."
    options = {"expected_head": digest(other[-1])}
    yield case("head-of-which", why, both, "EXPECTED_HEAD", options=options)
    one = chain("closed-and-open-1", 2, {2: closing("complete")})
    other = chain("closed-and-open-2", 2)
    require: Json = {"require_terminal": True}
    why = "One of two chains is open, and both have to be closed."
    yield case("closed-and-open", why, one + other, "EXPECTED_TERMINAL", options=require)
    why = "The chain that was asked for is closed; the other is not meant."
    asked = require | {"chain_id": "chain-closed-and-open-1"}
    yield case("closed-as-asked", why, one + other, options=asked)


def delegation(chain_id: str, receipt_id: str, delegator: str = PARENT_ID) -> Json:
    """Return the member that hangs a chain on its parent."""
    return {
        "parent_chain_id": chain_id,
        "parent_receipt_id": receipt_id,
        "delegator": {"id": delegator},
    }


def _family(name: str, **changes: str) -> tuple[list[Json], list[Json]]:
    """Return a parent and the chain that its second receipt delegated."""
    parent = chain(name + "-parent", 3, issuer=PARENT_ID)
    made = delegation(f"chain-{name}-parent", parent[1]["id"])
    for step, value in changes.items():
        made = put(made, "/" + step.replace("__", "/"), value)
    return parent, chain(name + "-child", 2, {1: setting(MEMBER, made)})


def _delegated() -> Iterator[Case]:
    name = "delegated"
    parent, child = _family(name)
    told = [facts(parent), facts(child)]
    yield case(name, "The parent delegated, and is here.", parent + child, chains=told)
    yield case("delegated-child-first", "The order of chains does not count.", child + parent,
               chains=told[::-1])  # fmt: skip
    why = "The parent is not in the input: the link can't be checked."
    yield case("delegated-by-absent", why, child, "delegation_unresolved")
    name = "delegated-by-nobody"
    parent, child = _family(name, parent_receipt_id=f"urn:receipt:{uuid(name)}")
    why = "The parent is here, and the receipt that delegated is not in it."
    yield case(name, why, parent + child, "DELEGATION_PARENT_MISSING")
    name = "delegated-by-lost-receipt"
    parent, child = _family(name)
    why = "The receipt that delegated was cut off with the parent's end."
    yield case(name, why, parent[:1] + child, "DELEGATION_PARENT_MISSING")
    name = "delegated-from-elsewhere"
    parent, child = _family(name)
    other = chain(name + "-other", 1, {1: setting("/id", parent[1]["id"])}, issuer=PARENT_ID)
    why = "The receipt that delegated has to be in the parent chain, not in any chain."
    yield case(name, why, parent[:1] + other + child, "DELEGATION_PARENT_MISSING")
    name = "delegated-by-stranger"
    parent, child = _family(name, delegator__id="did:agent:stranger")
    why = "The delegator is not the issuer of the parent chain."
    yield case(name, why, parent + child, "DELEGATION_DELEGATOR")
    for what, change in (
        ("receipt", {"parent_receipt_id": "urn:receipt:nightly-1"}),
        ("delegator", {"delegator__id": "x" * 1025}),
    ):
        name = f"delegated-by-odd-{what}"
        parent, child = _family(name, **change)
        why = "What has the wrong shape is refused as that, and not looked for besides."
        code = "ID_SHAPE" if what == "receipt" else "FIELD_TOO_LONG"
        yield case(name, why, parent + child, code)
    yield from _delegated_anew()


def _delegated_anew() -> Iterator[Case]:
    name = "delegated-anew"
    parent, child = _family(name)
    first = child[0]["credentialSubject"]["delegation"]
    again = put(first, "/parent_receipt_id", parent[2]["id"])
    child = chain(name + "-child", 2, {1: setting(MEMBER, first), 2: setting(MEMBER, again)})
    yield case(name, "The second names another parent.", parent + child, "DELEGATION_CHANGED")
    name = "delegated-later"
    child = chain(name + "-child", 2, {2: setting(MEMBER, first)})
    why = "A chain is delegated by its first receipt or not at all."
    yield case(name, why, child, "DELEGATION_CHANGED")
    name = "delegated-again-the-same"
    child = chain(name + "-child", 2, dict.fromkeys((1, 2), setting(MEMBER, first)))
    why = "The second repeats what the first said."
    yield case(name, why, child, "delegation_unresolved")
    name = "delegated-over-three"
    parent, child = _family(name)
    below = delegation(f"chain-{name}-child", child[1]["id"], "did:agent:sample")
    grandchild = chain(name + "-grandchild", 1, {1: setting(MEMBER, below)}, issuer="did:agent:3")
    told = [facts(parent), facts(child), facts(grandchild)]
    why = "A delegated chain delegates in turn."
    yield case(name, why, parent + child + grandchild, chains=told)
    name = "delegated-under-trust"
    parent, child = _family(name)
    trust = trust_file((PARENT_ID, FIRST.did, None, None),
                       ("did:agent:sample", THIRD.did, None, None))  # fmt: skip
    edit = {1: setting(MEMBER, child[0]["credentialSubject"]["delegation"])}
    child = chain(name + "-child", 2, edit, keys={1: THIRD, 2: THIRD})
    yield case(name, "Parent and child have keys of their own.", parent + child, trust=trust)


def _loops() -> Iterator[Case]:
    code = "DELEGATION_LOOP"
    name = "delegated-by-itself"
    made = chain(name, 2)
    itself = delegation(f"chain-{name}", made[1]["id"], "did:agent:sample")
    made = chain(name, 2, {1: setting(MEMBER, itself)})
    yield case(name, "A chain is its own parent.", made, code)
    name = "delegated-in-a-ring"
    ring = []
    for number, parent in ((1, 2), (2, 3), (3, 1)):
        other = chain(f"{name}-{parent}", 1)[0]["id"]
        member = delegation(f"chain-{name}-{parent}", other, "did:agent:sample")
        ring += chain(f"{name}-{number}", 1, {1: setting(MEMBER, member)})
    yield case(name, "Three chains are each other's parents.", ring, code, code, code)
    name = "delegated-by-a-loop"
    looped = chain(name, 2)
    itself = delegation(f"chain-{name}", looped[1]["id"], "did:agent:sample")
    looped = chain(name, 2, {1: setting(MEMBER, itself)})
    member = delegation(f"chain-{name}", looped[1]["id"], "did:agent:sample")
    child = chain(name + "-child", 1, {1: setting(MEMBER, member)})
    why = "The parent is its own parent: for the child too, no way up comes to an end."
    yield case(name, why, looped + child, code, code)
