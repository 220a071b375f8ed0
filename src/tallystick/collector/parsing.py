# SPDX-License-Identifier: Apache-2.0
"""Who parses the lines of a batch: a second process where there are many, else this one.

The interpreter does one thing at a time in one process, and parsing is a third of what a batch
costs. The other process is never the sole hope: where it can't be started, is busy or is lost, the
same function runs here, on the same lines.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Final

from tallystick.collector.ingest import parse_submissions
from tallystick.collector.parser_process import ParserProcess, Told
from tallystick.collector.portion import Parsed
from tallystick.limits import PARSER_LINES_MIN, PARSER_PAUSE_MS, PARSER_PORTIONS_MAX
from tallystick.serve.body import too_large
from tallystick.serve.logs import event
from tallystick.serve.metrics import Meters
from tallystick.verify.companion import may_start

# How much of a batch is done in one go: a millisecond, or one line where it is large.
_LINES_AT_ONCE: Final = 64
# Of that, how much the event loop does without a look at others: odd lines take a hundred times as
# long as canonical ones.
_LINES_AT_ONCE_HERE: Final = 8
_BYTES_AT_ONCE: Final = 128 * 1024
# Of one batch: a usual one is handed over as a whole, and in a crowd the batches take turns.
_PORTIONS_AHEAD: Final = 8
_PORTIONS_IN_A_CROWD: Final = 2


class Parsing:
    """Parses lines for one event loop."""

    def __init__(
        self,
        line_bytes_max: int,
        meters: Meters,
        *,
        may_ask: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Take the cap of a line, and whether a process may be started and asked."""
        self._line_bytes_max = line_bytes_max
        self._meters = meters
        self._may_ask = may_ask and may_start()
        self._clock = clock
        self._not_before = clock()
        self._process: ParserProcess | None = None

    @property
    def process(self) -> ParserProcess | None:
        """The process that is asked, where there is one."""
        return self._process

    async def parse(self, tenant: str, lines: Sequence[bytes]) -> list[Parsed]:
        """Return what each line of a batch says. Single posts never wait for a whole batch."""
        asks = self._may_ask and len(lines) >= PARSER_LINES_MIN
        parsed: list[Parsed] = []
        ahead: deque[tuple[Sequence[bytes], Told | None]] = deque()
        for portion in _portions(lines):
            while len(ahead) >= self._ahead_max():
                parsed += await self._parsed(tenant, *ahead.popleft())
            ahead.append((portion, self._asked(tenant, portion) if asks else None))
        while ahead:
            parsed += await self._parsed(tenant, *ahead.popleft())
        return parsed

    def close(self) -> None:
        """Start no process any more, and end the one that there is."""
        self._may_ask = False
        if self._process is not None:
            self._process.end()
            self._process = None

    def _ahead_max(self) -> int:
        process = self._process
        is_crowd = process is not None and process.waiting >= PARSER_PORTIONS_MAX // 2
        return _PORTIONS_IN_A_CROWD if is_crowd else _PORTIONS_AHEAD

    def _asked(self, tenant: str, portion: Sequence[bytes]) -> Told | None:
        """Hand a portion to the process, or return None where it is for us to parse."""
        process = self._process or self._started()
        if process is None or not process.is_ready:
            return None
        if max(map(len, portion)) > self._line_bytes_max:
            return None
        return process.ask(tenant, portion) if process.has_room(sum(map(len, portion))) else None

    async def _parsed(
        self, tenant: str, portion: Sequence[bytes], told: Told | None
    ) -> Sequence[Parsed]:
        found = await told if told is not None else None
        if found is not None:
            return found
        parsed: list[Parsed] = []
        for start in range(0, len(portion), _LINES_AT_ONCE_HERE):
            parsed += self._parsed_here(tenant, portion[start : start + _LINES_AT_ONCE_HERE])
            await asyncio.sleep(0)
        return parsed

    def _parsed_here(self, tenant: str, lines: Sequence[bytes]) -> list[Parsed]:
        most = self._line_bytes_max
        if max(map(len, lines)) <= most:
            return parse_submissions(tenant, lines)
        return [
            too_large(most) if len(line) > most else parse_submissions(tenant, [line])[0]
            for line in lines
        ]

    def _started(self) -> ParserProcess | None:
        """Return a process that was just begun; until it answers, this one parses."""
        if not self._may_ask or self._clock() < self._not_before:
            return None
        try:
            process = ParserProcess(self._lost)
        except OSError as fault:
            self._lost(f"it can't be started: {fault.strerror or fault}", False)
            return None
        self._process = None if process.is_over else process
        return self._process

    def _lost(self, reason: str, is_broken: bool) -> None:
        """Go on without it: for a while, or for good where it answered wrongly."""
        self._process = None
        self._may_ask = self._may_ask and not is_broken
        self._not_before = self._clock() + PARSER_PAUSE_MS / 1000
        self._meters.count("tally_parser_lost_total")
        event(logging.WARNING, "parser_lost", reason=reason, is_final=is_broken)


def _portions(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Yield the lines of a batch, few enough at once."""
    start = size = 0
    for at, line in enumerate(lines):
        size += len(line)
        if at > start and (at - start == _LINES_AT_ONCE or size > _BYTES_AT_ONCE):
            yield lines[start:at]
            start, size = at, len(line)
    yield lines[start:]
