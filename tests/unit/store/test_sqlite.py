# SPDX-License-Identifier: Apache-2.0
"""The SQLite engine: what it insists on, and how it stops."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.stores import SqliteLog
from tests.submissions import note_of, submissions

from tallystick.durable.found import Found, find
from tallystick.errors import (
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreStoppedError,
)
from tallystick.limits import SQLITE_LOCK_WAIT_MS, SQLITE_WAL_BYTES_MAX, SQLITE_WAL_ROOM_BYTES
from tallystick.store import sqlite
from tallystick.store.sql import schema_text
from tallystick.store.sqlite import COLLECTOR, SqliteEngine

TAMPERING = (
    "UPDATE entry SET sequence = 9",
    "DELETE FROM entry WHERE idx = 0",
    "UPDATE body SET body = x''",
    "DELETE FROM body",
    "UPDATE batch SET root = root",
    "DELETE FROM batch",
    "UPDATE tile SET root = root",
    "DELETE FROM tile",
    "UPDATE head SET root = root",
    "DELETE FROM head",
    "DELETE FROM chain",
    "UPDATE log_head SET next_index = 0",
    "UPDATE log_head SET last_ms = 0",
    "DELETE FROM log_head",
    "UPDATE tree SET size = 0",
    "DELETE FROM tree",
    "DELETE FROM checkpoint",
    "UPDATE checkpoint SET note = x''",
    "UPDATE checkpoint SET time_s = time_s + 1",
    "INSERT INTO checkpoint VALUES (1, 0, 0, NULL)",
    "INSERT INTO checkpoint VALUES (2, 0, 300, NULL)",
    "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE idx = 0",
    "REPLACE INTO head SELECT size, zeroblob(32) FROM head",
)


def engine_at(path: Path) -> SqliteEngine:
    """Open an engine whose clock stands still."""
    return SqliteEngine(path, clock_ms=lambda: 7)


def test_every_connection_is_durable(tmp_path: Path) -> None:
    """WAL, synchronous FULL and the tripwires' PRAGMA, on writer and readers; readers only read."""
    engine = engine_at(tmp_path / "db")
    asked = ("journal_mode", "synchronous", "recursive_triggers", "foreign_keys", "fullfsync")
    with engine.writing() as writer, engine.reading() as reader:
        for access in (writer, reader):
            assert [access.rows(f"PRAGMA {name}")[0][0] for name in asked] == ["wal", 2, 1, 1, 1]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.run("UPDATE probe SET count = 2")
    engine.close()


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    """What is no error of the database undoes the transaction, and the engine goes on."""
    engine = engine_at(tmp_path / "db")

    def work() -> None:
        with engine.writing() as access:
            access.run("UPDATE probe SET count = 9")
            raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        work()
    with engine.writing() as access:
        assert access.rows("SELECT count FROM probe") == [(0,)]
    engine.close()


def test_after_an_error_of_the_database_nothing_is_written(tmp_path: Path) -> None:
    """The first failure says what it was; each later write that the store has stopped; reads go."""
    engine = engine_at(tmp_path / "db")
    with pytest.raises(StoreError, match="no such table"), engine.writing() as access:
        access.run("UPDATE missing SET x = 1")
    for _ in range(2):
        with pytest.raises(StoreStoppedError, match="no such table"), engine.writing():
            pass
    with engine.reading() as access:
        assert access.rows("SELECT count FROM probe") == [(0,)]
    engine.close()
    engine.close()
    with pytest.raises(StoreStoppedError), engine.reading():
        pass


def test_an_old_sqlite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot run our statements says so when it is opened, not at the first write."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 32, 9))
    with pytest.raises(StoreError, match=r"3\.33 is needed"):
        engine_at(tmp_path / "db")


@pytest.mark.parametrize("statement", TAMPERING)
def test_tripwires(tmp_path: Path, statement: str) -> None:
    """What only a mistake would do is refused by the database itself, REPLACE too."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 1_700_000_000_000)
    store.place(submissions(300))
    intent = store.advance()
    store.release(intent.number, note_of(intent))
    with pytest.raises(StoreCorruptError), store.engine.writing() as access:
        access.run(statement)
    store.close()


def test_foreign_and_newer_files_are_left_alone(tmp_path: Path) -> None:
    """Another program's database, or a newer version's: refused, and not changed."""
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE mine (x)")
    engine_at(tmp_path / "newer").close()
    with closing(sqlite3.connect(tmp_path / "newer")) as connection:
        connection.execute("PRAGMA user_version = 99")
    for name, words in (("other", "something else"), ("newer", "newer version")):
        with pytest.raises(StoreCorruptError, match=words):
            engine_at(tmp_path / name)
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]


def test_a_migration_is_done_once_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old file gets what it lacks; a step that fails leaves the file as it was."""
    engine_at(tmp_path / "db").close()
    texts = {"good": "CREATE TABLE added (x);", "bad": "CREATE TABLE half (x); NONSENSE;"}
    monkeypatch.setattr(
        sqlite, "schema_text", lambda name, folder: texts.get(name) or schema_text(name, folder)
    )
    later = COLLECTOR._replace(migrations=("sqlite_001", "good", "bad"))
    with pytest.raises(StoreError, match="NONSENSE"):
        SqliteEngine(tmp_path / "db", clock_ms=lambda: 7, schema=later)
    later = COLLECTOR._replace(migrations=("sqlite_001", "good"))
    for _ in range(2):
        engine = SqliteEngine(tmp_path / "db", clock_ms=lambda: 7, schema=later)
        with engine.reading() as access:
            assert access.rows("PRAGMA user_version") == [(2,)]
            assert access.rows("SELECT * FROM added") == []
        assert engine.integrity() == []
        engine.close()


def test_a_missing_tripwire_is_told(tmp_path: Path) -> None:
    """Tables and triggers other than ours are a fault of the store."""
    engine = engine_at(tmp_path / "db")
    with engine.writing() as access:
        access.run("DROP TRIGGER entry_delete")
    assert any("tripwires" in fault for fault in engine.integrity())
    engine.close()


def test_a_link_is_no_second_file(tmp_path: Path) -> None:
    """One file has one lock, whatever it is called."""
    engine = SqliteEngine(tmp_path / "store.db", clock_ms=lambda: 7)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link.db").symlink_to(tmp_path / "store.db")
    with pytest.raises(StoreLockedError):
        SqliteEngine(tmp_path / "other" / "link.db", clock_ms=lambda: 7)
    engine.close()


def test_who_holds_it_for_a_moment_only_is_waited_for(tmp_path: Path) -> None:
    """A process that was killed leaves its lock to one that it had just begun, for milliseconds."""
    engine = SqliteEngine(tmp_path / "store.db", clock_ms=lambda: 7)
    later = threading.Timer(SQLITE_LOCK_WAIT_MS / 4000, engine.close)
    later.start()
    SqliteEngine(tmp_path / "store.db", clock_ms=lambda: 7).close()
    later.join()


def test_a_file_that_was_taken_away_is_not_made_anew(tmp_path: Path) -> None:
    """Who reads is told; nobody is shown an empty store."""
    engine = SqliteEngine(tmp_path / "store.db", clock_ms=lambda: 7)
    (tmp_path / "store.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreError, match="no longer there"), engine.reading():
        pass
    assert not (tmp_path / "store.db").exists()
    engine.close()


def test_the_log_is_made_longer_ahead_of_commits(tmp_path: Path) -> None:
    """Commits write into what the log has already, and a crash leaves them all, and only them."""
    engine = engine_at(tmp_path / "db")
    log = tmp_path / "db-wal"
    sizes = [log.stat().st_size]
    for name in ("db", "db-wal"):
        shutil.copy(tmp_path / name, tmp_path / f"empty-{name}")
    for _ in range(8):
        counted(engine)
        sizes.append(log.stat().st_size)
    assert sizes[0] >= SQLITE_WAL_ROOM_BYTES
    assert set(sizes) == {sizes[0]}
    for name in ("db", "db-wal"):
        shutil.copy(tmp_path / name, tmp_path / f"crashed-{name}")
    with engine.writing() as access:  # more than there is room for
        access.run("INSERT INTO run VALUES (0, ?)", (bytes(SQLITE_WAL_ROOM_BYTES),))
    counted(engine)
    assert log.stat().st_size > sizes[0] + SQLITE_WAL_ROOM_BYTES
    engine.close()
    assert not log.exists()
    for name, count in (("empty", 0), ("crashed", 8)):
        left = engine_at(tmp_path / f"{name}-db")
        with left.reading() as access:
            assert access.rows("SELECT count FROM probe") == [(count,)]
        assert left.integrity() == []
        left.close()


def test_a_process_without_files_goes_on(tmp_path: Path) -> None:
    """Who opens connections until no descriptor is left ends no store whose log is full."""
    engine, log = engine_at(tmp_path / "db"), tmp_path / "db-wal"
    with engine.writing() as access:  # more than there is room for
        access.run("INSERT INTO run VALUES (0, ?)", (bytes(SQLITE_WAL_ROOM_BYTES),))
    full = log.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        counted(engine)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert log.stat().st_size < full + SQLITE_WAL_ROOM_BYTES
    counted(engine)
    assert log.stat().st_size >= full + SQLITE_WAL_ROOM_BYTES
    engine.close()


def test_where_there_is_no_room_commits_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is nearly full, or a quota, is no reason to refuse what still fits."""
    asked: list[int] = []

    def full(_path: str, size: int) -> bool:
        asked.append(size)
        return False

    monkeypatch.setattr(sqlite, "make_room", full)
    engine = engine_at(tmp_path / "db")
    for _ in range(3):
        counted(engine)
    engine.close()
    assert asked == [SQLITE_WAL_ROOM_BYTES]


def test_a_disk_that_fails_there_ends_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything of the transaction is written, and for good."""
    engine = engine_at(tmp_path / "db")

    def failing(_path: str, _size: int) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sqlite, "make_room", failing)
    with engine.writing() as access:  # more than there is room for
        access.run("INSERT INTO run VALUES (0, ?)", (bytes(SQLITE_WAL_ROOM_BYTES),))
    with pytest.raises(StoreError, match="could not be written: Input/output error"):
        counted(engine)
    with pytest.raises(StoreStoppedError, match="takes no more"):
        counted(engine)
    engine.close()
    with pytest.raises(StoreError, match="Input/output error"):
        engine_at(tmp_path / "db")
    monkeypatch.undo()
    again = engine_at(tmp_path / "db")
    with again.reading() as access:
        assert access.rows("SELECT length(words) FROM run") == [(SQLITE_WAL_ROOM_BYTES,)]
        assert access.rows("SELECT count FROM probe") == [(0,)]
    again.close()


def counted(engine: SqliteEngine) -> None:
    """Commit something small."""
    with engine.writing() as access:
        access.run("UPDATE probe SET count = count + 1 WHERE one = 1")


@pytest.mark.parametrize("page_bytes", [4096, COLLECTOR.page_bytes])
def test_a_file_keeps_its_pages(tmp_path: Path, page_bytes: int) -> None:
    """One that was made with other pages goes on with them; the log's bound is one in bytes."""
    with closing(sqlite3.connect(tmp_path / "db")) as connection:
        if page_bytes != COLLECTOR.page_bytes:
            connection.execute(f"PRAGMA page_size = {page_bytes}")
            connection.execute("VACUUM")
    engine = engine_at(tmp_path / "db")
    with engine.writing() as access:
        assert access.rows("PRAGMA page_size") == [(page_bytes,)]
        assert access.rows("PRAGMA wal_autocheckpoint") == [(SQLITE_WAL_BYTES_MAX // page_bytes,)]
    engine.close()


def test_a_commit_opens_no_further_file(tmp_path: Path) -> None:
    """What a statement of many rows may have to undo is kept in memory, not in /var/tmp."""
    engine = engine_at(tmp_path / "db")
    before = len(os.listdir("/proc/self/fd"))
    with engine.writing() as access:
        access.run("CREATE TABLE words (slot PRIMARY KEY, word)")
        access.insert("INSERT INTO words (slot, word)", [(at, bytes(900)) for at in range(300)])
        access.insert("INSERT INTO words (slot, word)", [(-at, bytes(900)) for at in range(1, 90)])
        assert len(os.listdir("/proc/self/fd")) == before
    engine.close()


@pytest.mark.parametrize("reads_only", [True, False])
def test_only_a_reader_sorts_in_a_file(tmp_path: Path, *, reads_only: bool) -> None:
    """`fsck` sorts all entries that there are: so many need not have room in memory."""
    engine = engine_at(tmp_path / "db")
    files = f"/proc/{os.getpid()}/fd"
    with closing(engine._connect(reads_only=reads_only)) as connection:
        connection.create_function("files", 0, lambda: len(os.listdir(files)))
        ((before,),) = connection.execute("SELECT files()")
        rows = connection.execute(
            "WITH RECURSIVE word(at) AS (VALUES (0) UNION ALL SELECT at + 1 FROM word "
            "WHERE at < 20000) SELECT files(), max(at) FROM word GROUP BY randomblob(1000) LIMIT 1"
        )
        assert (rows.fetchone()[0] > before) == reads_only
    engine.close()


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """There a cast of bytes to a number would read something else."""
    path = tmp_path / "db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA encoding = 'UTF-16'")
        made.execute("CREATE TABLE t (a)")
        made.execute("DROP TABLE t")
    with pytest.raises(StoreError, match="encoding = UTF-8"):
        engine_at(path)


def test_the_log_is_looked_at_once_for_each_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks whether it is in place sees its length: the next commit knows if there is room."""
    engine = engine_at(tmp_path / "db")
    counted(engine)
    engine.check_in_place()
    looked: list[str] = []

    def noted(path: str) -> Found | None:
        looked.append(path)
        return find(path)

    monkeypatch.setattr(sqlite, "find", noted)
    counted(engine)
    assert looked == []
    counted(engine)
    assert looked == [f"{tmp_path}/db-wal"]
    with engine.writing() as access:  # more than there is room for
        access.run("INSERT INTO run VALUES (0, ?)", (bytes(SQLITE_WAL_ROOM_BYTES),))
    engine.check_in_place()
    before = os.stat(tmp_path / "db-wal").st_size
    counted(engine)
    assert os.stat(tmp_path / "db-wal").st_size >= before + SQLITE_WAL_ROOM_BYTES
    engine.close()
