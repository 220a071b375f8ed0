# SPDX-License-Identifier: Apache-2.0
"""Statements on one connection of SQLite: few for many rows, and values that bind at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, cast

from tallystick.limits import PACKED_BYTES_MAX
from tallystick.store.sql import Row
from tallystick.store.sqlite_packed import packed_insertion

# The interpreter lock is given away and taken again for each statement: row by row, a writer would
# wait for it once for every row while another thread parses what comes next. What is left of a
# larger number goes in one statement, too: there is one for each number up to the smallest here.
_ROWS_AT_ONCE: Final = (256, 128, 64)


@cache
def _insertion(head: str, tail: str, width: int, count: int) -> str:
    row = f"({','.join('?' * width)})"
    return f"{head} VALUES {','.join([row] * count)} {tail}"


@cache
def _updating(table: str, columns: tuple[str, ...], keys: tuple[str, ...], count: int) -> str:
    names = (*columns, *keys)
    row = f"({','.join('?' * len(names))})"
    given = [f"{name} = given.column{at}" for at, name in enumerate(columns, start=1)]
    same = [f"{table}.{name} = given.column{at}" for at, name in enumerate(keys, len(columns) + 1)]
    return (
        f"UPDATE {table} SET {', '.join(given)} FROM (VALUES {','.join([row] * count)}) AS given "
        f"WHERE {' AND '.join(same)}"
    )


def _spans(count: int) -> Iterator[slice]:
    """Yield which rows go together: by as many as one statement takes."""
    at = 0
    for most in _ROWS_AT_ONCE:
        while count - at >= most:
            yield slice(at, at + most)
            at += most
    if at < count:
        yield slice(at, count)


def _values(columns: Sequence[Sequence[object]], rows: slice) -> list[object]:
    """Return the values of some rows in a line."""
    count, width = rows.stop - rows.start, len(columns)
    values: list[object] = [None] * (count * width)
    for at, column in enumerate(columns):
        values[at::width] = _bindable(column[rows])
    return values


def _bindable(column: Sequence[object]) -> Sequence[object]:
    """Return a column with its bytes as what binds at once.

    For each `bytes` the module looks for an adapter, through an exception that nobody sees: it
    costs four times as much as to copy them.
    """
    first = column[0]
    if type(first) is not bytes:
        return column
    if column[-1] is first and column.count(first) == len(column):
        return [bytearray(first)] * len(column)
    if {*map(type, column)} == {bytes}:
        return [*map(bytearray, cast("Sequence[bytes]", column))]
    return [bytearray(one) if type(one) is bytes else one for one in column]


class SqliteAccess:
    """One connection of SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        # Of the row that `insert` wrote last.
        self.last_rowid: int | None = None

    def rows(self, statement: str, values: Sequence[object] = (), /) -> list[Row]:
        """Return all rows that a statement yields."""
        return self._execute(statement, values).fetchall()

    def lookup(
        self, select: str, columns: Sequence[str], keys: Sequence[Sequence[object]], /
    ) -> list[Row]:
        """Ask for one key after the other: cheaper here than a long statement."""
        word = "AND" if " WHERE " in select else "WHERE"
        statement = f"{select} {word} {' = ? AND '.join(columns)} = ?"
        found: list[Row] = []
        for key in keys:
            found += self._execute(statement, key)
        return found

    def run(self, statement: str, values: Sequence[object] = (), /) -> int:
        """Run a statement that yields no rows, and return how many it changed."""
        return self._execute(statement, values).rowcount

    def insert(self, head: str, rows: Sequence[Sequence[object]], tail: str = "", /) -> None:
        """Insert all rows, many by one statement each: see `_ROWS_AT_ONCE`."""
        if len(rows) == 1:  # without a turn into columns and back
            self._insert(_insertion(head, tail, len(rows[0]), 1), rows[0])
        else:
            self.insert_columns(head, [*zip(*rows, strict=True)], tail)

    def insert_columns(
        self, head: str, columns: Sequence[Sequence[object]], tail: str = "", /
    ) -> None:
        """Insert all rows, given by their columns."""
        count = len(columns[0]) if columns else 0
        if count >= _ROWS_AT_ONCE[-1]:
            packed = packed_insertion(head, columns, tail, PACKED_BYTES_MAX)
            if packed is not None:
                self._insert(*packed)
                return
        for some in _spans(count):
            statement = _insertion(head, tail, len(columns), some.stop - some.start)
            self._insert(statement, _values(columns, some))

    def update(
        self, table: str, columns: Sequence[str], keys: Sequence[str], rows: Sequence[Row], /
    ) -> None:
        """Update all rows, many by one statement each: see `_ROWS_AT_ONCE`."""
        given = [*zip(*rows, strict=True)]
        for some in _spans(len(rows)):
            statement = _updating(table, tuple(columns), tuple(keys), some.stop - some.start)
            self._execute(statement, _values(given, some))

    def _insert(self, statement: str, values: Sequence[object]) -> None:
        self.last_rowid = self._execute(statement, values).lastrowid
