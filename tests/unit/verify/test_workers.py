# SPDX-License-Identifier: Apache-2.0
"""Several threads, one order, a bounded window."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tallystick.limits import WINDOW_BYTES_MAX
from tallystick.verify import workers
from tallystick.verify.workers import ordered_map

ROOT = Path(__file__).resolve().parents[3]
MANY = [1, 2, 3, 7]

T = TypeVar("T")
U = TypeVar("U")


def each(function: Callable[[T], U]) -> Callable[[list[T]], list[U]]:
    """Return what does the same for a whole batch."""
    return lambda items: [function(item) for item in items]


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("length", [0, 1, 127, 128, 129, 1000])
def test_answers_come_in_order(count: int, length: int) -> None:
    """However many threads there are, the answers are those of `map`."""
    assert list(ordered_map(each(lambda item: item * 2), range(length), count)) == [
        item * 2 for item in range(length)
    ]


@pytest.mark.parametrize("count", MANY)
def test_answers_come_in_order_whatever_the_size(count: int) -> None:
    """Large items, which stay out of the threads, keep their place between small ones."""
    items = [b"x" * (70_000 if number % 7 == 0 else number) for number in range(300)]
    assert list(ordered_map(each(len), items, count)) == [len(item) for item in items]


@pytest.mark.parametrize("count", MANY)
def test_a_fault_arrives_at_its_place(count: int) -> None:
    """What comes before a failing item is answered; then its error is raised."""

    def halve(item: int) -> int:
        if item == 500:
            raise ZeroDivisionError("five hundred")
        return item

    answers = ordered_map(each(halve), range(1000), count)
    got = [next(answers) for _ in range(384)]  # the batches before that item's
    assert got == list(range(384))
    with pytest.raises(ZeroDivisionError, match="five hundred"):
        list(answers)


@pytest.mark.parametrize("count", MANY)
def test_a_fault_of_the_source_is_raised(count: int) -> None:
    """An error while reading the items is the caller's to see, and no thread is left behind."""

    def items() -> Iterator[int]:
        yield from range(100)
        raise OSError("gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="gone"):
        list(ordered_map(each(str), items(), count))
    wait_for_threads(before)


def wait_for_threads(before: int) -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(10)
    assert threading.active_count() <= before


def test_threads_end_when_the_caller_stops() -> None:
    """A caller that leaves early leaves no thread behind."""
    before = threading.active_count()
    answers = ordered_map(each(str), range(10_000), 4)
    assert next(answers) == "0"
    answers.close()  # type: ignore[attr-defined]  # a generator
    wait_for_threads(before)


@pytest.mark.parametrize("count", MANY)
def test_the_caller_is_one_of_the_workers(count: int) -> None:
    """There is one thread less than workers, and the caller's own takes its share."""
    seen: set[str] = set()
    meet = threading.Barrier(count, timeout=20)

    def where(item: int) -> int:
        name = threading.current_thread().name
        if name not in seen:
            seen.add(name)
            meet.wait()  # nobody goes on before each of them has an item
        return item

    assert list(ordered_map(each(where), range(1000), count)) == list(range(1000))
    assert len(seen) == count
    assert threading.current_thread().name in seen


def test_an_interrupt_reaches_the_caller_at_once() -> None:
    """Ctrl-C while the caller computes a later batch is not kept until that batch's turn."""
    main = threading.current_thread()
    is_hit = threading.Event()

    def work(item: int) -> int:
        if threading.current_thread() is main:
            is_hit.set()
            raise KeyboardInterrupt
        assert is_hit.wait(20)
        return item

    answers = ordered_map(each(work), range(1000), 2)
    with pytest.raises(KeyboardInterrupt):
        next(answers)


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
    answers = ordered_map(each(len), source, count)
    next(answers)
    most = count * workers._BATCHES_PER_WORKER * workers._BATCH_ITEMS
    assert source.taken <= most
    answers.close()  # type: ignore[attr-defined]  # a generator


@pytest.mark.parametrize(("size", "count"), [(1_000_000, 64), (60_000, 64), (60_000, 7)])
def test_the_window_is_bounded_in_bytes(size: int, count: int) -> None:
    """Of larger items there are never more on the way than the window holds."""
    source = Counted(b"x" * size, 2000)
    given = 0
    for _ in ordered_map(each(len), source, count):
        ahead = (source.taken - given) * size
        assert ahead <= WINDOW_BYTES_MAX + workers._BATCH_BYTES + 2 * size
        given += 1
    assert given == 2000


PROGRAM = """
import sys
from tests.material import PUBLIC, chain_of, wire
from tallystick.verify.verification import verify_chain
receipts = [wire(one) for one in chain_of(300)]
assert verify_chain(receipts, PUBLIC, workers=16).verified
"""


def test_a_cold_start_with_many_threads() -> None:
    """The first receipts of a process may be parsed by many threads at once."""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", PROGRAM], check=True, cwd=ROOT)
