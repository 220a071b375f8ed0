# SPDX-License-Identifier: Apache-2.0
"""Statements on one connection of SQLite: few for many rows, and values that bind at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final, cast

from tallystick.store.sql import Row

# The interpreter lock is given away and taken again for each statement: row by row, a writer would
# wait for it once for every row while another thread parses what comes next.
_ROWS_AT_ONCE: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)


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


def _values(rows: Sequence[Sequence[object]]) -> list[object]:
    """Return the values of rows of one shape in a line, with bytes as what binds at once.

    For each `bytes` the module looks for an adapter, through an exception that nobody sees: it
    costs four times as much as to copy them.
    """
    values = [*chain.from_iterable(rows)]
    width = len(rows[0])
    for at, first in enumerate(rows[0]):
        if type(first) is bytes:
            column = values[at::width]
            if column[-1] is first and column.count(first) == len(rows):
                values[at::width] = [bytearray(first)] * len(rows)
            elif {*map(type, column)} == {bytes}:
                values[at::width] = map(bytearray, cast("list[bytes]", column))
            else:
                values[at::width] = [
                    bytearray(one) if type(one) is bytes else one for one in column
                ]
    return values


class SqliteAccess:
    """One connection of SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute

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
        at = 0
        for count in _ROWS_AT_ONCE:
            while len(rows) - at >= count:
                statement = _insertion(head, tail, len(rows[at]), count)
                self._execute(statement, _values(rows[at : at + count]))
                at += count

    def update(
        self, table: str, columns: Sequence[str], keys: Sequence[str], rows: Sequence[Row], /
    ) -> None:
        """Update all rows, many by one statement each: see `_ROWS_AT_ONCE`."""
        at = 0
        for count in _ROWS_AT_ONCE:
            while len(rows) - at >= count:
                statement = _updating(table, tuple(columns), tuple(keys), count)
                self._execute(statement, _values(rows[at : at + count]))
                at += count
