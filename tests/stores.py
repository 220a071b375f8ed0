# SPDX-License-Identifier: Apache-2.0
"""Where a store under test lives, whichever engine it is on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tallystick.durable.file import FilePath
from tallystick.store.log_store import SqlLogStore
from tallystick.store.sql import Engine
from tallystick.store.sqlite import SqliteEngine


class SqliteLog(SqlLogStore):
    """A log store in a file, by a clock that the test sets."""

    def __init__(self, path: FilePath, *, clock_ms: Callable[[], int]) -> None:
        _begin(self, SqliteEngine(path, clock_ms=clock_ms))


class PostgresLog(SqlLogStore):
    """A log store in a database, by a clock that the test sets, or else by the database's."""

    def __init__(self, url: str, *, clock_ms: Callable[[], int] | None = None) -> None:
        from tallystick.store.postgres import PostgresEngine  # needs the extra `postgres`

        _begin(self, PostgresEngine(url, clock_ms=clock_ms))


def _begin(store: SqlLogStore, engine: Engine) -> None:
    try:
        SqlLogStore.__init__(store, engine)
    except BaseException:
        engine.close()
        raise


class Place:
    """Where a store lives: opened as often as a test likes, by a clock that the test sets."""

    def __init__(self, open_store: Callable[[Callable[[], int]], SqlLogStore], name: str) -> None:
        self.name = name
        self.now_ms = 1_700_000_000_000
        self._open = open_store
        self._opened: list[SqlLogStore] = []

    def open(self) -> SqlLogStore:
        """Open the store; it is closed at the end of the test at the latest."""
        store = self._open(lambda: self.now_ms)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close what is open."""
        for store in self._opened:
            store.close()


def loosened(path: Path) -> None:
    """Take types, checks, keys and tripwires away from all tables of a file, and keep the rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        for (name,) in tables.fetchall():
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            names = ", ".join(column[1] for column in columns)
            rows = connection.execute(f"SELECT {names} FROM {name} ORDER BY rowid").fetchall()
            connection.execute(f"DROP TABLE {name}")  # and its indexes and triggers
            connection.execute(f"CREATE TABLE {name} ({names})")
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
