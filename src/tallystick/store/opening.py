# SPDX-License-Identifier: Apache-2.0
"""Opens the store that a setting names: a path, or the address of a PostgreSQL database."""

from __future__ import annotations

import time

from tallystick.errors import SettingError
from tallystick.store.log_store import SqlLogStore
from tallystick.store.sql import Engine
from tallystick.store.sqlite import SqliteEngine


def now_ms() -> int:
    """Return this machine's time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def open_engine(db: str) -> Engine:
    """Open the database of a store: `postgresql://…` is one that processes share, or a file."""
    if db in ("", ":memory:") or db.startswith("file:"):
        raise SettingError("the store must be a file: what is only in memory is not durable")
    if db.startswith(("postgresql://", "postgres://")):
        from tallystick.store.postgres import PostgresEngine  # needs the extra `postgres`

        return PostgresEngine(db)
    return SqliteEngine(db, clock_ms=now_ms)


def open_log_store(db: str) -> SqlLogStore:
    """Open the log store in a database."""
    engine = open_engine(db)
    try:
        return SqlLogStore(engine)
    except BaseException:
        engine.close()
        raise
