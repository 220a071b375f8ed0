# SPDX-License-Identifier: Apache-2.0
"""Chains under attack: what is removed, moved, doubled or forged is noticed, by any workers."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.material import (
    METHOD,
    OTHER_KEY,
    OTHER_PUBLIC,
    PUBLIC,
    Members,
    chain_of,
    hash_of,
    lines,
    relinked,
    rotation,
    signed,
    wire,
    with_member,
)
from tests.properties.receipts import JSON, mutations

from tallystick.verify import batch, workers
from tallystick.verify.chain import Judge
from tallystick.verify.receipt import Examined
from tallystick.verify.source import Source
from tallystick.verify.verification import verify_chain, verify_input

S = "/credentialSubject"
SIX = chain_of(6)
INDEXES = st.integers(0, len(SIX) - 1)
KNOWN: dict[str, Any] = {"expected_length": len(SIX), "expected_head": hash_of(SIX[-1])}


def is_refused(receipts: list[Members], **expectations: Any) -> bool:
    report = verify_chain(lines(receipts), PUBLIC, **expectations)
    assert bool(report) is (str(report.verdict) == "verified")
    return str(report.verdict) == "refused"


@given(st.sets(INDEXES, min_size=1, max_size=len(SIX) - 1))
def test_removed_receipts_are_noticed(removed: set[int]) -> None:
    """Receipts missing at the beginning or in the middle are noticed; at the end, when it is known
    how long the chain is or where it ends.
    """
    left = [receipt for index, receipt in enumerate(SIX) if index not in removed]
    is_tail = sorted(removed) == list(range(len(left), len(SIX)))
    assert is_refused(left) is not is_tail
    assert is_refused(left, expected_length=len(SIX))
    assert is_refused(left, expected_head=hash_of(SIX[-1]))


@given(st.permutations(range(len(SIX))))
def test_another_order_is_noticed(order: list[int]) -> None:
    """A chain has one order."""
    assert is_refused([SIX[index] for index in order]) is (order != sorted(order))


@given(INDEXES, st.integers(0, len(SIX)))
def test_a_doubled_receipt_is_noticed(index: int, place: int) -> None:
    """A receipt that comes twice, wherever, is refused."""
    assert is_refused([*SIX[:place], SIX[index], *SIX[place:]])


@given(st.data(), INDEXES)
def test_an_altered_receipt_is_noticed(data: st.DataObject, index: int) -> None:
    """Changed in place, or changed and signed with another key, a receipt is refused."""
    changed = data.draw(mutations(SIX[index]))
    if wire(changed) != wire(SIX[index]):
        altered = [*SIX[:index], changed, *SIX[index + 1 :]]
        report = verify_chain(lines(altered), PUBLIC, **KNOWN)
        if report.verified:  # only what no signature covers has changed
            assert hash_of(changed) == hash_of(SIX[index])
            assert changed["proof"]["proofValue"] == SIX[index]["proof"]["proofValue"]
    forged = [*SIX[:index], signed(changed, OTHER_KEY), *SIX[index + 1 :]]
    assert is_refused(forged)
    assert is_refused(forged, **KNOWN)


@given(INDEXES)
def test_a_chain_that_goes_on_under_another_key_is_noticed(index: int) -> None:
    """Nobody else can go on with a chain, or begin it anew under its name."""
    forged = relinked(SIX, OTHER_KEY)
    assert is_refused([*SIX[:index], *forged[index:]])
    assert is_refused(forged)


@given(st.data(), INDEXES)
def test_the_issuer_itself_can_rewrite_but_not_unnoticed(data: st.DataObject, index: int) -> None:
    """With the key, history can be signed anew: the head that others know tells on it."""
    changed = copy.deepcopy(SIX)
    changed[index] = with_member(changed[index], "/issuer/name", data.draw(st.text(max_size=9)))
    rewritten = relinked(changed)
    assert verify_chain(lines(rewritten), PUBLIC, expected_length=len(SIX)).verified
    assert is_refused(rewritten, expected_head=hash_of(SIX[-1]))
    if index > 0 and wire(rewritten[index]) != wire(SIX[index]):
        assert is_refused([*SIX[:index], rewritten[index], *SIX[index + 1 :]], **KNOWN)


def with_rotation(length: int, at: int) -> list[Members]:
    """Return a chain whose key changes behind the receipt with that index."""
    receipts = chain_of(length)
    receipts[at] = with_member(receipts[at], f"{S}/keyRotation", rotation(PUBLIC, OTHER_PUBLIC))
    done = relinked(receipts)
    previous = hash_of(done[at])
    for index in range(at + 1, length):
        one = with_member(done[index], f"{S}/chain/previous_receipt_hash", previous)
        done[index] = signed(one, OTHER_KEY)
        previous = hash_of(one)
    return done


def wire_any(value: Any) -> bytes:
    return json.dumps(value).encode()


# Long enough for several small batches of each worker.
LONG = [wire(one) for one in with_rotation(120, 61)]
CHILD = [wire(one) for one in chain_of(40, chain_id="chain:b", first_number=500)]
DAMAGE = st.one_of(
    st.tuples(st.just("remove"), st.integers(0, 159), st.integers(1, 5)),
    st.tuples(st.just("double"), st.integers(0, 159), st.integers(0, 159)),
    st.tuples(st.just("swap"), st.integers(0, 159), st.integers(0, 159)),
    st.tuples(st.just("flip"), st.integers(0, 159), st.integers(0, 10_000)),
    st.tuples(st.just("junk"), st.integers(0, 159), st.binary(max_size=9)),
    st.tuples(st.just("json"), st.integers(0, 159), JSON.map(wire_any)),
    st.tuples(st.just("large"), st.integers(0, 159), st.integers(60_000, 80_000)),
)  # fmt: skip


def damaged(receipts: list[bytes], damages: list[tuple[str, int, Any]]) -> list[bytes]:
    done = list(receipts)
    for kind, index, what in damages:
        at = index % len(done)
        if kind == "remove":
            del done[at : at + what]
            done = done or receipts[:1]
        elif kind == "double":
            done.insert(what % len(done), done[at])
        elif kind == "swap":
            done[at], done[what % len(done)] = done[what % len(done)], done[at]
        elif kind == "flip":
            raw = bytearray(done[at] or b" ")
            raw[what // 8 % len(raw)] ^= 1 << what % 8
            done[at] = bytes(raw)
        elif kind == "large":
            done.insert(
                at, done[at].replace(b'{"id":"did', b'{"name":"%s","id":"did' % (b"x" * what))
            )
        else:
            done.insert(at, what)
    return done


@settings(max_examples=max(10, settings().max_examples // 2))
@given(st.lists(DAMAGE, max_size=4), st.booleans(), st.booleans())
def test_the_report_is_the_same_for_any_workers(
    damages: list[tuple[str, int, Any]], sole_chain: bool, keyed: bool
) -> None:
    """On sound and on damaged input, any number of processes gives one and the same report."""
    mixed = [*LONG[:60], *CHILD, *LONG[60:]]
    data = damaged(LONG if sole_chain else mixed, damages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "BATCH_ITEMS", 16)  # so that each worker gets several
        patch.setattr(workers, "_BATCHES_ALONE", 0)  # checkers start at once
        reports = [
            verify_input(
                [Source(data[:50], name="a"), Source(data[50:], name="b")],
                PUBLIC if keyed else None,
                sole_chain=sole_chain,
                workers=count,
            )
            for count in (1, 2, 4)
        ]
    assert all(report == reports[0] for report in reports)
    assert all(report.to_dict() == reports[0].to_dict() for report in reports)
    if not damages:
        assert reports[0].verified is keyed


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 39),
        st.sampled_from(
            [
                ("/issuer/session_id", "other"),
                ("/credentialSubject/principal/id", "did:user:other"),
                ("/credentialSubject/outcome/status", "pending"),
                ("/credentialSubject/correlation_id", "call"),
                ("/credentialSubject/action/idempotency_key", "same"),
                ("/issuanceDate", "2020-01-01T00:00:00Z"),
                ("/issuanceDate", "2030-01-01T00:00:00Z"),
                ("/credentialSubject/chain/terminal", True),
                ("/issuer/runtime", {"tallystick": {"previous_chain": {"chain_id": "x"}}}),
            ]
        ),
    ),
    max_size=5,
)


@settings(max_examples=max(10, settings().max_examples // 2))
@given(CHANGES, st.lists(DAMAGE, max_size=2), st.sampled_from([METHOD, "did:agent:other#key-2"]))
def test_the_short_way_says_what_the_long_one_says(
    changes: list[tuple[int, tuple[str, Any]]], damages: list[tuple[str, int, Any]], method: str
) -> None:
    """Receipts that are taken as ordinary leave the same report as when none is."""
    receipts = chain_of(40)
    for at, (pointer, value) in changes:
        receipts[at] = with_member(receipts[at], pointer, value)
    receipts = relinked(receipts)
    data = damaged([wire(signed(one, method=method)) for one in receipts], damages)
    with pytest.MonkeyPatch.context() as patch:
        short = verify_input([Source(data)], PUBLIC)
        patch.setattr(Judge, "_is_ordinary_next", lambda _self, _examined: False)
        long = verify_input([Source(data)], PUBLIC)
    assert short == long


def test_most_receipts_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first of a plain chain are ordinary; so the property above compares something."""
    taken: list[bool] = []
    ordinary = Judge._is_ordinary_next

    def counted(judge: Judge, examined: Examined) -> bool:
        taken.append(ordinary(judge, examined))
        return taken[-1]

    monkeypatch.setattr(Judge, "_is_ordinary_next", counted)
    assert verify_input([Source([wire(one) for one in chain_of(20)])], PUBLIC).verified
    assert taken == [False] + [True] * 19


def test_the_long_chain_is_sound() -> None:
    """What the damages above are done to verifies as it is, with its hand-over."""
    report = verify_chain(LONG, PUBLIC, workers=3)
    assert report.verified
    assert len(report.chains[0].keys) == 2
