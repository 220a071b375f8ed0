# SPDX-License-Identifier: Apache-2.0
"""Opens a daemon's ledger for reading: while the daemon writes, after it stopped, after a kill.

Who reads needs no more than the right to read the files, and changes none. While there is a
write-ahead log, SQLite's own locks are used (`mode=ro`). Where there is none the daemon is down and
the file stands still: only then is it read without locks (`immutable=1`), and what was read counts
only if the file was still the same behind it: whoever reads compares `state_of` before and after.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Final
from urllib.parse import quote

from tallystick.durable.file import FilePath, reason_of
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.limits import SQLITE_BUSY_MS

# Between two looks the daemon may come or go: so often it is looked again.
TRIES: Final = 20


def check_there(path: str, shown: str) -> None:
    """Raise where there is no file: SQLite would only say that it can't open it."""
    try:
        os.stat(path)
    except FileNotFoundError:
        raise StoreError(f"{shown} does not exist") from None
    except OSError as fault:
        raise StoreError(f"{shown} could not be opened: {reason_of(fault)}") from None


def state_of(path: str) -> tuple[int, ...] | None:
    """Return what tells a file that stands still from another, or None while it has a log."""
    if os.path.lexists(f"{path}-wal"):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return (0,)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def uri_of(path: FilePath, how: str) -> str:
    """Return the name by which SQLite opens a file so, whatever bytes its path has."""
    return f"file:{quote(os.path.abspath(os.fsencode(path)))}?{how}"


def open_to_read(path: str, state: tuple[int, ...] | None) -> sqlite3.Connection:
    """Return a connection that fits the state in which the file was found."""
    how = "mode=ro" if state is None else "mode=ro&immutable=1"
    connection = sqlite3.connect(uri_of(path, how), uri=True, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def told(path: str, shown: str, fault: sqlite3.Error | None) -> StoreError:
    """Return what went wrong; without a fault the file was another one at each look."""
    name = getattr(fault, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or any(
        one in str(fault) for one in ("no such", "Could not decode")
    ):
        return StoreCorruptError(f"{shown} is no ledger, or is damaged: {fault}")
    if fault is None:
        return StoreError(f"{shown} changed at each look", is_transient=True)
    hint = ""
    if name.startswith("SQLITE_CANTOPEN") and os.path.exists(f"{path}-wal"):
        hint = f"; to read beside a daemon, {shown}-wal and -shm must be readable, too"
    return StoreError(f"{shown} could not be read: {fault}{hint}")


def check_shape(connection: sqlite3.Connection, path: str) -> None:
    """Raise where a list could show rows that a walk from the first mark on does not meet.

    Rows are walked by their marks, from 1. So the marks have to be SQLite's own, and none before 1.
    """
    connection.execute("SELECT 1 FROM receipts LIMIT 1").fetchall()
    found = connection.execute(
        "SELECT type, rootpage FROM sqlite_master WHERE lower(name) = 'receipts'"
    ).fetchall()
    columns = connection.execute("SELECT lower(name) FROM pragma_table_xinfo('receipts')")
    names = {name for (name,) in columns}
    if len(found) != 1 or found[0][0] != "table" or not found[0][1] or "rowid" in names:
        raise StoreCorruptError(f"{path} is no ledger: what it calls receipts is no plain table")
    (least,) = connection.execute("SELECT min(rowid) FROM receipts").fetchone()
    if least is not None and least < 1:
        raise StoreCorruptError(
            f"{path} holds rows that were put before the first one ({least}): no daemon does that"
        )
