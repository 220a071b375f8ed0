# SPDX-License-Identifier: Apache-2.0
"""The log store on SQLite: one file, one process."""

from __future__ import annotations

from collections.abc import Callable

from tallystick.durable.file import FilePath
from tallystick.store.log_store import SqlLogStore
from tallystick.store.sqlite import SqliteEngine


class SqliteLog(SqlLogStore):
    """A collector's receipts and its log in one SQLite file, which this process holds alone."""

    def __init__(self, path: FilePath, *, clock_ms: Callable[[], int]) -> None:
        engine = SqliteEngine(path, clock_ms=clock_ms)
        try:
            super().__init__(engine)
        except BaseException:
            engine.close()
            raise
