# SPDX-License-Identifier: Apache-2.0
"""The daemon's store: the field's own schema, files that stay closed, and one writer."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.errors import StoreCorruptError, StoreError
from tallystick.store.ledger import LedgerStore
from tallystick.store.sql import schema_text
from tallystick.store.sqlite import COLLECTOR, SqliteEngine

# As the protocol's other tools declare it; they read the columns by these names.
FIELD = [
    ("id", "TEXT", 0, 1), ("chain_id", "TEXT", 1, 0), ("sequence", "INTEGER", 1, 0),
    ("action_type", "TEXT", 1, 0), ("tool_name", "TEXT", 1, 0), ("risk_level", "TEXT", 1, 0),
    ("status", "TEXT", 1, 0), ("timestamp", "TEXT", 1, 0), ("issuer_id", "TEXT", 1, 0),
    ("principal_id", "TEXT", 0, 0), ("receipt_json", "TEXT", 1, 0), ("receipt_hash", "TEXT", 1, 0),
    ("previous_receipt_hash", "TEXT", 0, 0), ("created_at", "TEXT", 0, 0),
]  # fmt: skip


def store_at(path: Path) -> LedgerStore:
    """Open a store whose clock stands still."""
    return LedgerStore(path, clock_ms=lambda: 7)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def test_the_schema_is_the_one_of_the_field(tmp_path: Path) -> None:
    """Its columns and indexes are there by name, type and order; ours follow, with defaults."""
    store_at(tmp_path / "db").close()
    with closing(sqlite3.connect(tmp_path / "db")) as connection:
        columns = connection.execute("PRAGMA table_info(receipts)").fetchall()
        assert [(name, kind, strict, key) for _, name, kind, strict, _, key in columns][
            :14
        ] == FIELD
        assert all(default is not None for *_, default, _ in columns[14:])
        indexes = {
            name: (unique, [one[2] for one in connection.execute(f"PRAGMA index_info({name})")])
            for _, name, unique, *_ in connection.execute("PRAGMA index_list(receipts)")
        }
    assert indexes["idx_receipts_chain"] == (1, ["chain_id", "sequence"])
    for name in ("action", "risk", "timestamp"):
        (column,) = indexes[f"idx_receipts_{name}"][1]
        assert column.startswith(name)


def test_the_schema_says_nothing_of_other_tables() -> None:
    """There is one table: what tells our files from others is outside of the schema."""
    text = re.sub(r"--.*", "", schema_text("sqlite_001", "ledger"))
    assert re.findall(r"CREATE TABLE (\w+)", text) == ["receipts"]


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_files_are_for_owner_and_readers(home: Home, umask: int) -> None:
    """0640 whatever the umask is, for the file, its log and its index."""
    before = os.umask(umask)
    try:
        ledger = home.open()
        ledger.commit([home.frame()])
        for name in ("receipts.db", "receipts.db-wal", "receipts.db-shm"):
            assert (home.folder / name).stat().st_mode & 0o777 == 0o640, name
        ledger.close()
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mode", "kept"), [(0o666, 0o640), (0o604, 0o600), (0o600, 0o600)])
def test_modes_are_tightened_and_never_loosened(home: Home, mode: int, kept: int) -> None:
    """What others may do beyond reading is taken away; what the operator took stays taken."""
    home.open().close()
    home.db.chmod(mode)
    ledger = home.open()
    ledger.commit([home.frame()])
    for name in ("receipts.db", "receipts.db-wal", "receipts.db-shm"):
        assert (home.folder / name).stat().st_mode & 0o777 == kept, name
    ledger.close()


def test_a_file_of_another_user_is_refused(home: Home) -> None:
    """Who planted it could read and change all that goes in."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    home.open().close()
    os.chown(home.db, 65534, 65534)
    with pytest.raises(StoreError, match="another user"):
        home.open()


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """The writer insists on WAL and synchronous FULL."""
    store = store_at(tmp_path / "db")
    with store.engine.writing() as access:
        assert access.rows("PRAGMA synchronous") == [(2,)]
        assert access.rows("PRAGMA journal_mode") == [("wal",)]
    store.close()


@pytest.mark.parametrize(
    "statement", ["UPDATE receipts SET status = 'success'", "DELETE FROM receipts"]
)
def test_tripwires(home: Home, statement: str) -> None:
    """What only a mistake would do is refused by the database itself."""
    ledger = home.open()
    ledger.commit([home.frame()])
    with pytest.raises(StoreCorruptError, match="tripwire"), ledger._store.engine.writing() as one:
        one.run(statement)
    ledger._store.close()


def test_a_collector_is_no_ledger(tmp_path: Path) -> None:
    """Each kind of file is told from the other."""
    SqliteEngine(tmp_path / "log", clock_ms=lambda: 7, schema=COLLECTOR).close()
    with pytest.raises(StoreCorruptError, match="something else"):
        store_at(tmp_path / "log")
    store_at(tmp_path / "db").close()
    with pytest.raises(StoreCorruptError, match="something else"):
        SqliteEngine(tmp_path / "db", clock_ms=lambda: 7)


def test_chains_below_a_name(home: Home) -> None:
    """All chains of agents are found, in order, and none of another root."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id=name) for name in ("b", "a", "~", "é")])
    rows = ledger._store.last_rows_below("2026-03-10/agent/")
    assert [one.chain_id.rpartition("/")[2] for one in rows] == ["a", "b", "~", "é"]
    assert list(ledger._store.last_rows_below("2026-03-1/agent/")) == []
    assert not ledger._store.has_chain("2026-03-1")
    ledger.close()


@pytest.mark.parametrize(
    "column", ["chain_id", "sequence", "receipt_hash", "id", "timestamp", "receipt_json"]
)
def test_what_is_no_text_is_told(home: Home, column: str) -> None:
    """A start on a store that somebody has written into says so, and writes nothing."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        change = f"UPDATE receipts SET {column} = x'ff' WHERE rowid = "
        connection.execute(f"{change}(SELECT max(rowid) FROM receipts)")
    before = home.rows()
    with pytest.raises(StoreError):  # also where what was acknowledged is not there
        home.open()
    assert home.rows() == before
