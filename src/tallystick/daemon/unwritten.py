# SPDX-License-Identifier: Apache-2.0
"""What is drafted and not yet written: each transaction builds on the one before it.

So they are written in their order, each once. One that was dropped on the way leaves a gap, and
whatever stands behind a gap is not to be written.
"""

from __future__ import annotations

import threading

from tallystick.errors import StoreStoppedError


class Unwritten:
    """Counts transactions, from 1 on. One thread drafts and waits, and one writes."""

    def __init__(self) -> None:
        self._drafted = self._written = 0
        self._is_given_up = False
        self._changed = threading.Condition()

    def draft(self) -> int:
        """Return the number of the next one; from now on there is one more to write."""
        self._drafted += 1
        return self._drafted

    def check(self, number: int) -> None:
        """Raise unless the one before it was written."""
        if number != self._written + 1:
            raise StoreStoppedError("a transaction was dropped before this one; nothing is stored")

    def note_written(self, number: int) -> None:
        """Go on behind it, be it that it was written or that nothing will be any more."""
        with self._changed:
            self._written = number
            self._changed.notify_all()

    def give_up(self) -> None:
        """Let nobody wait for what will not be written."""
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until all that is drafted is written, or can't be."""
        with self._changed:
            while self._written < self._drafted and not self._is_given_up:
                self._changed.wait()
