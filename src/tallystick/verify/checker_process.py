# SPDX-License-Identifier: Apache-2.0
"""A companion that checks signatures, and nothing else: `checker.py` is its program.

It is given what is public only: statements, signatures, public keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tallystick.verify.companion import Companion


class CheckerProcess:
    """One such process, with the pieces that it has been given and has not answered yet."""

    def __init__(self) -> None:
        """Start it; raises `OSError` where that cannot be done."""
        self._companion = Companion("tallystick.verify.checker")
        self._received = bytearray()
        self._counts: deque[int] = deque()

    def fileno(self) -> int:
        """Return what becomes readable when there are answers."""
        return self._companion.fileno()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._companion.pid

    def ask(self, piece: bytes, count: int) -> None:
        """Hand over a piece with that many questions."""
        self._companion.ask(piece)
        self._counts.append(count)

    def receive(self) -> list[Sequence[int]]:
        """Wait for answers, and return them for each piece that has all of its own."""
        data = self._companion.read()
        if not set(data) <= {0, 1}:
            raise ChildProcessError("the checker's answers are none")
        self._received += data
        whole: list[Sequence[int]] = []
        while self._counts and len(self._received) >= self._counts[0]:
            count = self._counts.popleft()
            whole.append(bytes(self._received[:count]))
            del self._received[:count]
        if self._received and not self._counts:
            raise ChildProcessError("the checker answers what it was not asked")
        return whole

    def end(self) -> None:
        """End it at once: it has nothing to lose."""
        self._companion.end()
