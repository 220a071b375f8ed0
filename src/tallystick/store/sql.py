# SPDX-License-Identifier: Apache-2.0
"""What the log store asks of a database engine: transactions that are durable when they end.

Statements are written once, in the SQL that SQLite and PostgreSQL share, with `?` for values.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib import resources
from typing import Any, Protocol, TypeAlias

# One row as the database gives it. The statement beside it says what is in it.
Row: TypeAlias = tuple[Any, ...]


class Access(Protocol):
    """A connection that runs statements."""

    def rows(self, statement: str, values: Sequence[object] = (), /) -> list[Row]:
        """Return all rows that a statement yields."""
        ...

    def lookup(
        self, select: str, columns: Sequence[str], keys: Sequence[Sequence[object]], /
    ) -> list[Row]:
        """Return the rows of `select` whose columns equal any of the keys, in no order."""
        ...

    def run(self, statement: str, values: Sequence[object] = (), /) -> int:
        """Run a statement that yields no rows, and return how many it changed."""
        ...

    def insert(self, head: str, rows: Sequence[Sequence[object]], tail: str = "", /) -> None:
        """Run `{head} VALUES (…), (…) {tail}` for all rows."""
        ...

    def insert_columns(
        self, head: str, columns: Sequence[Sequence[object]], tail: str = "", /
    ) -> None:
        """Do the same for rows that are given by their columns."""
        ...

    def update(
        self, table: str, columns: Sequence[str], keys: Sequence[str], rows: Sequence[Row], /
    ) -> None:
        """Set columns of rows that are there: each row is the new values, then its key."""
        ...


class Engine(Protocol):
    """A database: one writer at a time, readers beside it."""

    # What a SELECT ends with that locks its row: nothing where a transaction locks everything.
    for_update: str

    # Whether nobody else writes: what this process wrote last is what is there.
    is_exclusive: bool

    def writing(self) -> AbstractContextManager[Access]:
        """Run a transaction: leaving the block without an error means it is on stable storage."""
        ...

    def reading(self) -> AbstractContextManager[Access]:
        """Lend a connection on which each statement sees what is committed."""
        ...

    def clock_ms(self, access: Access, /) -> int:
        """Return the time by the store's one clock, read now."""
        ...

    def integrity(self) -> list[str]:
        """Return what the database itself finds wrong."""
        ...

    def size_bytes(self) -> int:
        """Return what the database takes on disk."""
        ...

    def close(self) -> None:
        """Let go of connections, files and locks."""
        ...


def schema_text(name: str, folder: str = "collector") -> str:
    """Return the text of one schema file."""
    place = resources.files("tallystick.store") / folder
    return (place / f"{name}.sql").read_text(encoding="utf-8")
