# SPDX-License-Identifier: Apache-2.0
"""A companion that parses portions of batches for the event loop, which it never keeps waiting.

`parser.py` is its program. It is given what clients sent, and neither their names nor any key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from tallystick.collector.ingest import parse_submissions
from tallystick.collector.portion import Parsed, is_same, parsed_from, question
from tallystick.limits import (
    COMPANION_PIPE_BYTES,
    PARSER_ANSWER_BYTES_MAX,
    PARSER_BYTES_MAX,
    PARSER_CHECKED_BYTES_MAX,
    PARSER_PATIENCE_MS,
    PARSER_PORTIONS_MAX,
    PARSER_UNCHECKED_MAX,
)
from tallystick.verify.companion import Companion
from tallystick.verify.pieces import take_pieces

PROGRAM: Final = "tallystick.collector.parser"

# Ticks of a clock in which nothing came: one that stood still with us is not blamed for it.
_TICKS: Final = 4
# One that begins may take longer, on a busy machine: nobody waits for it.
_TICKS_TO_BEGIN: Final = 20
# The first question: the answer to it says that the process is ready.
_FIRST_LINES: Final = (b"{}",)

# What a portion says, or None where the process was lost before it answered.
Told = asyncio.Future[list[Parsed] | None]


class _Asked(NamedTuple):
    """A portion that has been handed over and not been answered yet."""

    number: int
    tenant: str
    lines: Sequence[bytes]
    size: int
    told: Told


class ParserProcess:
    """One such process. It belongs to one event loop."""

    def __init__(self, lost: Callable[[str, bool], None], program: str = PROGRAM) -> None:
        """Start it; raises `OSError` where that cannot be done.

        `lost` is called once when it is lost: with the reason, and whether it answered wrongly.
        """
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._companion = Companion(program)
        self._companion.widen(COMPANION_PIPE_BYTES)
        self._asked: deque[_Asked] = deque()
        self._unsent: deque[memoryview] = deque()
        self._received = bytearray()
        self._number = 0
        self._size = 0
        self._ticks = 0
        self._clock: asyncio.TimerHandle | None = None
        self.is_over = False
        self.is_ready = False
        self._loop.add_reader(self._companion.fileno(), self._receive)
        self.ask("", _FIRST_LINES)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._companion.pid

    @property
    def waiting(self) -> int:
        """How many portions it has not answered yet."""
        return len(self._asked)

    def has_room(self, size: int) -> bool:
        """Whether it takes a portion of so many bytes now."""
        asked = self._asked
        return not asked or (
            len(asked) < PARSER_PORTIONS_MAX and self._size + size <= PARSER_BYTES_MAX
        )

    def ask(self, tenant: str, lines: Sequence[bytes]) -> Told:
        """Hand a portion over, and return what will hold what it says."""
        told: Told = self._loop.create_future()
        self._number += 1
        data = memoryview(question(self._number, lines))
        self._asked.append(_Asked(self._number, tenant, lines, len(data), told))
        self._size += len(data)
        self._unsent.append(data)
        if len(self._unsent) == 1:
            self._send()
        if self._clock is None and not self.is_over:
            self._ticks = 0
            self._clock = self._loop.call_later(PARSER_PATIENCE_MS / 1000 / _TICKS, self._tick)
        return told

    def end(self) -> None:
        """End it at once: it has nothing to lose. Whoever still waits is told nothing."""
        if self.is_over:
            return
        self.is_over = True
        if self._clock is not None:
            self._clock.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._companion.fileno())
            self._loop.remove_writer(self._companion.inlet)
            for asked in self._asked:
                if not asked.told.done():
                    asked.told.set_result(None)
        self._asked.clear()
        self._unsent.clear()
        self._companion.end()

    def _send(self) -> None:
        """Hand over what the pipe takes; the rest when there is room again."""
        try:
            is_done = self._companion.give_all(self._unsent)
        except OSError as fault:
            self._lose(f"it takes no more: {fault.strerror or fault}", is_broken=False)
            return
        if is_done:
            self._loop.remove_writer(self._companion.inlet)
        else:
            self._loop.add_writer(self._companion.inlet, self._send)

    def _receive(self) -> None:
        """Take what it has answered."""
        self._ticks = 0
        try:
            self._received += self._companion.read()
            for piece in take_pieces(self._received, PARSER_ANSWER_BYTES_MAX):
                self._take(piece)
        except OSError:
            self._lose("it is gone", is_broken=False)
        except ValueError as fault:
            self._lose(f"its answer is none: {fault}", is_broken=True)

    def _take(self, piece: bytes) -> None:
        if not self._asked:
            raise ValueError("it was not asked")
        number, tenant, lines, size, told = self._asked[0]
        parsed = parsed_from(piece, number, tenant, lines)
        turn, rest = divmod(number, PARSER_UNCHECKED_MAX + 1)
        if not turn or not rest:  # a new one is looked at more closely
            at = (turn or number) % len(lines)  # each place in turn
            if len(lines[at]) <= PARSER_CHECKED_BYTES_MAX:
                (here,) = parse_submissions(tenant, [lines[at]])
                if not is_same(parsed[at], here):
                    raise ValueError("it reads something else")
        self._asked.popleft()
        self._size -= size
        self.is_ready = True
        if not told.done():
            told.set_result(parsed)

    def _tick(self) -> None:
        self._clock = None
        if not self._asked:
            return
        self._ticks += 1
        if self._ticks > (_TICKS if self.is_ready else _TICKS_TO_BEGIN):
            self._lose("it does nothing", is_broken=False)
        else:
            self._clock = self._loop.call_later(PARSER_PATIENCE_MS / 1000 / _TICKS, self._tick)

    def _lose(self, reason: str, *, is_broken: bool) -> None:
        if not self.is_over:
            self.end()
            self._lost(reason, is_broken)
