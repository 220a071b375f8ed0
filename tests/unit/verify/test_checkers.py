# SPDX-License-Identifier: Apache-2.0
"""Several processes that check, one order, a bounded window."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.material import (
    OTHER_KEY,
    OTHER_PUBLIC,
    PUBLIC,
    chain_of,
    full_statement,
    signed,
    wire,
    with_member,
)

from tallystick.limits import WINDOW_BYTES_MAX
from tallystick.verify import batch, checkers, companion, workers
from tallystick.verify.checker_process import CheckerProcess
from tallystick.verify.receipt import Examined, examine_all
from tallystick.verify.verification import verify_chain
from tallystick.verify.workers import tried

MANY = [2, 3, 7]
CHAIN = chain_of(1300)
SOUND = [wire(one) for one in CHAIN]


def broken() -> list[bytes]:
    """Return a chain in which many things are wrong, far apart and close together."""
    found = list(SOUND)
    for at in (3, 40, 41, 333, 700, 1001, 1002):
        found[at] = found[at].replace(b'"status":"success"', b'"status":"failure"')
    found[80] = wire(signed(CHAIN[80], OTHER_KEY))
    found[500] = b"{"
    found[600] = found[599]
    found[650] = wire(with_member(CHAIN[650], "/proof/proofValue", "u" + "A" * 86))
    found[900] = wire(signed(full_statement(901, "sha256:" + "0" * 64)))
    found[1200] = b'"' + b"x" * 200_000 + b'"'
    return found


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[CheckerProcess]:
    """Let checkers start with the first batch, and return those that did."""
    started: list[CheckerProcess] = []

    class Known(CheckerProcess):
        def __init__(self) -> None:
            super().__init__()
            started.append(self)

    monkeypatch.setattr(checkers, "CheckerProcess", Known)
    monkeypatch.setattr(workers, "_BATCHES_ALONE", 0)
    return started


def is_gone(checker: CheckerProcess) -> bool:
    try:
        os.kill(checker.pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("count", MANY)
def test_the_report_is_the_same_for_any_number(count: int, begun: list[CheckerProcess]) -> None:
    """Sound or broken: verdict, findings and chains are those of one worker."""
    for raws, keys in ((SOUND, [PUBLIC]), (broken(), [PUBLIC, OTHER_PUBLIC]), (SOUND, [])):
        report = verify_chain(raws, keys, workers=count)
        assert report.to_dict() == verify_chain(raws, keys).to_dict()
    # Without a key there is nothing to check; and no more are begun than there is work for.
    assert 2 <= len(begun) <= (count - 1) * 2
    assert all(map(is_gone, begun))


def everything(raws: list[Any]) -> list[Examined]:
    return examine_all(raws)


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 300])
def test_answers_come_in_order(count: int, length: int, begun: list[CheckerProcess]) -> None:
    """However many checkers there are, each receipt is told at its place."""
    told = [one.digest for one in tried(SOUND[:length], everything, lambda _: PUBLIC, count)]
    assert told == [one.digest for one in examine_all(SOUND[:length])]
    assert len(begun) <= count - 1


@pytest.mark.parametrize("count", [2, 4])
def test_a_lost_checker_loses_nothing(count: int, begun: list[CheckerProcess]) -> None:
    """Checkers that are killed half-way leave their batches to those that remain."""

    def killing() -> Iterator[bytes]:
        for number, raw in enumerate(broken()):
            yield raw
            if number in (200, 700) and len(begun) > number // 500:
                os.kill(begun[number // 500].pid, signal.SIGKILL)

    whole = verify_chain(iter(broken()), PUBLIC).to_dict()
    begun.clear()
    assert verify_chain(killing(), PUBLIC, workers=count).to_dict() == whole
    assert begun
    assert all(map(is_gone, begun))


@pytest.mark.parametrize("more", ["", "x" * 60_000], ids=["waiting", "asking"])
def test_a_stopped_checker_stops_nobody(
    more: str, begun: list[CheckerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its answers nor room in its pipe are waited for without end."""
    raws = [wire(signed(with_member(one, "/issuer/name", f"x{more}"))) for one in CHAIN[:40]] * 5

    def stopping() -> Iterator[bytes]:
        for number, raw in enumerate(raws):
            yield raw
            if number == 100:
                assert begun
                os.kill(begun[0].pid, signal.SIGSTOP)
                for module in (checkers, companion):
                    monkeypatch.setattr(module, "CHECKER_PATIENCE_MS", 50)

    told = list(tried(stopping(), everything, lambda _: PUBLIC, 2))
    assert [one.fits_tried_key for one in told] == [True] * len(raws)
    assert all(map(is_gone, begun))


def test_a_forked_process_asks_for_itself(begun: list[CheckerProcess]) -> None:
    """Two processes that go on with one verification come to the same, and take nobody's answer."""
    whole = verify_chain(iter(broken()), PUBLIC).to_dict()
    begun.clear()
    child = -1

    def forking() -> Iterator[bytes]:
        nonlocal child
        for number, raw in enumerate(broken()):
            if number == 500:
                assert begun
                child = os.fork()
            yield raw

    told: Any = None
    try:
        told = verify_chain(forking(), PUBLIC, workers=3).to_dict()
    finally:
        if child == 0:
            os._exit(told != whole)
    assert told == whole
    assert os.waitpid(child, 0)[1] == 0
    assert all(map(is_gone, begun[:2]))


@pytest.mark.parametrize("part", ["CheckerProcess", "DefaultSelector"])
def test_one_that_cannot_start_is_done_without(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process may be started, or no descriptor is left, this one does it all."""
    attempts: list[int] = []

    def fail() -> None:
        attempts.append(1)
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(checkers, part, fail)
    assert verify_chain(SOUND, PUBLIC, workers=3).verified
    assert attempts == [1]


def test_none_starts_where_there_is_no_interpreter(
    begun: list[CheckerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with an interpreter inside is not started again as a checker."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/nothing")
    assert verify_chain(SOUND, PUBLIC, workers=2).verified
    assert begun == []


@pytest.mark.parametrize("count", [2, 3])
def test_a_fault_of_the_source_is_raised(count: int, begun: list[CheckerProcess]) -> None:
    """An error while reading comes after what was read before, and no checker is left behind."""

    def raws() -> Iterator[bytes]:
        yield from SOUND[:100]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(tried(raws(), everything, lambda _: PUBLIC, count))
    assert all(map(is_gone, begun))


def test_all_end_when_the_caller_stops(begun: list[CheckerProcess]) -> None:
    """A caller that leaves early leaves no process behind."""
    told = tried(SOUND, everything, lambda _: PUBLIC, 4)
    next(told)
    assert begun
    told.close()  # type: ignore[attr-defined]  # a generator
    assert all(map(is_gone, begun))


class Counted:
    """Yields items, and remembers how many were taken."""

    def __init__(self, item: bytes, length: int) -> None:
        self.item = item
        self.length = length
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.length):
            self.taken += 1
            yield self.item


@pytest.mark.parametrize("count", [2, 7])
def test_small_items_are_taken_a_few_batches_ahead(count: int) -> None:
    """The window is bounded in batches."""
    source = Counted(b"small", 100_000)
    told = tried(source, everything, lambda _: PUBLIC, count)
    next(told)
    assert source.taken <= count * checkers._BATCHES_PER_WORKER * batch.BATCH_ITEMS
    told.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize(("size", "count"), [(1_000_000, 64), (60_000, 64), (60_000, 7)])
def test_the_window_is_bounded_in_bytes(size: int, count: int) -> None:
    """Of larger items there are never more on the way than the window holds."""
    source = Counted(b"x" * size, 2000)
    given = 0
    for _ in tried(source, lambda raws: [EMPTY] * len(raws), lambda _: None, count):
        ahead = (source.taken - given) * size
        assert ahead <= WINDOW_BYTES_MAX + batch.BATCH_BYTES + 2 * size
        given += 1
    assert given == 2000


@pytest.mark.parametrize("count", [7, 64])
def test_values_count_in_the_window(count: int) -> None:
    """Receipts that are given as values have a size once they are read: one batch may be over."""
    size, taken = 60_000, 0

    def values() -> Iterator[dict[str, object]]:
        nonlocal taken
        for _ in range(3000):
            taken += 1
            yield {}

    def examine(raws: list[Any]) -> list[Examined]:
        return [Examined(receipt=None, faults=[], body=bytes(size)) for _ in raws]

    for given, _ in enumerate(tried(values(), examine, lambda _: None, count)):
        assert (taken - given) * size <= WINDOW_BYTES_MAX + 2 * batch.BATCH_ITEMS * size


EMPTY = Examined(receipt=None, faults=[])
