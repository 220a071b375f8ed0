# SPDX-License-Identifier: Apache-2.0
"""Monitors over random lives of a log: the honest one is never accused, each lie always is."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.collectors import START_MS, Clock, keys_in, submissions
from tests.served_log import SHEET, VKEY, ServedLog
from tests.stores import SqliteLog

from tallystick.collector.log_keys import LogKeys
from tallystick.collector.log_view import LogView
from tallystick.collector.service import LogService
from tallystick.crypto.multibase import b64_encode
from tallystick.model.promise import promise_file
from tallystick.model.sheet import parse_sheet
from tallystick.model.tile import parse_tile_path
from tallystick.verify.fraud import judge
from tallystick.watch.monitor import Look, Monitor
from tallystick.watch.watched import promise_in_answer

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(1, 300)),
        st.tuples(st.just("clock"), st.integers(-90_000, 9_000)),
        st.tuples(st.just("checkpoint"), st.just(0)),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    min_size=1,
    max_size=14,
)


class Honest:
    """A collector's own parts over a real store, with a clock that jumps, and restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.keys: LogKeys = keys_in(folder)
        self.sheet = parse_sheet(self.keys.sheet, self.keys.log.verifier)
        self.count = 0
        self.answers: list[bytes] = []
        self._begin()

    def _begin(self) -> None:
        self.store = SqliteLog(self.folder / "collector.db", clock_ms=self.clock)
        # Checkpoints are made by hand: the thread sleeps through the test.
        self.service = LogService(self.store, self.keys, self.folder / "released", growing_s=10_000)
        self.service.start()
        self.log: LogView = self.service.log

    def get(self, path: str, /) -> bytes | None:
        """Read the log as its routes show it."""
        if path == "sheet":
            return self.log.sheet
        if path == "checkpoint":
            return self.log.newest.note if self.log.newest is not None else None
        tile = parse_tile_path(path)
        if tile is None:
            return None
        if tile.level is None:
            return self.log.bundle(tile.number, tile.width)
        return self.log.tile(tile.level, tile.number, tile.width)

    def place(self, count: int) -> None:
        """Take receipts in one commit, and keep what their senders are told."""
        self.count += 1
        placed = self.store.place(submissions(count, f"{self.count}."))
        note = self.keys.promise_note(placed[0].batch)
        for one in (placed[0], placed[-1]):
            promise = promise_file(one.index, one.path_lines, note).decode()
            answer = {"entry": b64_encode(one.entry), "promise": promise}
            self.answers.append(msgspec.json.encode(answer))

    def restart(self) -> None:
        """End without an orderly end, and begin again."""
        self.close()
        self._begin()

    def close(self) -> None:
        """End at once."""
        self.service.close()
        self.store.close()


def monitor_of(log: Any, key: Any) -> Monitor:
    """Return a monitor that does not mind how old a checkpoint is."""
    return Monitor(
        log,
        key,
        save=lambda _seen: None,
        clock_s=lambda: START_MS / 1000,
        silent_after_s=10**9,
    )


@given(steps=STEPS)
@settings(max_examples=max(10, settings().max_examples // 5))
def test_an_honest_log_is_never_accused(steps: list[tuple[str, int]]) -> None:
    """Whatever the clock does, however often it is restarted, all promises are kept in order."""
    memory = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as made, closing(Honest(Path(made))) as log:
        monitor = monitor_of(log, log.keys.log.verifier)
        told = kept = 0

        def look() -> Look:
            monitor.watch(promise_in_answer(one, log.sheet) for one in log.answers[told:])
            found = monitor.look()
            assert not found.frauds
            assert not [one for one in found.alarms if "ahead" not in one]
            return found

        for what, amount in [*steps, ("checkpoint", 0), ("look", 0)]:
            if what == "place":
                log.place(amount)
            elif what == "clock":
                log.clock.now_ms += amount
            elif what == "checkpoint":
                log.service._checkpoints.make()
            elif what == "restart":
                log.restart()
            else:
                kept += look().kept
                told = len(log.answers)
        assert kept == len(set(log.answers))


LIES = ("drop", "swap", "fork", "roll back", "backdate", "rewrite")


@pytest.mark.parametrize("lie", LIES)
@given(data=st.data())
@settings(max_examples=max(10, settings().max_examples // 5))
def test_each_lie_is_proven(lie: str, data: st.DataObject) -> None:
    """After a random honest past, one lie of each kind leaves evidence that anybody can judge."""
    log = ServedLog()
    monitor = monitor_of(log, VKEY)
    for count in data.draw(st.lists(st.integers(1, 120), min_size=1, max_size=4)):
        log.passes(data.draw(st.integers(1, 20))).fill(count).release()
        assert not monitor.look().frauds
    size = len(log.entries)
    at = data.draw(st.integers(0, size - 1))
    more = data.draw(st.integers(1, 120))
    if lie == "drop":
        monitor.watch([promise_in_answer(log.promise("dropped")[0], SHEET)])
        log.passes(10)
        if data.draw(st.booleans()):
            log.fill(more)
    elif lie == "swap":
        bodies = log.take(*(f"s{one}" for one in range(more + 1)))
        monitor.watch(promise_in_answer(one, SHEET) for one in (bodies[0], bodies[-1]))
        log.entries[size], log.entries[-1] = log.entries[-1], log.entries[size]
        log.passes(1)
    elif lie == "fork":
        other = log.copy().passes(1).fill(data.draw(st.integers(1, 120)), "theirs")
        monitor.hear(other.release())
        log.passes(2).fill(len(other.entries) - size + more, "ours")
    elif lie == "roll back":
        del log.entries[at:]
        log.passes(1)
    elif lie == "backdate":
        log.entries.append(log.entry("late", log.now_s - 5))
        log.passes(1)
    else:
        log.entries[at] = log.entry("another")
        log.passes(1).fill(more)
    log.release()
    look = monitor.look()
    assert look.frauds, look.alarms
    assert all(judge(one.evidence, VKEY).is_proven for one in look.frauds)
