# SPDX-License-Identifier: Apache-2.0
"""What somebody puts into a column is a fault of the store, whatever it is, and none of fsck."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.stores import SqliteLog, loosened
from tests.submissions import note_of, submissions

from tallystick.errors import StoreCorruptError
from tallystick.store.fsck import check_store
from tallystick.store.fsck_rows import Count, Hash, only_row, typed_rows
from tallystick.store.sqlite_access import SqliteAccess

TABLES = ("log_head", "batch", "chain", "entry", "body", "tile", "tree", "head", "checkpoint")
STRANGE = (
    "NULL",
    "''",
    "x'ff'",
    "zeroblob(32)",
    "-1",
    "1e300",
    "9223372036854775807",
    f"'{'9' * 100_000}'",
    "CAST(x'ff' AS TEXT)",
)
# What a sound store may hold there; the time of a checkpoint is signed, and no keys are given.
POSSIBLE = {
    ("log_head", "last_ms", "9223372036854775807"),
    ("checkpoint", "time_s", "9223372036854775807"),
    ("checkpoint", "note", "NULL"),
}
BODIES = (
    '{"id":"x","credentialSubject":{"chain":"y"}}',
    '{"id":"x","credentialSubject":{"chain":[]}}',
    '{"id":"x","credentialSubject":"chain"}',
    '{"id":[],"credentialSubject":{"chain":{"chain_id":{}}},"issuer":[],"proof":1}',
    '{"id":"x","credentialSubject":{"chain":{"chain_id":"y","sequence":1e300}}}',
    '{"id":"\\ud800","credentialSubject":{"chain":{"chain_id":"y"}}}',
    '["id","credentialSubject"]',
    '"credentialSubject"',
    "null",
    "[" * 5000,
    "9" * 5000,
)


class Pair(NamedTuple):
    number: Count
    hash: Hash | None


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 260 receipts and a checkpoint, whose columns take everything."""
    path = tmp_path_factory.mktemp("fsck") / "db"
    with closing(SqliteLog(path, clock_ms=lambda: 1_700_000_000_000)) as store:
        store.place(submissions(260))
        intent = store.advance()
        store.release(intent.number, note_of(intent))
    loosened(path)
    faults = check_store(str(path)).faults
    assert [one for one in faults if "tripwires" not in one] == []
    return path


def faults_after(sound: Path, folder: Path, *statements: str) -> list[str]:
    path = folder / "db"
    path.write_bytes(sound.read_bytes())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return [one for one in check_store(str(path)).faults if "tripwires" not in one]


@pytest.mark.parametrize("table", TABLES)
def test_whatever_a_column_holds_is_found(sound: Path, tmp_path: Path, table: str) -> None:
    """Each column, each strange value: a report that names a fault, and ends."""
    with closing(sqlite3.connect(sound)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    unseen = set()
    for column in columns:
        for strange in STRANGE:
            change = f"UPDATE {table} SET {column} = {strange} WHERE rowid = "
            if not faults_after(sound, tmp_path, f"{change}(SELECT max(rowid) FROM {table})"):
                unseen.add((table, column, strange))
    assert unseen == {one for one in POSSIBLE if one[0] == table}


@pytest.mark.parametrize("table", TABLES[:-1])
def test_a_table_that_was_emptied_is_found(sound: Path, tmp_path: Path, table: str) -> None:
    """Also one that has a single row; whether there were checkpoints, only who saw them knows."""
    assert faults_after(sound, tmp_path, f"DELETE FROM {table}")


@pytest.mark.parametrize("body", BODIES)
def test_what_is_no_receipt_is_found(sound: Path, tmp_path: Path, body: str) -> None:
    """JSON of any other shape stands in the place of a receipt."""
    change = f"UPDATE body SET body = CAST('{body}' AS BLOB) WHERE idx = 3"
    faults = faults_after(sound, tmp_path, change)
    assert any("entry 3: its body" in one for one in faults), faults


def test_a_batch_of_all_numbers_ends(sound: Path, tmp_path: Path) -> None:
    """Where no entry is, there is nothing to walk over."""
    change = "UPDATE batch SET stop = 9223372036854775806"
    assert any("its root is not" in one for one in faults_after(sound, tmp_path, change))


def test_rows_are_of_their_kind() -> None:
    """Bytes are no text, a flag is no number, a hash has its length, and one row is one."""
    with closing(sqlite3.connect(":memory:")) as connection:
        access = SqliteAccess(connection)
        statement = "SELECT column1, column2 FROM (VALUES (1, zeroblob(32)), (2, NULL))"
        assert typed_rows(access, "t", Pair, statement) == [(1, bytes(32)), (2, None)]
        for row in ("-1, NULL", "1.0, NULL", "1, 'AAAA'", "1, x'00'", "NULL, NULL", "1, NULL, 1"):
            with pytest.raises(StoreCorruptError, match=r"^t: a column"):
                typed_rows(access, "t", Pair, f"SELECT {row}")
        assert only_row(access, "t", Pair, "SELECT 1, NULL") == (1, None)
        with pytest.raises(StoreCorruptError, match=r"^t: 2 rows"):
            only_row(access, "t", Pair, statement)
