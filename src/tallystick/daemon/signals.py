# SPDX-License-Identifier: Apache-2.0
"""The thread that takes signals: whatever keeps the other ones, an end is heard.

Python runs handlers on one thread, and a thread that a disk keeps runs none. A system call that a
signal interrupts is besides one that failed, for who does not ask again. So no other thread has
these signals.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

TAKEN: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})


class Signals:
    """Keeps their numbers, in the order in which they came, for the thread that acts on them."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """`wake` is called, by the thread that takes them, behind each."""
        self._wake = wake
        self._caught: list[int] = []
        self._is_over = False

    @property
    def ask_for_an_end(self) -> bool:
        """Whether one of those is among them that nobody has acted on yet."""
        return any(one in _ENDING for one in self._caught)

    def note(self, number: int) -> None:
        """Take one as if the system had sent it, on any thread."""
        self._caught.append(number)
        self._wake()

    def next(self, only: int | None = None) -> int | None:
        """Return the first that nobody has acted on, or None, also where it is another than this.

        For one thread at a time.
        """
        if not self._caught or only not in (None, self._caught[0]):
            return None
        return self._caught.pop(0)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take what is sent to this process; those who call block it, and all other threads do.

        Elsewhere than on the main thread nothing is taken: then the process is somebody else's.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # What is ignored may not even be kept for who waits for it.
        before = {one: signal.signal(one, _nothing) for one in TAKEN}
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
        thread = threading.Thread(target=self._take, name="tally-signals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over = True
            assert thread.ident is not None
            signal.pthread_kill(thread.ident, signal.SIGHUP)
            thread.join()
            for one, handler in before.items():
                signal.signal(one, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _take(self) -> None:
        while True:
            number = signal.sigwait(TAKEN)
            if self._is_over:
                return
            self.note(number)


def _nothing(_number: int, _frame: object) -> None:
    """Stand where a handler has to be; all threads have these signals blocked."""
