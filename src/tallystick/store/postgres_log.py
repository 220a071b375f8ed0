# SPDX-License-Identifier: Apache-2.0
"""The log store on PostgreSQL: one database, any number of processes."""

from __future__ import annotations

from collections.abc import Callable

from tallystick.store.log_store import SqlLogStore
from tallystick.store.postgres import PostgresEngine


class PostgresLog(SqlLogStore):
    """A collector's receipts and its log in a PostgreSQL database, by the database's clock."""

    def __init__(self, url: str, *, clock_ms: Callable[[], int] | None = None) -> None:
        engine = PostgresEngine(url, clock_ms=clock_ms)
        try:
            super().__init__(engine)
        except BaseException:
            engine.close()
            raise
