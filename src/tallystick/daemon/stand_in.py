# SPDX-License-Identifier: Apache-2.0
"""Who goes on at the sockets while the thread that serves them stores what came alone.

To hand a lone frame to another thread costs as much as to sign it. So the thread that reads it also
drafts and stores it, and is away from the sockets meanwhile. Where that takes longer than usual,
another thread goes on there until it is back. That one is not woken for it, which would cost the
same again: it looks by itself, often while there is anything to look at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from tallystick.limits import AWAY_MS_MAX

_BUSY_S: Final = AWAY_MS_MAX / 1000
_IDLE_S: Final = 0.25


class StandIn:
    """Owns the other thread. The one that serves is at the sockets but from `leave` to `back`."""

    def __init__(self, turn: Callable[[], None], wake: Callable[[], None]) -> None:
        """Begin, called by the thread that serves; `turn` serves once, and `wake` ends its wait."""
        self._turn = turn
        self._wake = wake
        # Held by who is at the sockets.
        self._place = threading.Lock()
        self._place.acquire()
        # Since when the thread that serves is away, by the monotonic clock; 0 where it is not.
        self._left_s = 0.0
        self._times = 0
        self._fault: BaseException | None = None
        # Whether the other thread is at the sockets now.
        self.is_there = False
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="tally-stand-in", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Let somebody else be at the sockets."""
        self._times += 1
        self._left_s = time.monotonic()
        self._place.release()

    def back(self) -> None:
        """Be at the sockets again; what the other thread stumbled over there is raised here."""
        self._left_s = 0.0
        if not self._place.acquire(blocking=False):
            self._wake()
            self._place.acquire()
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """End the other thread, wherever it is."""
        self._is_closed.set()
        self._left_s = 0.0
        self._wake()
        self._thread.join()

    def _watch(self) -> None:
        times, pause_s = 0, _IDLE_S
        while not self._is_closed.wait(pause_s):
            left_s = self._left_s
            if left_s and time.monotonic() - left_s >= _BUSY_S:
                self._stand_in()
            is_quiet = not left_s and self._times == times
            pause_s = _IDLE_S if is_quiet else _BUSY_S
            times = self._times

    def _stand_in(self) -> None:
        if not self._place.acquire(blocking=False):
            return  # it came back just now
        self.is_there = True
        try:
            while self._left_s:
                self._turn()
        except BaseException as fault:  # noqa: BLE001 - a thread that ends silently is a hang
            self._fault = fault
        finally:
            self.is_there = False
            self._place.release()
