# SPDX-License-Identifier: Apache-2.0
"""What copies SQLite's log into the file beside the writer: all of it, and its faults are told."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tallystick.errors import StoreError, StoreStoppedError
from tallystick.store.sqlite import SqliteEngine
from tallystick.store.sqlite_backfill import Backfill

PAGE_BYTES = 4096


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


class Base:
    """A database in whose log everything stays that nobody copies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = self.connect()
        self.writer.execute("PRAGMA journal_mode = WAL")
        self.writer.execute("PRAGMA wal_autocheckpoint = 0")
        self.writer.execute("CREATE TABLE t (data)")

    def connect(self) -> sqlite3.Connection:
        """Return a connection that any thread may use."""
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)

    def write(self, pages: int) -> None:
        """Commit so much."""
        self.writer.execute("INSERT INTO t VALUES (zeroblob(?))", (pages * PAGE_BYTES,))


def test_the_log_is_copied_once_there_is_enough(tmp_path: Path) -> None:
    """Nothing while little was written; then all, without a word to the writer."""
    base = Base(tmp_path / "db")
    faults: list[sqlite3.Error] = []
    backfill = Backfill(base.connect, faults.append, pause_s=0.01, bytes_min=100 * PAGE_BYTES)
    backfill.note_commit()
    base.write(10)
    backfill.note_commit()
    time.sleep(0.2)
    assert base.path.stat().st_size < 10 * PAGE_BYTES
    base.write(200)
    backfill.note_commit()
    until(lambda: base.path.stat().st_size > 200 * PAGE_BYTES)
    backfill.close()
    backfill.close()
    assert not faults
    # All frames of the log are in the file: of them, none is left to copy.
    busy, frames, copied = base.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, frames) == (0, copied)
    base.writer.close()


def test_a_fault_is_told_and_ends_it(tmp_path: Path) -> None:
    """An error while it copies may mean that something is lost: whoever writes hears of it."""
    base = Base(tmp_path / "db")
    told: list[str] = []
    heard = threading.Event()

    def failed(error: sqlite3.Error) -> None:
        told.append(type(error).__name__)
        heard.set()

    def connect() -> sqlite3.Connection:
        found = base.connect()
        found.set_authorizer(
            lambda _kind, name, *_: (
                sqlite3.SQLITE_DENY if name == "wal_checkpoint" else sqlite3.SQLITE_OK
            )
        )
        return found

    backfill = Backfill(connect, failed, pause_s=0.01, bytes_min=1)
    backfill.note_commit()
    time.sleep(0.1)
    base.write(50)
    backfill.note_commit()
    assert heard.wait(20)
    backfill.note_commit()
    backfill.close()
    assert told == ["DatabaseError"]
    base.writer.close()


@pytest.mark.parametrize("fault", [sqlite3.OperationalError("no descriptor"), StoreError("gone")])
def test_without_a_connection_commits_do_it_all(fault: Exception) -> None:
    """That it can't be opened once more is no fault of what is stored."""
    told: list[sqlite3.Error] = []

    def connect() -> sqlite3.Connection:
        raise fault

    backfill = Backfill(connect, told.append)
    backfill.note_commit()
    backfill.close()
    assert not told


def test_a_store_whose_log_cant_be_copied_takes_no_more(tmp_path: Path) -> None:
    """The engine stops with the reason; what it acknowledged is there when it is opened again."""
    engine = SqliteEngine(tmp_path / "db", clock_ms=lambda: 0)
    with engine.writing() as access:
        access.run("CREATE TABLE words (word)")
        access.insert("INSERT INTO words (word)", [(b"kept",)])
    engine._backfill_failed(sqlite3.OperationalError("disk I/O error"))
    with pytest.raises(StoreStoppedError, match="disk I/O error"), engine.writing():
        pass
    engine.close()
    again = SqliteEngine(tmp_path / "db", clock_ms=lambda: 0)
    with again.reading() as access:
        assert access.rows("SELECT word FROM words") == [(b"kept",)]
    again.close()
