# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: each step durable before the next, one time line, and an end that is told."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest
from tests.collectors import Clock, keys_in, opened, submissions

from tallystick.collector.checkpoints import Checkpoints
from tallystick.collector.guard import Guard
from tallystick.errors import LogRolledBackError, StoreError
from tallystick.model.checkpoint import open_checkpoint
from tallystick.model.submission import Intent


class Bench:
    """Checkpoints over a real store, and what became of them."""

    def __init__(self, folder: Path, *, growing_s: float = 1.0, idle_s: float = 10.0) -> None:
        self.clock = Clock()
        self.now_s = 0.0
        self.shown: list[Intent] = []
        self.faults: list[str] = []
        self.released: list[tuple[Intent, Intent | None]] = []
        self.keys = keys_in(folder)
        self.guard = Guard(folder / "released", self.keys.origin)
        self._stack = ExitStack()
        self.store = self._stack.enter_context(opened(folder, self.clock))
        self.guard.check(self.store)
        self.checkpoints = Checkpoints(
            self.store,
            self.keys,
            self.guard,
            self.shown.append,
            on_fault=self.faults.append,
            on_release=lambda made, before, _seconds: self.released.append((made, before)),
            growing_s=growing_s,
            idle_s=idle_s,
            monotonic=lambda: self.now_s,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.checkpoints.stop()
        self._stack.close()


def test_a_checkpoint_covers_all_that_was_placed(tmp_path: Path) -> None:
    """Its note is signed by log and time key, over size and root of the store."""
    with Bench(tmp_path) as bench:
        bench.store.place(submissions(5))
        made = bench.checkpoints.make()
        assert made.note is not None
        signed = open_checkpoint(made.note, bench.keys.log.verifier, bench.keys.time.verifier)
        assert (signed.size, signed.time_s) == (5, bench.clock.now_ms // 1000)
        assert bench.store.released() == made
        assert bench.shown == [made]
        assert bench.released == [(made, None)]


def test_the_guard_knows_before_the_store_shows(tmp_path: Path) -> None:
    """What could be seen is on record first: after a crash between the two nothing is unknown."""
    with Bench(tmp_path) as bench:
        seen: list[tuple[int, Intent | None]] = []
        record = bench.guard.record

        def watched(said: Intent) -> None:
            record(said)
            seen.append((said.number, bench.store.released()))

        bench.guard.record = watched  # type: ignore[method-assign]
        bench.checkpoints.make()
        assert seen == [(1, None)]


def test_an_intent_of_a_crash_is_signed_as_it_stands(tmp_path: Path) -> None:
    """Whatever came in since, the checkpoint that was begun is finished first."""
    with Bench(tmp_path) as bench:
        bench.store.place(submissions(3))
        intent = bench.store.advance()
        bench.clock.passes(5)
        bench.store.place(submissions(4, "b"))
        made = bench.checkpoints.make()
        assert (made.number, made.size, made.time_s) == (1, 3, intent.time_s)
        assert bench.checkpoints.make().size == 7


def test_a_growing_log_has_one_at_each_look(tmp_path: Path) -> None:
    """A look makes a checkpoint where entries wait, and none where nothing is due."""
    with Bench(tmp_path) as bench:
        bench.checkpoints.make()
        bench.checkpoints.look()
        assert len(bench.shown) == 1
        bench.store.place(submissions(1))
        bench.checkpoints.look()
        assert [one.size for one in bench.shown] == [0, 1]


def test_an_idle_log_says_that_it_is_there(tmp_path: Path) -> None:
    """After ten seconds the same size is signed again, with a new time."""
    with Bench(tmp_path) as bench:
        first = bench.checkpoints.make()
        for _ in range(10):
            bench.now_s += 1
            bench.clock.passes(1)
            bench.checkpoints.look()
        assert [one.size for one in bench.shown] == [0, 0]
        assert bench.shown[1].time_s == first.time_s + 10


@pytest.mark.parametrize("step_s", [-3600, -1, 0])
def test_a_clock_that_jumps_back_moves_nothing_back(tmp_path: Path, step_s: int) -> None:
    """Times of entries and checkpoints never decrease, and an entry is never above its own."""
    with Bench(tmp_path) as bench:
        bench.store.place(submissions(2))
        before = bench.checkpoints.make()
        bench.clock.passes(step_s)
        placed = bench.store.place(submissions(2, "b"))
        after = bench.checkpoints.make()
        assert after.time_s >= before.time_s
        assert placed[0].batch.time_ms >= 1000 * before.time_s
        assert placed[0].batch.time_ms < 1000 * (after.time_s + 1)


def test_what_another_process_released_is_shown(tmp_path: Path) -> None:
    """Where two collectors share a store, each shows the newest, whoever made it."""
    with Bench(tmp_path) as bench:
        bench.checkpoints.make()
        bench.store.place(submissions(2))
        intent = bench.store.advance()
        bench.store.release(intent.number, bench.keys.checkpoint_note(intent))
        bench.checkpoints.look()
        assert [one.number for one in bench.shown] == [1, 2]
        word = bench.guard.read()
        assert word is not None
        assert word.number == 2


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_the_thread_follows_the_store(tmp_path: Path) -> None:
    """Once started, checkpoints come by themselves; stopped, no more do."""
    with Bench(tmp_path, growing_s=0.01) as bench:
        bench.checkpoints.start()
        bench.store.place(submissions(1))
        until(lambda: bool(bench.shown) and bench.shown[-1].size == 1)
        bench.store.place(submissions(1, "b"))
        until(lambda: bench.shown[-1].size == 2)
        bench.checkpoints.stop()
        bench.store.place(submissions(1, "c"))
        time.sleep(0.05)
        assert bench.shown[-1].size == 2
        assert not bench.faults
        assert not [one for one in threading.enumerate() if one.name == "checkpoints"]


def test_a_failure_ends_it_and_is_told(tmp_path: Path) -> None:
    """Where the store or the guard fails, nothing more is signed, and the service hears why."""
    with Bench(tmp_path, growing_s=0.01) as bench:
        bench.checkpoints.make()
        (tmp_path / "released").unlink()
        (tmp_path / "released").mkdir()
        bench.checkpoints.start()
        bench.store.place(submissions(1))
        until(lambda: bool(bench.faults))
        assert "could not be" in bench.faults[0]
        released = bench.store.released()
        assert released is not None
        assert released.size == 0  # the intent is there, and nobody has seen it


def test_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    """A fault that the store calls passing makes the next checkpoint late, and no more."""
    with Bench(tmp_path, growing_s=0.01) as bench:
        advance = bench.store.advance
        left = [StoreError("for now", is_transient=True)] * 3

        def advancing() -> Intent:
            if left:
                raise left.pop()
            return advance()

        bench.store.advance = advancing  # type: ignore[method-assign]
        bench.checkpoints.start()
        until(lambda: bool(bench.shown))
        assert not bench.faults


def test_a_process_without_files_makes_the_next_one_late(tmp_path: Path) -> None:
    """Who opens connections until no descriptor is left does not end the log."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Bench(tmp_path, growing_s=0.01) as bench:
        bench.checkpoints.start()
        until(lambda: bool(bench.shown))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            bench.store.place(submissions(1))
            time.sleep(0.2)
            assert bench.shown[-1].size == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        until(lambda: bench.shown[-1].size == 1)
        assert not bench.faults


@pytest.mark.parametrize("others", [0, 1, 2])
def test_a_store_that_forgets_while_it_is_open(tmp_path: Path, others: int) -> None:
    """Nothing is signed over it, and nothing shown that others signed over it, until it has all
    that was said: a standby that lags may take its place under a process that promised nothing.
    """
    there = tmp_path / "standby"
    there.mkdir()
    with Bench(tmp_path) as bench, Bench(there) as standby:
        bench.store.place(submissions(1))
        said = bench.checkpoints.make()
        for number in range(others):
            standby.store.place(submissions(1, f"other {number}"))
            intent = standby.store.advance()
            standby.store.release(intent.number, bench.keys.checkpoint_note(intent))
        before = standby.store.released()
        bench.checkpoints._store = standby.store
        bench.now_s = 10.0
        for step in (bench.checkpoints.make, bench.checkpoints.look):
            with pytest.raises(LogRolledBackError):
                step()
        assert standby.store.pending() is None
        assert standby.store.released() == before
        assert bench.shown == [said]


def test_what_another_process_released_is_shown_when_asked_for(tmp_path: Path) -> None:
    """A reader who comes from there finds no older checkpoint here; the guard has it first."""
    with Bench(tmp_path) as bench:
        other = Checkpoints(
            bench.store,
            bench.keys,
            Guard(tmp_path / "other", bench.keys.origin),
            lambda _: None,
            on_fault=bench.faults.append,
            monotonic=lambda: 0.0,
        )
        bench.checkpoints.make()
        bench.store.place(submissions(3))
        made = other.make()
        bench.checkpoints.catch_up()
        bench.checkpoints.catch_up()
        assert bench.shown[1:] == [made]
        known = bench.guard.read()
        assert known is not None
        assert known.number == made.number
