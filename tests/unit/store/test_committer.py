# SPDX-License-Identifier: Apache-2.0
"""Group commit: batches form while a commit runs, bounds hold, and a failure is final."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from tests.daemons import wait_until

from tallystick.errors import StoreBusyError, StoreError, StoreStoppedError
from tallystick.store.committer import GroupCommit


class Desk:
    """Commits when it is let, and notes what it was told."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.told: list[tuple[list[int], int | None, Exception | None]] = []
        self.errors: dict[int, Exception] = {}

    def commit(self, items: Sequence[int]) -> int:
        """Wait for the gate; fail where an item says so."""
        self.entered.release()
        assert self.gate.acquire(timeout=10)
        self.batches.append(list(items))
        for item in items:
            if item in self.errors:
                raise self.errors[item]
        return len(self.batches)

    def done(self, items: Sequence[int], result: int | None, error: Exception | None) -> None:
        """Note what came of a batch."""
        self.told.append((list(items), result, error))


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk whose gate is open at the end, so that no thread stays."""
    one = Desk()
    yield one
    one.gate.release(1000)


def test_what_waits_shares_the_next_commit(desk: Desk) -> None:
    """The first item goes alone; what comes meanwhile goes together, in order, and is told once."""
    commit = GroupCommit(desk.commit, desk.done)
    commit.submit(0)
    assert desk.entered.acquire(timeout=10)
    for item in range(1, 6):
        commit.submit(item)
    assert commit.waiting == 5
    desk.gate.release(2)
    commit.close()
    assert desk.batches == [[0], [1, 2, 3, 4, 5]]
    assert desk.told == [([0], 1, None), ([1, 2, 3, 4, 5], 2, None)]
    assert commit.waiting == 0
    commit.close()


def test_a_patient_item_shares_the_commit_of_the_next(desk: Desk) -> None:
    """It waits for one that has no patience, and goes before it; the next one goes alone again."""
    desk.gate.release(100)
    commit = GroupCommit(desk.commit, desk.done)
    commit.submit(0, patience_ms=60_000)
    commit.submit(1, patience_ms=60_000)
    assert not desk.entered.acquire(timeout=0.05)
    commit.submit(2)
    assert desk.entered.acquire(timeout=10)
    commit.submit(3)
    assert desk.entered.acquire(timeout=10)
    commit.close()
    assert desk.batches == [[0, 1, 2], [3]]


def test_who_has_patience_holds_up_nobody(desk: Desk) -> None:
    """Behind one that has none it goes along at once; behind one that has less, when that goes."""
    commit = GroupCommit(desk.commit, desk.done)
    commit.submit(0)
    assert desk.entered.acquire(timeout=10)
    commit.submit(1)
    commit.submit(2, patience_ms=60_000)
    desk.gate.release(100)
    assert desk.entered.acquire(timeout=10)
    wait_until(lambda: commit.is_idle)
    commit.submit(3, patience_ms=60_000)  # it has patience again, and waits for the next
    assert not desk.entered.acquire(timeout=0.05)
    commit.submit(4)
    assert desk.entered.acquire(timeout=10)
    wait_until(lambda: commit.is_idle)
    commit.submit(5, patience_ms=20)
    commit.submit(6, patience_ms=60_000)
    assert desk.entered.acquire(timeout=10)
    commit.close()
    assert desk.batches[:3] == [[0], [1, 2], [3, 4]]
    assert [item for batch in desk.batches[3:] for item in batch] == [5, 6]


def test_what_a_full_commit_leaves_waits_for_nobody(desk: Desk) -> None:
    """The rest of a crowd is committed right behind it, be there an item with patience or not."""
    commit = GroupCommit(desk.commit, desk.done, count_max=2)
    commit.submit(0)
    assert desk.entered.acquire(timeout=10)
    for item in (1, 2, 3):
        commit.submit(item)
    commit.submit(4, patience_ms=60_000)
    desk.gate.release(100)
    for _ in range(2):
        assert desk.entered.acquire(timeout=10)
    commit.close()
    assert desk.batches == [[0], [1, 2], [3, 4]]


def test_patience_ends(desk: Desk) -> None:
    """Alone, an item goes when its time is over; at the end, nothing waits any more."""
    desk.gate.release(100)
    commit = GroupCommit(desk.commit, desk.done)
    began = time.monotonic()
    commit.submit(0, patience_ms=50)
    assert desk.entered.acquire(timeout=10)
    assert time.monotonic() - began >= 0.05
    commit.submit(1, patience_ms=60_000)
    commit.close()
    assert time.monotonic() - began < 10
    assert desk.batches == [[0], [1]]


def test_a_commit_is_capped_by_count_and_by_bytes(desk: Desk) -> None:
    """No batch holds more than either bound, and an item larger than a bound goes alone, whole."""
    commit = GroupCommit(desk.commit, desk.done, count_max=4, bytes_max=100)
    commit.submit(0)
    assert desk.entered.acquire(timeout=10)
    for item in (1, 2):
        commit.submit(item, size=60)
    for item in (3, 4):
        commit.submit(item, count=3)
    commit.submit(5, count=9, size=500)
    commit.submit(6)
    desk.gate.release(100)
    commit.close()
    assert desk.batches == [[0], [1], [2, 3], [4], [5], [6]]


def test_a_full_line_refuses(desk: Desk) -> None:
    """Beyond either bound `submit` says so and takes nothing; an empty line takes anything."""
    commit = GroupCommit(desk.commit, desk.done, waiting_max=2, waiting_bytes_max=100)
    commit.submit(0, count=50, size=5000)
    assert desk.entered.acquire(timeout=10)
    commit.submit(1)
    commit.submit(2)
    with pytest.raises(StoreBusyError, match="already wait") as caught:
        commit.submit(3)
    assert caught.value.is_transient
    desk.gate.release(2)
    assert desk.entered.acquire(timeout=10)
    commit.submit(4, size=90)
    with pytest.raises(StoreBusyError):
        commit.submit(5, size=20)
    desk.gate.release(100)
    commit.close()
    assert desk.batches == [[0], [1, 2], [4]]


def test_after_a_failure_nothing_is_committed(desk: Desk) -> None:
    """The failed batch and all that waits hear the error; later ones are refused."""
    commit = GroupCommit(desk.commit, desk.done)
    desk.errors[0] = StoreError("the disk is gone")
    commit.submit(0)
    assert desk.entered.acquire(timeout=10)
    commit.submit(1)
    desk.gate.release(100)
    commit.close()
    assert desk.batches == [[0]]
    assert [(items, result, str(error)) for items, result, error in desk.told] == [
        ([0], None, "the disk is gone"),
        ([1], None, "the disk is gone"),
    ]
    assert commit.fault is desk.errors[0]
    with pytest.raises(StoreStoppedError, match="the disk is gone"):
        commit.submit(2)


@pytest.mark.parametrize("error", [StoreError("gone for now", is_transient=True), ValueError("?")])
def test_other_failures_are_one_batch_s_own(desk: Desk, error: Exception) -> None:
    """A transient error, or one that is no store's, is told to its batch; the next is committed."""
    commit = GroupCommit(desk.commit, desk.done)
    desk.errors[0] = error
    commit.submit(0)
    assert desk.entered.acquire(timeout=10)
    commit.submit(1)
    desk.gate.release(100)
    commit.close()
    assert desk.batches == [[0], [1]]
    assert [(items, fault) for items, _, fault in desk.told] == [([0], error), ([1], None)]
    assert commit.fault is None


def test_closing_commits_what_waits_and_takes_no_more(desk: Desk) -> None:
    """`close` returns when everything taken is told; after it nothing is taken."""
    commit = GroupCommit(desk.commit, desk.done)
    desk.gate.release(1000)
    for item in range(100):
        commit.submit(item)
    commit.close()
    assert [item for items, _, _ in desk.told for item in items] == list(range(100))
    with pytest.raises(StoreStoppedError, match="closing"):
        commit.submit(100)


def test_many_threads_submit(desk: Desk) -> None:
    """Items of several threads are each committed once, each thread's in its order."""
    desk.gate.release(100_000)
    commit = GroupCommit(desk.commit, desk.done, waiting_max=100_000)

    def work(base: int) -> None:
        for item in range(base, base + 500):
            commit.submit(item)

    threads = [threading.Thread(target=work, args=(base,)) for base in range(0, 4000, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commit.close()
    items = [item for batch in desk.batches for item in batch]
    assert len(items) == 2000
    for base in range(0, 4000, 1000):
        assert [one for one in items if base <= one < base + 1000] == list(range(base, base + 500))


def test_it_is_idle_where_nothing_waits_and_nothing_is_committed(desk: Desk) -> None:
    """Also behind an item that had patience: whoever asks may do the next one's work himself."""
    commit = GroupCommit(desk.commit, desk.done)
    wait_until(lambda: commit.is_idle)
    commit.submit(0)
    assert not commit.is_idle
    assert desk.entered.acquire(timeout=10)
    assert not commit.is_idle
    desk.gate.release()
    wait_until(lambda: commit.is_idle)
    commit.submit(1, patience_ms=30)
    assert not commit.is_idle
    assert desk.entered.acquire(timeout=10)
    assert not commit.is_idle
    desk.gate.release()
    wait_until(lambda: commit.is_idle)
    commit.submit(2, patience_ms=60_000)
    wait_until(lambda: commit._is_asleep)  # with something in line
    assert not commit.is_idle
    desk.gate.release()
    commit.close()
    assert not commit.is_idle
    assert desk.batches == [[0], [1], [2]]


def test_what_has_failed_is_not_idle(desk: Desk) -> None:
    """Nobody is to store beside it, and it takes nothing more itself."""
    commit = GroupCommit(desk.commit, desk.done)
    desk.errors[0] = StoreError("the disk is gone")
    commit.submit(0)
    desk.gate.release()
    wait_until(lambda: commit.fault is not None)
    wait_until(lambda: commit._is_asleep)
    assert not commit.is_idle
    with pytest.raises(StoreStoppedError, match="the disk is gone"):
        commit.submit(1)
    assert commit.waiting == 0
    commit.close()
    assert desk.batches == [[0]]
