# SPDX-License-Identifier: Apache-2.0
"""A second process that checks signatures, and nothing else: `checker.py` is its program.

It is given what is public only: statements, signatures, public keys. It is never the sole hope:
whoever asks gets an `OSError` where it cannot be started, is gone or answers strangely, and checks
those signatures again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Final

from tallystick.verify.checker import SIZE_BYTES

# Imports nothing from the current folder or the environment, but all from where we do.
_BEGIN: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from tallystick.verify.checker import serve; "
    "serve(sys.stdin.buffer, sys.stdout.buffer)"
)
# Elsewhere `sys.executable` is a program that holds an interpreter, and would run as itself.
_INTERPRETERS: Final = ("python", "pypy")
_ANSWERS_BYTES: Final = 64 * 1024


def may_start() -> bool:
    """Whether there is an interpreter here that a checker can run on."""
    program = os.path.basename(sys.executable or "").lower()
    return program.startswith(_INTERPRETERS) and not getattr(sys, "frozen", False)


class CheckerProcess:
    """One such process, with the pieces that it has been given and has not answered yet."""

    def __init__(self) -> None:
        """Start it; raises `OSError` where that cannot be done."""
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own program
            [sys.executable, "-I", "-S", "-c", _BEGIN, *filter(None, sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # Ctrl-C is for the process that began it; this one ends with its input.
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        self._received = bytearray()
        self._counts: deque[int] = deque()

    def fileno(self) -> int:
        """Return what becomes readable when there are answers."""
        return self._answers.fileno()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def ask(self, piece: bytes, count: int) -> None:
        """Hand over a piece with that many questions."""
        data = memoryview(len(piece).to_bytes(SIZE_BYTES) + piece)
        while data:
            data = data[self._questions.write(data) :]
        self._counts.append(count)

    def receive(self) -> list[Sequence[int]]:
        """Wait for answers, and return them for each piece that has all of its own."""
        data = os.read(self.fileno(), _ANSWERS_BYTES)
        if not data:
            raise ChildProcessError("the checker is gone")
        if not set(data) <= {0, 1}:
            raise ChildProcessError("the checker's answers are none")
        self._received += data
        whole: list[Sequence[int]] = []
        while self._counts and len(self._received) >= self._counts[0]:
            count = self._counts.popleft()
            whole.append(bytes(self._received[:count]))
            del self._received[:count]
        return whole

    def end(self) -> None:
        """End it at once: it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        self._questions.close()
        self._answers.close()
