# SPDX-License-Identifier: Apache-2.0
"""How a ledger is opened for reading; what readers see is in test_ledger_reads.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.errors import StoreCorruptError, StoreError
from tallystick.store.ledger_file import check_shape, check_there, open_to_read, state_of, told


def test_a_log_says_that_somebody_writes(tmp_path: Path) -> None:
    """With one the file has no state to compare; without, each change is another state."""
    home = Home(tmp_path)
    ledger = home.open()
    assert state_of(str(home.db)) is None
    ledger.close()
    before = state_of(str(home.db))
    assert before is not None
    assert state_of(str(home.db)) == before
    again = home.open()
    again.commit([home.frame()])
    again.close()
    assert state_of(str(home.db)) not in (None, before)
    assert state_of(str(tmp_path / "none")) == (0,)


def test_nothing_can_be_written(tmp_path: Path) -> None:
    """Whoever opens it, and whatever its name; what is no ledger has another shape."""
    home = Home(tmp_path)
    home.open().close()
    odd = tmp_path / "a?b#c%.db"
    home.db.rename(odd)
    with closing(open_to_read(str(odd), state_of(str(odd)))) as connection:
        check_shape(connection, "x")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM receipts")
        connection.execute("PRAGMA query_only = OFF")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("CREATE TABLE x (y)")


def test_faults_are_told_apart(tmp_path: Path) -> None:
    """A file that is not there, one that is no ledger, and one that was never the same."""
    with pytest.raises(StoreError, match="x does not exist"):
        check_there(str(tmp_path / "x"), "x")
    (tmp_path / "x").write_bytes(b"")
    check_there(str(tmp_path / "x"), "x")
    with pytest.raises(StoreError, match=r"could not be opened: Not a directory"):
        check_there(str(tmp_path / "x" / "y"), "y")
    assert told("x", "x", None).is_transient
    assert isinstance(told("x", "x", sqlite3.OperationalError("no such table")), StoreCorruptError)
    with closing(sqlite3.connect(tmp_path / "x")) as other, other:
        other.execute("CREATE VIEW receipts AS SELECT 1")
        with pytest.raises(StoreCorruptError, match="no plain table"):
            check_shape(other, "x")
