# SPDX-License-Identifier: Apache-2.0
"""Rows on their way into SQLite: each once, as they were given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.limits import PACKED_BYTES_MAX
from tallystick.store.sqlite import SqliteEngine


def engine_at(path: Path) -> SqliteEngine:
    """Open an engine whose clock stands still."""
    return SqliteEngine(path, clock_ms=lambda: 7)


@pytest.mark.parametrize("count", [1, 3, 64, 300, 513])
@pytest.mark.parametrize("word", [b"x", None], ids=["packed", "mixed"])
def test_the_last_row_is_known(tmp_path: Path, count: int, word: bytes | None) -> None:
    """By its number, in whatever statements the rows went: it is behind all that were there."""
    engine = engine_at(tmp_path / "db")
    with engine.writing() as access:
        access.run("CREATE TABLE words (word)")
        for times in (1, 2, 3):
            access.insert("INSERT INTO words (word)", [(word,)] * (count - 1) + [(b"y",)])
            assert access.last_rowid == times * count
            assert access.rows("SELECT max(rowid) FROM words") == [(times * count,)]
    engine.close()


@pytest.mark.parametrize("count", [0, 1, 3, 8, 127, 300, 513])
def test_any_number_of_rows_is_written_once(tmp_path: Path, count: int) -> None:
    """However rows are divided among statements, each is inserted and updated, and none else."""
    engine = engine_at(tmp_path / "db")
    rows = [(slot, b"%d" % slot) for slot in range(count)]
    with engine.writing() as access:
        access.run("CREATE TABLE words (slot PRIMARY KEY, word, copy)")
        access.insert("INSERT INTO words (slot, word)", rows)
        access.insert("INSERT INTO words (slot, word)", rows, "ON CONFLICT DO NOTHING")
        access.run("INSERT INTO words VALUES (-1, NULL, NULL)")
        access.update("words", ("word", "copy"), ("slot",), [(b"x", word, at) for at, word in rows])
        assert access.rows("SELECT slot, word, copy FROM words ORDER BY slot") == [
            (-1, None, None),
            *((slot, b"x", word) for slot, word in rows),
        ]
    engine.close()


def test_values_come_back_as_they_went_in(tmp_path: Path) -> None:
    """Bytes are bound in another form: all of a column, some, or none but the first."""
    engine = engine_at(tmp_path / "db")
    same = b"same"
    rows = [
        (at, same, b"%d" % at, None if at else b"first", b"late" if at else None, "text", 2**62)
        for at in range(11)
    ]
    with engine.writing() as access:
        access.run("CREATE TABLE given (at INTEGER, a BLOB, b BLOB, c, d, e TEXT, f)")
        access.insert("INSERT INTO given (at, a, b, c, d, e, f)", rows)
        access.update("given", ("b", "c"), ("at",), [(b"new", None, 3), (b"\0", b"", 4)])
        rows[3], rows[4] = (
            (3, same, b"new", None, *rows[3][4:]),
            (4, same, b"\0", b"", *rows[4][4:]),
        )
        assert access.rows("SELECT * FROM given ORDER BY at") == rows
    engine.close()


def test_many_rows_are_one_statement_where_they_can_be(tmp_path: Path) -> None:
    """Integers and bytes go by their columns, other things and large ones row by row."""
    engine = engine_at(tmp_path / "db")
    count = 200
    small = [(at, b"%d" % at) for at in range(count)]
    mixed = [(at + count, None if at % 3 else b"x") for at in range(count)]
    large = [(at + 2 * count, bytes(1 << 17)) for at in range(PACKED_BYTES_MAX // (1 << 17) + 1)]
    statements: list[str] = []
    with engine.writing() as access:
        access.run("CREATE TABLE words (slot PRIMARY KEY, word)")
        engine._connection.set_trace_callback(statements.append)
        access.insert("INSERT INTO words (slot, word)", small)
        assert len(statements) == 1
        access.insert("INSERT INTO words (slot, word)", mixed)
        access.insert("INSERT INTO words (slot, word)", large)
        assert len(statements) > 3
        engine._connection.set_trace_callback(None)
        assert access.rows("SELECT * FROM words ORDER BY slot") == small + mixed + large
    engine.close()
