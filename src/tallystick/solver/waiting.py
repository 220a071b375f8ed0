# SPDX-License-Identifier: Apache-2.0
"""The queue of intents that a service has taken: each is on stable storage before its 202.

A file is removed when its run has been received, so a crash in between is seen at the next start:
an intent whose run was received since it came is not begun a second time.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from tallystick.chain.issue import timestamp
from tallystick.durable.file import read_bounded, sync_directory, write_replace
from tallystick.errors import LimitError, RefusedInput
from tallystick.limits import INTENT_ATTEMPTS_MAX, INTENT_BYTES_MAX
from tallystick.model.intent import Intent, parse_intent
from tallystick.solver.attempts import SPENT, attempts_of, has_run
from tallystick.solver.home import SolverHome
from tallystick.solver.records import read_facts
from tallystick.solver.states import FILE, Step

_HEADER_BYTES_MAX: Final = 4096


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One intent that waits, without its bytes."""

    at: str
    intent_id: str
    tenant: str
    attempts: int  # how many runs it had when it came
    path: str = ""


class AlreadyKnown(Exception):
    """This very intent waits, has run, or was refused too often; never leaves the service."""


class Waitlist:
    """Intents in the order in which they came. Safe from many threads."""

    def __init__(self, home: SolverHome, room: int, clock: Callable[[], int]) -> None:
        self._home = home
        self._room = room
        self._clock = clock
        self._turn = threading.Condition()
        self._line: deque[Waiting] = deque()
        # Given to somebody who has not told yet that the run was received.
        self._taken: dict[str, Waiting] = {}
        self._known: set[str] = set()
        self._number = 0
        self._is_closed = False
        self._reload()

    def __len__(self) -> int:
        return len(self._line)

    @property
    def has_room(self) -> bool:
        """Whether one more would be taken."""
        return len(self._line) < self._room and not self._is_closed

    @property
    def is_closed(self) -> bool:
        """Whether no more is given."""
        return self._is_closed

    def accept(self, intent: Intent, data: bytes, tenant: str) -> Waiting:
        """Take an intent; return when it is on stable storage."""
        with self._turn:
            if intent.intent_id in self._known or has_run(self._home, intent.intent_id):
                raise AlreadyKnown("an intent runs once")
            attempts = len(attempts_of(self._home, intent.intent_id))
            if attempts >= INTENT_ATTEMPTS_MAX:
                raise AlreadyKnown(f"it {SPENT}")
            if not self.has_room:
                raise LimitError("the queue is full")
            waiting = Waiting(
                at=timestamp(self._clock()),
                intent_id=intent.intent_id,
                tenant=tenant,
                attempts=attempts,
            )
            self._number += 1
            path = os.path.join(self._home.queue, f"{self._number:012d}-{intent.intent_id}")
            write_replace(path, msgspec.json.encode(waiting) + b"\n" + data, 0o600)
            waiting = msgspec.structs.replace(waiting, path=path)
            self._known.add(intent.intent_id)
            self._line.append(waiting)
            self._turn.notify()
            return waiting

    def take(self, wait_s: float) -> tuple[Waiting, bytes] | None:
        """Return the next intent, or None when there was none for so long, or no more is given."""
        with self._turn:
            if not self._line and not self._is_closed:
                self._turn.wait(wait_s)
            if not self._line or self._is_closed:
                return None
            waiting = self._line.popleft()
            self._taken[waiting.intent_id] = waiting
        try:
            return waiting, _read(waiting.path)[1]
        except BaseException:
            self.ended(waiting)  # it is gone, and may come again
            raise

    def begun(self, waiting: Waiting) -> None:
        """Remove an intent's file: its run was received, and is on stable storage."""
        try:
            os.unlink(waiting.path)
            sync_directory(waiting.path)
        except FileNotFoundError:
            pass
        with self._turn:
            self._taken.pop(waiting.intent_id, None)

    def ended(self, waiting: Waiting) -> None:
        """Note that an intent's run has ended: what it was stands in its states from now on."""
        with self._turn:
            self._known.discard(waiting.intent_id)
            self._taken.pop(waiting.intent_id, None)

    def put_back(self, waiting: Waiting) -> None:
        """Let an intent wait again whose run could not even be received."""
        with self._turn:
            self._taken.pop(waiting.intent_id, None)
            self._line.append(waiting)

    def place_of(self, intent_id: str) -> tuple[int, Waiting] | None:
        """Return how many are in front of an intent, and what is known of it."""
        with self._turn:
            if intent_id in self._taken:
                return 0, self._taken[intent_id]
            for number, waiting in enumerate(self._line):
                if waiting.intent_id == intent_id:
                    return number, waiting
        return None

    def close(self) -> None:
        """Give no more; what waits stays on disk for the next start."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()

    def _reload(self) -> None:
        for name in sorted(os.listdir(self._home.queue)):
            number, _, intent_id = name.partition("-")
            if not (number.isdigit() and len(intent_id) == 64):
                continue  # a file that was not whole when the process ended
            path = os.path.join(self._home.queue, name)
            self._number = max(self._number, int(number))
            try:
                waiting, data = _read(path)
                parse_intent(data)
            except (RefusedInput, msgspec.MsgspecError):
                continue
            if self._was_received(waiting):
                os.unlink(path)
                continue
            self._known.add(waiting.intent_id)
            self._line.append(waiting)

    def _was_received(self, waiting: Waiting) -> bool:
        later = attempts_of(self._home, waiting.intent_id)[waiting.attempts :]
        return any(
            read_facts(os.path.join(self._home.run(one.run_id), FILE), Step) for one in later
        )


def _read(path: str) -> tuple[Waiting, bytes]:
    data = read_bounded(path, INTENT_BYTES_MAX + _HEADER_BYTES_MAX)
    header, _, rest = data.partition(b"\n")
    waiting = msgspec.json.decode(header, type=Waiting)
    return msgspec.structs.replace(waiting, path=path), rest
