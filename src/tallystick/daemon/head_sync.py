# SPDX-License-Identifier: Apache-2.0
"""The thread that makes the file of heads stable, each second, beside all commits.

A commit must not wait for a second sync, and neither must who drafts the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from tallystick.errors import StoreError

PERIOD_S: Final = 1.0


class HeadSync:
    """Owns the thread. `sync` is called from it alone, and never again when it has failed."""

    def __init__(self, sync: Callable[[], None], *, period_s: float = PERIOD_S) -> None:
        """Begin; where nothing was written, `sync` is to do nothing."""
        self._sync = sync
        self._period_s = period_s
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tally-head-sync", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; again does nothing."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closed.wait(self._period_s):
            try:
                self._sync()
            except StoreError:
                return  # the ledger takes nothing more, and says why
