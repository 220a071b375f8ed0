# SPDX-License-Identifier: Apache-2.0
"""SQLite as a server's database: WAL, an fsync for each commit, one writer, one process.

A write that fails leaves it open what is on disk: nothing more is written until the file is opened
anew. SQLite's locks would let a second process in, only slower; but what this process remembers of
the file would be wrong then, so a lock file refuses it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from tallystick.durable.file import (
    FilePath,
    lock,
    open_directory,
    reason_of,
    shown,
    sync_directory,
    unlock,
)
from tallystick.durable.found import find
from tallystick.durable.room import make_room
from tallystick.errors import (
    DurableError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreStoppedError,
    WalLockedError,
)
from tallystick.limits import (
    SQLITE_BUSY_MS,
    SQLITE_CACHE_BYTES,
    SQLITE_LOCK_WAIT_MS,
    SQLITE_WAL_BYTES_MAX,
    SQLITE_WAL_ROOM_BYTES,
)
from tallystick.store.sql import Access, Row, schema_text
from tallystick.store.sqlite_access import SqliteAccess
from tallystick.store.sqlite_files import prepare_files


class Schema(NamedTuple):
    """What is in a file: one engine serves the collector's log and the daemon's ledger."""

    # Where its SQL lies.
    folder: str
    # One migration for each version; the n-th brings a file of version n-1 to n.
    migrations: tuple[str, ...]
    # So that `file` and we can tell our files from others.
    application_id: int
    # A page of a new file; one that is there keeps its own.
    page_bytes: int
    # Permission bits that the files may have at most; without, an operator's choice is kept.
    mode_max: int | None = None


# "TLYC": many share a commit, which takes two system calls for each page.
COLLECTOR: Final = Schema("collector", ("sqlite_001",), 0x544C5943, 16384)
# "TLYL": a lone receipt is a commit, which writes each page that it touches.
LEDGER: Final = Schema("ledger", ("sqlite_001",), 0x544C594C, 4096, 0o640)

_PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged commits when the power goes
    "PRAGMA fullfsync = ON",  # macOS: fsync alone leaves the data in the drive's cache
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",  # INSERT OR REPLACE meets the tripwire of DELETE, too
    "PRAGMA secure_delete = OFF",
    f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}",
    f"PRAGMA cache_size = -{SQLITE_CACHE_BYTES // 1024}",
)

# What one statement may undo is kept in memory, else in a file in /var/tmp. Who only reads undoes
# nothing, and may sort all entries (`fsck`): that is what the file is for.
_WRITER: Final = "PRAGMA temp_store = MEMORY"

# What these must answer: SQLite keeps silent where it could not do as it was told.
# In another encoding a cast of bytes to a number reads something else.
_MUST_BE: Final = (
    ("journal_mode", "wal"),
    ("synchronous", 2),
    ("recursive_triggers", 1),
    ("encoding", "UTF-8"),
)

_SCHEMA: Final = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' "
    "ORDER BY type, name"
)

_LOCK_PAUSE_S: Final = 0.005

# UPDATE … FROM.
_SQLITE_MIN: Final = (3, 33, 0)

_NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)
_CORRUPT: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class SqliteEngine:
    """One file, held by one process: one connection that writes, and some that read."""

    for_update = ""
    is_exclusive = True

    def __init__(
        self, path: FilePath, *, clock_ms: Callable[[], int], schema: Schema = COLLECTOR
    ) -> None:
        self._schema = schema
        # SQLite follows links, too: one file has one lock, whatever it is called. Where the files'
        # modes count, `prepare_files` refuses links.
        self._path = (os.path.realpath if schema.mode_max is None else os.path.abspath)(path)
        self._shown = shown(path)
        if sqlite3.sqlite_version_info < _SQLITE_MIN:
            raise StoreError(
                f"{self._shown}: this Python has SQLite {sqlite3.sqlite_version}; 3.33 is needed"
            )
        self._clock_ms = clock_ms
        self._writing = threading.Lock()
        self._lending = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._stopped: str | None = None
        self._is_closed = False
        self._log_path = f"{self._path}-wal"
        self._log_bytes = -1  # up to where the log is kept longer than it has to be
        self._log_found: int | None = None  # how long it is, where somebody has looked
        self._lock = self._take_lock()
        try:
            prepare_files(self._path, schema.mode_max)
            self._connection = self._connect()
            try:
                self._migrate()
                self._sync_name()
                self._keep_room()
            except BaseException:
                self._connection.close()
                raise
        except (sqlite3.Error, UnicodeDecodeError) as error:
            unlock(self._lock)
            raise self._told("could not be opened", error) from error
        except OSError as error:
            unlock(self._lock)
            raise StoreError(f"{self._shown} could not be opened: {reason_of(error)}") from error
        except BaseException:
            unlock(self._lock)
            raise
        self._access = SqliteAccess(self._connection)
        names = (self._path, self._log_path)
        self._files = {name: found.identity for name in names if (found := find(name)) is not None}

    @contextmanager
    def writing(self) -> Iterator[SqliteAccess]:
        """Run a transaction; after any error of the database, nothing more is written."""
        with self._writing:
            if self._stopped is not None:
                raise StoreStoppedError(f"{self._shown} takes no more: {self._stopped}")
            self._keep_room()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._access
                self._connection.execute("COMMIT")
            except (sqlite3.Error, UnicodeDecodeError) as error:
                told = self._told("could not be written", error)
                self._stop(str(told))
                raise told from error
            except StoreError as error:
                self._stop(str(error))
                raise
            except BaseException:
                self._connection.rollback()
                raise

    @contextmanager
    def reading(self) -> Iterator[SqliteAccess]:
        """Lend a connection that only reads."""
        try:
            with self._lending:
                if self._is_closed:
                    raise StoreStoppedError(f"{self._shown} is closed")
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect(reads_only=True)
            try:
                yield SqliteAccess(connection)
            finally:
                with self._lending:
                    keeps = not self._is_closed
                    if keeps:
                        self._idle.append(connection)
                if not keeps:
                    connection.close()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            told = self._told("could not be read", error)
            # A further connection finds no file descriptor left: those that there are go on.
            told.is_transient = getattr(error, "sqlite_errorname", "") == "SQLITE_CANTOPEN"
            raise told from error

    def check_in_place(self) -> None:
        """Stop where the file or its log is no longer what stands under its name.

        What was written to a file that somebody has moved away or replaced is lost with it.
        """
        for name, known in self._files.items():
            found = find(name)
            if found is None or found.identity != known:
                reason = f"{shown(name)} was replaced or removed while it was open"
                with self._writing:
                    self._stop(reason)
                raise StoreStoppedError(f"{self._shown} takes no more: {reason}")
            if name == self._log_path:
                self._log_found = found.size

    def clock_ms(self, _access: Access, /) -> int:
        """Return this process's time: no other writes this file."""
        return self._clock_ms()

    def size_bytes(self) -> int:
        """Return the bytes of the database file and of its write-ahead log."""
        found = [find(name) for name in (self._path, self._log_path)]
        return sum(one.size for one in found if one is not None)

    def integrity(self) -> list[str]:
        """Return what SQLite itself finds wrong with the file."""
        try:
            with self.reading() as access:
                found = [str(one) for (one,) in access.rows("PRAGMA integrity_check")]
                found += [str(one) for one in access.rows("PRAGMA foreign_key_check")]
                if access.rows(_SCHEMA) != _expected_schema(self._schema):
                    found.append("its tables or tripwires are not those that we made")
        except StoreError as error:
            return [str(error)]
        return [one for one in found if one != "ok"]

    def close(self) -> None:
        """Close all connections and give the lock back; again does nothing."""
        with self._writing, self._lending:
            if self._is_closed:
                return
            self._is_closed = True
            self._stopped = self._stopped or "it is closed"
            for connection in self._idle:
                connection.close()
            self._idle.clear()
            try:
                self._connection.close()
            except sqlite3.Error:
                pass  # what was acknowledged is in the WAL; the next opening reads it
            unlock(self._lock)

    def _stop(self, reason: str) -> None:
        self._stopped = reason
        try:
            if self._connection.in_transaction:
                self._connection.rollback()
        except sqlite3.Error:
            pass  # SQLite has rolled back by itself
        try:
            self._connection.close()
        except sqlite3.Error:
            pass

    def _keep_room(self) -> None:
        """Make the log longer where it is full: commits write into what is there already."""
        found, self._log_found = self._log_found, None
        try:
            if found is None:
                there = find(self._log_path)
                found = -1 if there is None else there.size  # `check_in_place` tells
            if found > self._log_bytes:
                has_room = make_room(self._log_path, SQLITE_WAL_ROOM_BYTES)
                self._log_bytes = os.stat(self._log_path).st_size if has_room else sys.maxsize
        except FileNotFoundError:
            pass  # `check_in_place` tells
        except OSError as error:
            if error.errno in _NO_DESCRIPTOR:
                return  # SQLite has its own; the next transaction asks again
            told = StoreError(f"{self._shown} could not be written: {reason_of(error)}")
            self._stop(str(told))
            raise told from error

    def _take_lock(self) -> int:
        """Lock the file for this process, or refuse after a moment.

        Who was killed while it began another process leaves its locks to that one, for as long as
        it takes to become another program.
        """
        until = time.monotonic() + SQLITE_LOCK_WAIT_MS / 1000
        while True:
            try:
                return self._lock_once()
            except StoreLockedError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOCK_PAUSE_S)

    def _lock_once(self) -> int:
        try:
            directory, name = open_directory(self._path)
        except OSError as error:
            raise StoreError(f"{self._shown} could not be opened: {reason_of(error)}") from error
        try:
            return lock(f"{name}.lock", directory, self._shown)
        except WalLockedError as error:
            raise StoreLockedError(str(error)) from None
        except OSError as error:
            raise StoreError(f"{self._shown} could not be locked: {reason_of(error)}") from error
        finally:
            os.close(directory)

    def _connect(self, *, reads_only: bool = False) -> sqlite3.Connection:
        if reads_only and not os.path.exists(self._path):  # SQLite would make it anew
            raise StoreError(f"{self._shown} is no longer there")
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=640
        )
        try:
            connection.execute(f"PRAGMA page_size = {self._schema.page_bytes}")
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            log_pages = SQLITE_WAL_BYTES_MAX // page_bytes
            connection.execute(f"PRAGMA wal_autocheckpoint = {log_pages}")
            for name, value in _MUST_BE:
                if connection.execute(f"PRAGMA {name}").fetchone() != (value,):
                    raise StoreError(f"{self._shown} could not be opened with {name} = {value}")
            connection.execute("PRAGMA query_only = ON" if reads_only else _WRITER)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self) -> None:
        """Bring the schema to this version: each step is one transaction."""
        execute = self._connection.execute
        folder, migrations, application_id, *_ = self._schema
        (version,) = execute("PRAGMA user_version").fetchone()
        (application,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != application_id and (application or version or tables):
            raise StoreCorruptError(f"{self._shown} is a database of something else")
        if version > len(migrations):
            raise StoreCorruptError(
                f"{self._shown} was written by a newer version of us (schema {version}, "
                f"ours is {len(migrations)})"
            )
        for number in range(version, len(migrations)):
            self._connection.executescript(
                f"BEGIN IMMEDIATE;\n{schema_text(migrations[number], folder)}\n"
                f"PRAGMA application_id = {application_id};\n"
                f"PRAGMA user_version = {number + 1};\nCOMMIT;"
            )

    def _sync_name(self) -> None:
        """Put the names of the file and of its log on stable storage."""
        try:
            sync_directory(self._path)
        except DurableError as error:
            raise StoreError(str(error)) from error

    def _told(self, what: str, error: sqlite3.Error | UnicodeDecodeError) -> StoreError:
        name = getattr(error, "sqlite_errorname", "") or ""
        text = f"{self._shown} {what}: {error}"
        if isinstance(error, UnicodeDecodeError):  # names, or SQLite's own words about the schema
            return StoreCorruptError(f"{self._shown} {what}: it holds text that is none")
        if name.startswith(_CORRUPT) or "tripwire" in str(error):
            return StoreCorruptError(text)
        if isinstance(error, sqlite3.IntegrityError):
            return StoreCorruptError(f"{text} (its content contradicts itself)")
        return StoreError(text)


def _expected_schema(schema: Schema) -> list[Row]:
    """Return the schema as our migrations make it."""
    connection = sqlite3.connect(":memory:")
    try:
        for name in schema.migrations:
            connection.executescript(schema_text(name, schema.folder))
        return connection.execute(_SCHEMA).fetchall()
    finally:
        connection.close()
