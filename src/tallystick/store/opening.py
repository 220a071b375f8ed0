# SPDX-License-Identifier: Apache-2.0
"""Opens the store that a setting names: a path, or the address of a PostgreSQL database."""

from __future__ import annotations

import time

from tallystick.errors import SettingError
from tallystick.store.log_store import SqlLogStore
from tallystick.store.sqlite_log import SqliteLog


def now_ms() -> int:
    """Return this machine's time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def open_log_store(db: str) -> SqlLogStore:
    """Open a store: `postgresql://…` is a database that processes share, all else is a file."""
    if db in ("", ":memory:") or db.startswith("file:"):
        raise SettingError("the store must be a file: what is only in memory is not durable")
    if db.startswith(("postgresql://", "postgres://")):
        from tallystick.store.postgres_log import PostgresLog  # needs the extra `postgres`

        return PostgresLog(db)
    return SqliteLog(db, clock_ms=now_ms)
