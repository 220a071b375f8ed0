# SPDX-License-Identifier: Apache-2.0
"""Something to be done between two commits, and who hears how it went."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tallystick.errors import StoreError
from tallystick.serve.logs import event


class Task:
    """One thing to be done; `done` hears its result, or what it raised."""

    __slots__ = ("_done", "_is_told", "_work")

    def __init__(
        self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]
    ) -> None:
        self._work = work
        self._done = done
        self._is_told = False

    def do(self) -> None:
        """Do it; what the store can't do is raised here as well."""
        try:
            result = self._work()
        except StoreError as fault:
            self.tell(None, fault)
            raise
        except Exception as fault:  # noqa: BLE001 - who asked for it hears
            self.tell(None, fault)
        else:
            self.tell(result, None)

    def tell(self, result: Any, fault: Exception | None) -> None:
        """Tell who asked, once; that it can't be told is no reason to store nothing any more."""
        if self._is_told:
            return
        self._is_told = True
        try:
            self._done(result, fault)
        except Exception as failed:  # noqa: BLE001 - the thread must go on
            event(logging.ERROR, "answer_failed", kind=type(failed).__name__)
