# SPDX-License-Identifier: Apache-2.0
"""A second process that checks signatures, and nothing else: `checker.py` is its program.

It is given what is public only: statements, signatures, public keys. It is never the sole hope:
whoever asks gets an `OSError` where it cannot be started, is gone or answers strangely, and checks
those signatures again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from selectors import EVENT_WRITE, DefaultSelector
from typing import Final

from tallystick.limits import CHECKER_PATIENCE_MS
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
    """Whether a checker can run here: on an interpreter, and without harm where it is lost."""
    program = os.path.basename(sys.executable or "").lower()
    return (
        program.startswith(_INTERPRETERS)
        and not getattr(sys, "frozen", False)
        # A program that asked to die of SIGPIPE would die with any of its checkers.
        and signal.getsignal(signal.SIGPIPE) is not signal.SIG_DFL
    )


def this_process() -> int:
    """Return the number of the process that asks: another one after a fork."""
    return os.getpid()


class CheckerProcess:
    """One such process, with the pieces that it has been given and has not answered yet."""

    def __init__(self) -> None:
        """Start it; raises `OSError` where that cannot be done."""
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own program
                [sys.executable, "-I", "-S", "-c", _BEGIN, *_folders()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # Ctrl-C is for the process that began it; this one ends with its input.
                start_new_session=True,
            )
        except (RuntimeError, ValueError) as fault:
            # The interpreter is about to end, an audit hook forbids it, a folder is no argument.
            raise ChildProcessError(f"no checker can be started: {fault}") from fault
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._questions.fileno(), False)
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
            try:
                data = data[os.write(self._questions.fileno(), data) :]
            except BlockingIOError:
                self._wait_for_room()
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
        if self._received and not self._counts:
            raise ChildProcessError("the checker answers what it was not asked")
        return whole

    def end(self) -> None:
        """End it at once: it has nothing to lose."""
        self._process.kill()
        self._process.wait()
        self._questions.close()
        self._answers.close()

    def _wait_for_room(self) -> None:
        with DefaultSelector() as room:
            room.register(self._questions, EVENT_WRITE)
            if not room.select(CHECKER_PATIENCE_MS / 1000):
                raise TimeoutError("the checker takes nothing")


def _folders() -> list[str]:
    """Return where modules come from, whatever the current folder is: others would be elsewhere."""
    return [one for one in sys.path if isinstance(one, str) and os.path.isabs(one)]
