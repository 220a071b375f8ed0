# SPDX-License-Identifier: Apache-2.0
"""The thread that waits for sockets."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tallystick.daemon.loop import READ, WRITE, Loop
from tallystick.limits import AWAKE_US_MAX


class Ear:
    def __init__(self, one: socket.socket, *, fails: bool = False) -> None:
        self.socket = one
        self.fails = fails
        self.heard: list[int] = []
        self.faults: list[Exception] = []

    def on_event(self, events: int) -> None:
        if self.fails:
            raise RuntimeError("on purpose")
        self.heard.append(events)
        if events & READ:
            self.socket.recv(100)

    def on_fault(self, fault: Exception) -> None:
        self.faults.append(fault)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(lambda: time.monotonic_ns() // 1_000_000)
    yield loop
    loop.close()


def test_it_calls_back_for_what_was_asked(loop: Loop) -> None:
    """Only the events that are watched are told, and none after 0."""
    here, there = socket.socketpair()
    with here, there:
        ear = Ear(here)
        loop.watch(here, 0, ear)
        loop.watch(here, READ, ear)
        there.send(b"x")
        loop.turn(1000)
        loop.watch(here, READ | WRITE, ear)
        loop.turn(1000)
        loop.watch(here, 0, ear)
        loop.turn(0)
        assert ear.heard == [READ, WRITE]


def test_one_that_fails_harms_no_other(loop: Loop) -> None:
    """A callback's error goes to its own `on_fault`."""
    pairs = [socket.socketpair() for _ in range(2)]
    bad, good = Ear(pairs[0][0], fails=True), Ear(pairs[1][0])
    for ear, (here, there) in zip((bad, good), pairs, strict=True):
        loop.watch(here, READ, ear)
        there.send(b"x")
    loop.turn(1000)
    assert [str(fault) for fault in bad.faults] == ["on purpose"]
    assert good.heard == [READ]
    for here, there in pairs:
        loop.watch(here, 0, good)
        here.close()
        there.close()


def test_another_thread_wakes_it(loop: Loop) -> None:
    """`wake` ends a turn that waits for nothing else, and many wakes are one."""

    def wake_often() -> None:
        for _ in range(10_000):
            loop.wake()

    waking = threading.Timer(0.02, wake_often)
    waking.start()
    began = time.monotonic()
    loop.turn(20_000)
    assert time.monotonic() - began < 10
    waking.join()
    loop.turn(0)
    before = time.monotonic()
    loop.turn(30)
    assert time.monotonic() - before > 0.02


def test_it_calls_again_and_again(loop: Loop) -> None:
    """A period is kept, and a turn doesn't sleep over it."""
    times: list[int] = []
    loop.call_every(10, lambda: times.append(loop.now_ms))
    end = time.monotonic() + 20
    while len(times) < 6:
        assert time.monotonic() < end
        loop.turn(60_000)
    assert all(later - one >= 10 for one, later in pairwise(times))


def test_it_calls_once_and_later(loop: Loop) -> None:
    """A delay is kept, and a turn doesn't sleep over it."""
    calls: list[int] = []
    began = time.monotonic()
    loop.call_later(30, lambda: calls.append(1))
    while not calls:
        loop.turn(10_000)
    assert 0.02 < time.monotonic() - began < 5
    loop.turn(60)
    assert calls == [1]


def test_who_is_eager_looks_on_and_sleeps_in_the_end(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes at once is found without sleep; with one processor, or nothing, it sleeps."""
    here, there = socket.socketpair()
    with here, there:
        ear = Ear(here)
        loop.watch(here, READ, ear)
        waits: list[float | None] = []
        select = loop._selector.select

        def noted(wait_s: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            waits.append(wait_s)
            return select(wait_s)

        monkeypatch.setattr(loop._selector, "select", noted)
        monkeypatch.setattr("tallystick.daemon.loop._MAY_LOOK_ON", True)
        there.send(b"x")
        loop.turn(1000, is_eager=True)
        assert (ear.heard, waits) == ([READ], [0])
        loop.turn(10, is_eager=True)
        assert (ear.heard, set(waits), waits[-1]) == ([READ], {0, 0.01}, 0.01)
        waits.clear()
        loop.turn(10)
        assert waits == [0.01]
        monkeypatch.setattr("tallystick.daemon.loop._MAY_LOOK_ON", False)
        loop.turn(10, is_eager=True)
        assert waits == [0.01, 0.01]
        loop.watch(here, 0, ear)


def test_to_look_on_is_over_soon(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a millisecond of a processor, and not more, for each turn."""
    monkeypatch.setattr("tallystick.daemon.loop._MAY_LOOK_ON", True)
    began = time.thread_time()
    for _ in range(100):
        loop.turn(1, is_eager=True)
    assert time.thread_time() - began < 100 * 10 * AWAKE_US_MAX / 1e6
