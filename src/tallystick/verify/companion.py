# SPDX-License-Identifier: Apache-2.0
"""A second process of ours that answers questions, and nothing else.

It is never the sole hope: whoever asks gets an `OSError` where it cannot be started, is gone or
takes nothing, and does the work itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from selectors import EVENT_WRITE, DefaultSelector
from typing import Final, TypeAlias

from tallystick.environment import process_environment
from tallystick.limits import CHECKER_PATIENCE_MS
from tallystick.verify.pieces import framed

# Imports nothing from the current folder or the environment, but all from where we do.
_BEGIN: Final = (
    "import sys; sys.path[:] = sys.argv[1:]; from {} import serve; "
    "serve(sys.stdin.buffer, sys.stdout.buffer)"
)
# Elsewhere `sys.executable` is a program that holds an interpreter, and would run as itself.
_INTERPRETERS: Final = ("python", "pypy")
_PASSED_ON: Final = (
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "SYSTEMROOT",
)  # fmt: skip
_ANSWERS_BYTES: Final = 64 * 1024

Buffer: TypeAlias = bytes | memoryview


def may_start() -> bool:
    """Whether one can run here: on an interpreter, and without harm where it is lost."""
    program = os.path.basename(sys.executable or "").lower()
    return (
        program.startswith(_INTERPRETERS)
        and not getattr(sys, "frozen", False)
        # A program that asked to die of SIGPIPE would die with any of its companions.
        and signal.getsignal(signal.SIGPIPE) is not signal.SIG_DFL
    )


def this_process() -> int:
    """Return the number of the process that asks: another one after a fork."""
    return os.getpid()


class Companion:
    """One such process; pieces of bytes go to it, and bytes come back."""

    def __init__(self, module: str) -> None:
        """Start the `serve` of a module; raises `OSError` where that cannot be done."""
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own program
                [sys.executable, "-I", "-S", "-c", _BEGIN.format(module), *_folders()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=_environment(),
                # Ctrl-C is for the process that began it; this one ends with its input.
                start_new_session=True,
            )
        except (RuntimeError, ValueError) as fault:
            # The interpreter is about to end, an audit hook forbids it, a folder is no argument.
            raise ChildProcessError(f"no companion can be started: {fault}") from fault
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._questions.fileno(), False)

    def fileno(self) -> int:
        """Return what becomes readable when there are answers."""
        return self._answers.fileno()

    @property
    def inlet(self) -> int:
        """What becomes writable when there is room for questions."""
        return self._questions.fileno()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def ask(self, piece: bytes) -> None:
        """Hand over a piece, with its size before it."""
        data = memoryview(framed(piece))
        while data:
            given = self.give(data)
            data = data[given:]
            if not given:
                self._wait_for_room()

    def give(self, data: Buffer) -> int:
        """Hand over as many bytes of a piece as there is room for, and return their number."""
        try:
            return os.write(self.inlet, data)
        except BlockingIOError:
            return 0

    def give_all(self, line: deque[memoryview]) -> bool:
        """Hand over what there is room for from a line of pieces; return whether all of it went."""
        while line:
            data = line[0]
            given = self.give(data)
            if given < len(data):
                line[0] = data[given:]
                return False
            line.popleft()
        return True

    def read(self, size: int = _ANSWERS_BYTES) -> bytes:
        """Wait for some bytes of its answers, and return them."""
        data = os.read(self.fileno(), size)
        if not data:
            raise ChildProcessError("the companion is gone")
        return data

    def widen(self, size: int) -> None:
        """Let so many bytes wait in each of its pipes, where the system can do that."""
        try:
            import fcntl

            for pipe in (self.inlet, self.fileno()):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)
        except (ImportError, AttributeError, OSError):
            pass  # not everywhere, and not beyond a user's share: then they wait with us

    def end(self) -> None:
        """End it at once: it has nothing to lose."""
        self.kill()
        self.close()

    def kill(self) -> None:
        """End it; whoever reads its answers finds their end."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Let go of its pipes, which nobody may use any more."""
        self._questions.close()
        self._answers.close()

    def _wait_for_room(self) -> None:
        with DefaultSelector() as room:
            room.register(self._questions, EVENT_WRITE)
            if not room.select(CHECKER_PATIENCE_MS / 1000):
                raise TimeoutError("the companion takes nothing")


def _environment() -> dict[str, str]:
    """Return what an interpreter needs to find its libraries, and none of our secrets."""
    own = process_environment()
    return {name: own[name] for name in _PASSED_ON if name in own}


def _folders() -> list[str]:
    """Return where modules come from, whatever the current folder is: others would be elsewhere."""
    return [one for one in sys.path if isinstance(one, str) and os.path.isabs(one)]
