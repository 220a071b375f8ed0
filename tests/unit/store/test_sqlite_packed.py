# SPDX-License-Identifier: Apache-2.0
"""Rows that go into SQLite by their columns: each value as it was given, or none at all."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Sequence

import pytest

from tallystick.store.sqlite_packed import packed_insertion

_TABLE = "CREATE TABLE given (a, b, c, d, e) "
_HEAD = "INSERT INTO given (a, b, c, d, e)"


def rows_after(columns: Sequence[Sequence[object]], tail: str = "") -> list[tuple[object, ...]]:
    """Return what is in a table once these columns went in together."""
    connection = sqlite3.connect(":memory:")
    connection.execute(_TABLE)
    connection.execute("CREATE UNIQUE INDEX one ON given (a)")
    packed = packed_insertion(_HEAD, columns, tail, 1 << 20)
    assert packed is not None
    connection.execute(*packed)
    return connection.execute("SELECT * FROM given").fetchall()


@pytest.mark.parametrize("count", [1, 2, 64, 1000])
def test_values_come_back_as_they_went_in(count: int) -> None:
    """Integers up to both ends, bytes of one length and of many, of none and with zeros in them."""
    dice = random.Random(count)
    ends = [-(2**63), 2**63 - 1, 0, -1]
    columns: list[Sequence[object]] = [
        range(5, 5 + count),
        [dice.choice([*ends, dice.getrandbits(62)]) for _ in range(count)],
        [dice.randbytes(32) for _ in range(count)],
        [dice.randbytes(dice.choice([0, 1, 9, 4000])) for _ in range(count)],
        [b"same \0 in all"] * count,
    ]
    assert rows_after(columns) == [*zip(*columns, strict=True)]


def test_columns_of_few_values() -> None:
    """All equal, all empty, equal but for the last, and a range that counts down."""
    columns: list[Sequence[object]] = [
        range(3, 0, -1), [7, 7, 7], [b"", b"", b""], [b"x", b"x", b"y"], [0, 0, -5],
    ]  # fmt: skip
    assert rows_after(columns) == [*zip(*columns, strict=True)]


def test_a_tail_stands_behind_it() -> None:
    """What is there already is passed over where the tail says so."""
    columns: list[Sequence[object]] = [[1, 2, 1], [7, 8, 9], *([[b"x"] * 3] * 3)]
    assert [row[:2] for row in rows_after(columns, "ON CONFLICT DO NOTHING")] == [(1, 7), (2, 8)]


def test_columns_have_one_length() -> None:
    """A value that is missing is no zero."""
    columns: list[Sequence[object]] = [range(2), *([[1, 1]] * 3), [b"x"]]
    with pytest.raises(ValueError, match="one length"):
        packed_insertion(_HEAD, columns, "", 1 << 20)


@pytest.mark.parametrize(
    "column",
    [
        [1, 2**63],
        [-(2**63) - 1, 1],
        [b"x", None],
        [None, None],
        ["text", "text"],
        [1, b"x"],
        [1, 2.0],
        [True, True],
        [bytearray(b"x")] * 2,
        [b"x" * 600_000, b"y" * 600_000],
    ],
)
def test_what_it_cannot_tell_it_refuses(column: Sequence[object]) -> None:
    """Nothing is written in another form than it was given in."""
    columns: list[Sequence[object]] = [range(2), *([[1, 1]] * 3), column]
    assert packed_insertion(_HEAD, columns, "", 1 << 20) is None
