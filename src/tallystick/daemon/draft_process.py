# SPDX-License-Identifier: Apache-2.0
"""A companion that reads and states frames for the thread that links and signs.

`draft_program.py` is its program. One thread asks, and another one waits for the answers; either
may hand over what the pipe did not take at once.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from typing import Final, NamedTuple

from tallystick.daemon.portion import Portion, Statement, encoded, statements_of
from tallystick.daemon.terms import Terms, encoded_terms
from tallystick.limits import COMPANION_PIPE_BYTES, DRAFT_ANSWER_BYTES_MAX, DRAFT_PATIENCE_MS
from tallystick.verify.companion import Companion
from tallystick.verify.pieces import framed, take_pieces

PROGRAM: Final = "tallystick.daemon.draft_program"

# Ticks of a clock in which nothing came: one that stood still with us is not blamed for it.
_TICKS: Final = 4


class Lost(Exception):
    """The process is of no more use; `is_broken` says that it answered wrongly."""

    def __init__(self, reason: str, *, is_broken: bool = False) -> None:
        super().__init__(reason)
        self.is_broken = is_broken


class Asked(NamedTuple):
    """A portion, and who was asked."""

    process: DraftProcess
    portion: Portion


class DraftProcess:
    """One such process, which states by the terms that it was begun with."""

    def __init__(self, terms: Terms, program: str = PROGRAM) -> None:
        """Start it; raises `OSError` where that cannot be done."""
        self._companion = Companion(program)
        self._companion.widen(COMPANION_PIPE_BYTES)
        # Held to write, and to let go of the pipes; never while waiting for anything.
        self._lock = threading.Lock()
        self._unsent: deque[memoryview] = deque([memoryview(framed(encoded_terms(terms)))])
        self._received = bytearray()
        self._answers: deque[bytes] = deque()
        self._is_reading = self._is_over = False
        self.is_ready = False
        # Portions that were not answered yet.
        self.waiting = 0

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._companion.pid

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, by itself or not."""
        return self._companion.is_gone

    @property
    def is_over(self) -> bool:
        """Whether it was ended."""
        return self._is_over

    def begin(self) -> bool:
        """Return whether it has begun, without waiting. Raises `Lost`."""
        if not self.is_ready:
            self._exchange(0)
            if self._answers:
                if self._answers.popleft():
                    raise Lost("it begins with something else", is_broken=True)
                self.is_ready = True
        return self.is_ready

    def ask(self, portion: Portion) -> None:
        """Hand a portion over; what the pipe does not take goes later. Raises `Lost`."""
        data = memoryview(framed(encoded(portion)))
        with self._lock:
            if self._is_over:
                raise Lost("it was ended")
            self.waiting += 1
            self._unsent.append(data)
            self._send()

    def answer(self, portion: Portion) -> list[Statement | None]:
        """Wait for what it says of a portion: of each once, in their order. Raises `Lost`."""
        ticks = 0
        while not self._answers:
            ticks = 0 if self._exchange(DRAFT_PATIENCE_MS / _TICKS) else ticks + 1
            if ticks > _TICKS:
                raise Lost("it does nothing")
        with self._lock:
            self.waiting -= 1
        try:
            return statements_of(self._answers.popleft(), portion)
        except ValueError as fault:
            raise Lost(f"its answer is none: {fault}", is_broken=True) from None

    def end(self) -> None:
        """End it at once, from any thread: it has nothing to lose."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            self._unsent.clear()
            self._companion.kill()  # who reads finds the end
            self._let_go()

    def _let_go(self) -> None:
        """Close its pipes where nobody uses them any more."""
        if self._is_over and not self._is_reading:
            self._companion.close()

    def _exchange(self, wait_ms: float) -> bool:
        """Send and receive what goes; returns whether anything did within that time."""
        with self._lock:
            if self._is_over:
                raise Lost("it was ended")
            self._is_reading = True
        try:
            ready = select.poll()  # takes no descriptor, of which there may be none left
            ready.register(self._companion.fileno(), select.POLLIN)
            if self._unsent:
                ready.register(self._companion.inlet, select.POLLOUT)
            found = {descriptor for descriptor, _ in ready.poll(wait_ms)}
            if self._companion.inlet in found:
                with self._lock:
                    self._send()
            if self._companion.fileno() in found:
                self._receive()
            return bool(found)
        except OSError as fault:
            raise Lost(f"it can't be waited for: {fault.strerror or fault}") from None
        finally:
            with self._lock:
                self._is_reading = False
                self._let_go()

    def _receive(self) -> None:
        try:
            self._received += self._companion.read(COMPANION_PIPE_BYTES)
            self._answers += take_pieces(self._received, DRAFT_ANSWER_BYTES_MAX)
        except OSError:
            raise Lost("it is gone") from None
        except ValueError as fault:
            raise Lost(f"its answer is none: {fault}", is_broken=True) from None

    def _send(self) -> None:
        """Hand over what the pipe takes."""
        try:
            self._companion.give_all(self._unsent)
        except OSError as fault:
            raise Lost(f"it takes no more: {fault.strerror or fault}") from None
