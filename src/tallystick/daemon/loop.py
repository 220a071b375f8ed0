# SPDX-License-Identifier: Apache-2.0
"""The one thread that waits for sockets: calls back who can go on, and looks at the clock.

A callback that fails harms nobody else: its own `on_fault` is called, and the loop goes on.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

from tallystick.limits import AWAKE_US_MAX

READ: Final = selectors.EVENT_READ
WRITE: Final = selectors.EVENT_WRITE

# Bytes that wake the loop mean nothing: as many as there are, at once.
_WAKE_BYTES: Final = 4096

# Where there is one processor, whoever looks on keeps the one from it that is waited for.
_MAY_LOOK_ON: Final = (
    len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else os.cpu_count() or 1
) > 1


class Watched(Protocol):
    """What the loop calls."""

    def on_event(self, events: int) -> None:
        """Go on: the socket can be read or written."""

    def on_fault(self, fault: Exception) -> None:
        """End: `on_event` raised this."""


class Loop:
    """Waits for sockets and for moments; `wake` works from every thread."""

    def __init__(self, monotonic_ms: Callable[[], int]) -> None:
        self._selector = selectors.DefaultSelector()
        self._clock = monotonic_ms
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._selector.register(self._reader, READ, None)
        self._periods: list[tuple[int, Callable[[], None]]] = []
        self._due: list[int] = []
        self._later: list[tuple[int, Callable[[], None]]] = []
        self.now_ms = monotonic_ms()

    def wake(self) -> None:
        """Let `turn` return soon."""
        try:
            self._writer.send(b"\0")
        except (BlockingIOError, OSError):
            pass  # enough wakes are on their way, or the loop is closed

    def watch(self, one: socket.socket, events: int, watched: Watched) -> None:
        """Call back for these events, and for no others than these; 0 is none."""
        known = self._selector.get_map().get(one.fileno())
        if known is None:
            if events:
                self._selector.register(one, events, watched)
        elif not events:
            self._selector.unregister(one)
        elif known.events != events:
            self._selector.modify(one, events, watched)

    def call_every(self, period_ms: int, function: Callable[[], None]) -> None:
        """Call a function again and again, about so often."""
        self._periods.append((period_ms, function))
        self._due.append(self._clock() + period_ms)

    def call_later(self, delay_ms: int, function: Callable[[], None]) -> None:
        """Call a function once, after so long."""
        self._later.append((self._clock() + delay_ms, function))

    def turn(self, wait_ms: int | None = None, *, is_eager: bool = False) -> None:
        """Wait once, and call back whatever can go on; who is eager looks on before it sleeps."""
        self.now_ms = self._clock()
        for due in (*self._due, *(one for one, _ in self._later)):
            left = max(0, due - self.now_ms)
            wait_ms = left if wait_ms is None else min(wait_ms, left)
        ready = self._look_on() if is_eager and _MAY_LOOK_ON else []
        if not ready:
            ready = self._selector.select(None if wait_ms is None else wait_ms / 1000)
        self.now_ms = self._clock()
        for key, events in ready:
            watched: Watched | None = key.data
            if watched is None:
                self._forget_wakes()
                continue
            try:
                watched.on_event(events)
            except Exception as fault:  # noqa: BLE001 - one socket's trouble is not another's
                watched.on_fault(fault)
        if self._later:
            due_now = [one for moment, one in self._later if moment <= self.now_ms]
            self._later = [one for one in self._later if one[0] > self.now_ms]
            for function in due_now:
                function()
        for place, (period_ms, function) in enumerate(self._periods):
            if self.now_ms >= self._due[place]:
                self._due[place] = self.now_ms + period_ms
                function()

    def close(self) -> None:
        """Let go of everything."""
        self._selector.close()
        self._reader.close()
        self._writer.close()

    def _look_on(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Look again and again for a moment: to sleep and be woken takes longer than most waits."""
        until_ns = time.monotonic_ns() + AWAKE_US_MAX * 1000
        while not (ready := self._selector.select(0)):
            if time.monotonic_ns() >= until_ns:
                break
        return ready

    def _forget_wakes(self) -> None:
        try:
            while len(self._reader.recv(_WAKE_BYTES)) == _WAKE_BYTES:
                pass
        except BlockingIOError:
            pass
