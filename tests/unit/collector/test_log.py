# SPDX-License-Identifier: Apache-2.0
"""The sequencer: durable before it is answered, one signature for each commit, errors for all."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.collectors import keys_in, opened, submission, submissions
from tests.stores import SqliteLog

from tallystick.collector import log
from tallystick.collector.log import Sequencer
from tallystick.collector.log_keys import LogKeys
from tallystick.crypto.merkle import leaf_hash
from tallystick.errors import StoreBusyError, StoreError, StoreStoppedError
from tallystick.limits import STEPPED_BACK_ITEMS_MAX
from tallystick.model.promise import open_promise
from tallystick.model.sheet import parse_sheet
from tallystick.model.submission import Placed, Submission


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteLog]:
    """Return a real store."""
    with opened(tmp_path) as found:
        yield found


@pytest.fixture
def keys(tmp_path: Path) -> LogKeys:
    """Return keys of a log."""
    return keys_in(tmp_path)


async def all_at_once(sequencer: Sequencer, given: Sequence[Submission]) -> list[Placed]:
    """Place receipts concurrently, as many connections would."""
    return list(await asyncio.gather(*(sequencer.place(one) for one in given)))


def test_each_receipt_has_its_own_place(store: SqliteLog, keys: LogKeys) -> None:
    """Many at once get contiguous indexes, and promises that hold for them and nobody else."""
    sequencer = Sequencer(store, keys)
    placed = asyncio.run(all_at_once(sequencer, submissions(50)))
    sequencer.close()
    assert sorted(one.index for one in placed) == list(range(50))
    sheet = parse_sheet(keys.sheet, keys.log.verifier)
    for one in placed:
        promise = open_promise(sequencer.promise_file(one), sheet)
        assert promise.index == one.index
        assert promise.holds(leaf_hash(one.entry))
        assert json.loads(sequencer.promise_json(one)).encode() == sequencer.promise_file(one)
        assert promise.promise.by_ms == one.batch.time_ms + keys.max_delay_ms


def test_a_crowd_shares_commits(store: SqliteLog, keys: LogKeys) -> None:
    """What waits while one commit runs goes into the next, under one signature."""
    commits: list[int] = []
    sequencer = Sequencer(store, keys, on_commit=lambda count, _seconds: commits.append(count))
    placed = asyncio.run(all_at_once(sequencer, submissions(64)))
    sequencer.close()
    assert sum(commits) == 64
    assert len(commits) < 16
    notes = {sequencer.promise_file(one).partition(b"\n\n")[2] for one in placed}
    assert len(notes) == len({one.batch.start for one in placed}) == len(commits)


def test_a_batch_is_one_commit(store: SqliteLog, keys: LogKeys) -> None:
    """Receipts that came together become durable together, in their order."""
    commits: list[int] = []
    sequencer = Sequencer(store, keys, on_commit=lambda count, _seconds: commits.append(count))
    placed = asyncio.run(sequencer.place_all(submissions(30)))
    assert asyncio.run(sequencer.place_all([])) == []
    sequencer.close()
    assert [one.index for one in placed] == list(range(30))
    assert commits == [30]


def test_the_same_receipt_has_the_same_promise(store: SqliteLog, keys: LogKeys) -> None:
    """What is there already is answered with the first promise, byte for byte: also later on."""
    sequencer = Sequencer(store, keys)
    first = asyncio.run(all_at_once(sequencer, submissions(9)))
    files = [sequencer.promise_file(one) for one in first]
    again = asyncio.run(all_at_once(sequencer, submissions(9)))
    assert not any(one.is_new for one in again)
    assert [sequencer.promise_file(one) for one in again] == files
    sequencer.close()
    other = Sequencer(store, keys)
    later = asyncio.run(other.place(submission("a5", sequence=5)))
    other.close()
    assert other.promise_file(later) in files


def test_who_has_gone_keeps_the_place(store: SqliteLog, keys: LogKeys) -> None:
    """A client that hangs up in between takes nobody else's answer with it."""

    async def some_leave() -> list[Placed | BaseException]:
        waits = [asyncio.ensure_future(sequencer.place(one)) for one in submissions(20)]
        await asyncio.sleep(0)
        for one in waits[::2]:
            one.cancel()
        return await asyncio.gather(*waits, return_exceptions=True)

    sequencer = Sequencer(store, keys)
    found = asyncio.run(some_leave())
    sequencer.close()
    assert all(isinstance(one, Placed) for one in found[1::2])
    assert store.next_index() == 20


def test_a_failed_commit_is_told_to_all(store: SqliteLog, keys: LogKeys) -> None:
    """After an error nothing more is taken; each who waited hears of it, and nobody is promised."""

    def broken(_submissions: Sequence[Submission], **_: object) -> tuple[Placed, ...]:
        raise StoreError("disk I/O error")

    async def fails() -> list[BaseException | Placed]:
        waits = (sequencer.place(one) for one in submissions(5))
        return await asyncio.gather(*waits, return_exceptions=True)

    store.place = broken  # type: ignore[method-assign]
    sequencer = Sequencer(store, keys)
    assert sequencer.fault is None
    found = asyncio.run(fails())
    assert all(isinstance(one, StoreError) for one in found)
    assert len({id(one) for one in found}) == 5
    assert "disk I/O error" in str(sequencer.fault)
    with pytest.raises(StoreStoppedError):
        asyncio.run(sequencer.place(submission("b")))
    sequencer.close()


def test_who_can_t_be_told_keeps_nobody_waiting(store: SqliteLog, keys: LogKeys) -> None:
    """A fault of ours in one answer is noted, and those behind it are told."""

    async def told() -> list[Placed]:
        sequencer.ask(submissions(1, "x"), failing)
        return await all_at_once(sequencer, submissions(3))

    def failing(_places: object, _fault: object) -> None:
        raise RuntimeError("a test")

    sequencer = Sequencer(store, keys)
    placed = asyncio.run(asyncio.wait_for(told(), 10))
    sequencer.close()
    assert [one.index for one in placed] == [1, 2, 3]


def test_a_passing_failure_stops_nothing(store: SqliteLog, keys: LogKeys) -> None:
    """An error that may pass is told to those who waited; the next ones are served."""
    place = store.place
    left = [StoreError("connection lost", is_transient=True)]

    def placing(given: Sequence[Submission], **_: object) -> tuple[Placed, ...]:
        if left:
            raise left.pop()
        return place(given)

    store.place = placing  # type: ignore[method-assign]
    sequencer = Sequencer(store, keys)
    with pytest.raises(StoreError, match="connection lost") as caught:
        asyncio.run(sequencer.place(submission("a")))
    assert caught.value.is_transient
    assert sequencer.fault is None
    assert asyncio.run(sequencer.place(submission("a"))).index == 0
    sequencer.close()


@pytest.mark.parametrize(
    "case",
    [
        (1, False, True),
        (STEPPED_BACK_ITEMS_MAX, True, False),
        (STEPPED_BACK_ITEMS_MAX + 1, False, False),
    ],
)
def test_the_loop_steps_back_for_a_moment(
    store: SqliteLog,
    keys: LogKeys,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[int, bool, bool],
) -> None:
    """Until the rows of a small commit are written, and not longer than it may; then it goes on."""
    count, tells, waits = case
    bound_ms = 200 if waits else 20_000
    monkeypatch.setattr(log, "STEPPED_BACK_MS_MAX", bound_ms)
    place, go_on = store.place, threading.Event()

    def slow(
        given: Sequence[Submission], /, *, on_written: Callable[[], None]
    ) -> tuple[Placed, ...]:
        if tells:
            on_written()
        assert go_on.wait(60)
        return place(given)

    async def run() -> float:
        began = time.monotonic()
        waiting = asyncio.ensure_future(sequencer.place_all(submissions(count)))
        await asyncio.sleep(0.02)
        took = time.monotonic() - began
        go_on.set()
        assert len(await waiting) == count
        return took

    store.place = slow  # type: ignore[assignment, method-assign]
    sequencer = Sequencer(store, keys)
    assert (asyncio.run(run()) > bound_ms / 1050) is waits
    sequencer.close()


def test_closed_it_takes_no_more(store: SqliteLog, keys: LogKeys) -> None:
    """After the end a receipt is refused, not forgotten."""
    sequencer = Sequencer(store, keys)
    sequencer.close()
    with pytest.raises(StoreError):
        asyncio.run(sequencer.place(submission("a")))
    assert store.next_index() == 0


def test_too_much_is_refused_at_the_door(
    store: SqliteLog, keys: LogKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a bound nothing more may wait: who is refused hears of it at once, others are kept."""
    monkeypatch.setattr(log, "WAITING_ITEMS_MAX", 10)

    async def crowd() -> list[Placed | BaseException]:
        waits = (sequencer.place(one) for one in submissions(30))
        return await asyncio.gather(*waits, return_exceptions=True)

    sequencer = Sequencer(store, keys)
    found = asyncio.run(crowd())
    sequencer.close()
    refused = [one for one in found if isinstance(one, StoreBusyError)]
    assert len(refused) == 20
    assert store.next_index() == 10


def test_a_large_crowd_is_cut_into_commits(
    store: SqliteLog, keys: LogKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One commit has a bound of its own; a batch that came together is not cut."""
    monkeypatch.setattr(log, "COMMIT_ITEMS_MAX", 8)
    commits: list[int] = []
    sequencer = Sequencer(store, keys, on_commit=lambda count, _seconds: commits.append(count))
    asyncio.run(all_at_once(sequencer, submissions(30)))
    asyncio.run(sequencer.place_all(submissions(20, "b")))
    sequencer.close()
    assert commits == [8, 8, 8, 6, 20]


def test_who_waits_when_it_closes_is_told(store: SqliteLog, keys: LogKeys) -> None:
    """What was not handed over yet is refused, and not stored."""

    async def closing() -> list[Placed | BaseException]:
        waits = [asyncio.ensure_future(sequencer.place(one)) for one in submissions(5)]
        await asyncio.sleep(0)
        sequencer.close()
        return await asyncio.gather(*waits, return_exceptions=True)

    sequencer = Sequencer(store, keys)
    found = asyncio.run(closing())
    assert all(isinstance(one, (Placed, StoreStoppedError)) for one in found)
    assert store.next_index() == sum(isinstance(one, Placed) for one in found)
