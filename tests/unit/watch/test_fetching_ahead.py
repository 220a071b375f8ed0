# SPDX-License-Identifier: Apache-2.0
"""Bundles are fetched a few at a time; none that is slow or broken keeps another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from threading import Event, Lock
from typing import BinaryIO

import msgspec
import pytest

from tallystick.errors import NodeError
from tallystick.limits import FETCHES_AT_ONCE_MAX
from tallystick.model.post import NO_TERMS, Commitment
from tallystick.onchain.contracts import Posted
from tallystick.watch.fetching_ahead import FetchingAhead

WORD = bytes(32)
COMMITMENT = Commitment(
    intent_hash=WORD,
    constraints_hash=WORD,
    route_hash=WORD,
    outcome_hash=WORD,
    evidence_hash=WORD,
    created_at=0,
    expiry=0,
    solver_id=WORD,
)


def posts(count: int) -> list[Posted]:
    first = Posted(
        receipt_id=b"", commitment=COMMITMENT, terms=NO_TERMS, location="", nonce=None, block=1
    )
    return [msgspec.structs.replace(first, receipt_id=bytes([one])) for one in range(count)]


class Shelf:
    """Opens one stream for each post; one that is told to waits."""

    def __init__(self) -> None:
        self.open = self.most = 0
        self.slow: dict[bytes, Event] = {}
        self.closed: list[bytes] = []
        self._lock = Lock()

    @contextmanager
    def __call__(self, posted: Posted, /) -> Iterator[BinaryIO]:
        with self._lock:
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            if posted.receipt_id in self.slow:
                assert self.slow[posted.receipt_id].wait(20)
            yield BytesIO(posted.receipt_id)
        finally:
            with self._lock:
                self.open -= 1
                self.closed.append(posted.receipt_id)


def test_a_slow_one_keeps_no_other() -> None:
    """It comes last; all others come before it, each open until the next is asked for."""
    shelf, wanted = Shelf(), posts(3 * FETCHES_AT_ONCE_MAX)
    slow = shelf.slow[wanted[0].receipt_id] = Event()
    found = []
    for one in FetchingAhead(shelf).each(wanted):
        assert isinstance(one.bundle, BytesIO)
        assert one.bundle.read() == one.posted.receipt_id
        assert one.posted.receipt_id not in shelf.closed
        found.append(one.posted.receipt_id)
        if len(found) == len(wanted) - 1:
            slow.set()
    assert found[-1] == wanted[0].receipt_id
    assert sorted(found) == [one.receipt_id for one in wanted]
    assert shelf.open == 0
    assert 2 <= shelf.most <= FETCHES_AT_ONCE_MAX


def test_what_is_raised_is_given_out() -> None:
    """As that one's, whatever it is; what is raised in choosing the next one ends all."""

    def broken(posted: Posted, /) -> Shelf:
        raise (NodeError("away"), OSError("full"))[posted.receipt_id[0]]

    ahead = FetchingAhead(broken)  # type: ignore[arg-type]
    found = {one.posted.receipt_id: one.bundle for one in ahead.each(posts(2))}
    assert [type(found[one.receipt_id]) for one in posts(2)] == [NodeError, OSError]

    def choosing() -> Iterator[Posted]:
        yield posts(1)[0]
        raise NodeError("the node is away")

    for _ in range(2 * FETCHES_AT_ONCE_MAX):  # and takes no room with it
        with pytest.raises(NodeError, match="the node"):
            list(ahead.each(choosing()))


def test_a_round_that_ended_early_leaves_nothing_open() -> None:
    """What comes when nobody looks any more is closed, and its room is free for the next round."""
    shelf, wanted = Shelf(), posts(FETCHES_AT_ONCE_MAX)
    ahead = FetchingAhead(shelf)
    for one in wanted[1:]:
        shelf.slow[one.receipt_id] = Event()
    with closing(ahead.each(wanted)) as found:
        assert next(found).posted == wanted[0]
    for event in shelf.slow.values():
        event.set()
    assert len(list(ahead.each(wanted))) == len(wanted)
    assert sorted(shelf.closed) == sorted(2 * [one.receipt_id for one in wanted])
