# SPDX-License-Identifier: Apache-2.0
"""Copies a daemon's ledger as it was at one moment, whatever its daemon does meanwhile.

SQLite makes the copy, page by page, within one transaction that reads: what the daemon commits
meanwhile goes to its write-ahead log and is not in the copy. The daemon waits for nothing; only its
log can't begin anew, and grows, until the copy is made.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Final

from tallystick.durable.file import CREATE, FilePath, Fsync, reason_of, shown
from tallystick.errors import DurableError
from tallystick.store.ledger_file import TRIES, check_there, open_to_read, state_of, told, uri_of

# What is told of how far it is: bytes that are done, and bytes in all.
Progress = Callable[[int, int], None]

# Between two portions a signal is heard, and a bar goes on: a megabyte of small pages.
_PAGES: Final = 256
_PROBE: Final = bytes(4096)
# Nothing is undone in a copy, which goes where it fails; it is made stable at the end, at once.
_PRAGMAS: Final = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")


def copy_ledger(
    path: FilePath,
    target: FilePath,
    mode: int,
    *,
    progress: Progress | None = None,
    fsync: Fsync = os.fsync,
) -> None:
    """Return when a new file holds all that was committed when this began, on stable storage.

    Raises `DurableError` where the copy can't be written, and `StoreError` where the ledger can't
    be read; then the new file may be there, and is nothing.
    """
    place, name = os.path.abspath(os.fspath(path)), shown(path)
    check_there(place, name)
    fault: sqlite3.Error | None = None
    try:
        descriptor = os.open(target, CREATE, 0o600)
        try:
            os.fchmod(descriptor, mode)
            for _ in range(TRIES):
                state = state_of(place)
                try:
                    _copy_once(place, target, state, progress or _say_nothing)
                except sqlite3.Error as error:
                    _probe(descriptor, error)
                    fault = error
                else:
                    # Without a log it was read without locks: no daemon may have come meanwhile.
                    if state is None or state == state_of(place):
                        fsync(descriptor)
                        return
                    fault = None
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise DurableError(f"{shown(target)} could not be written: {reason_of(error)}") from error
    raise told(place, name, fault)


def _copy_once(
    place: str, target: FilePath, state: tuple[int, ...] | None, progress: Progress
) -> None:
    with (
        closing(open_to_read(place, state)) as source,
        closing(_opened(target)) as copy,
    ):
        # From its first read on, a transaction sees the file as it was then.
        source.execute("BEGIN")
        source.execute("SELECT max(rowid) FROM receipts").fetchall()
        (page,) = source.execute("PRAGMA page_size").fetchone()

        def tell(_: int, left: int, total: int) -> None:
            progress((total - left) * page, total * page)

        source.backup(copy, pages=_PAGES, progress=tell)


def _opened(target: FilePath) -> sqlite3.Connection:
    copy = sqlite3.connect(uri_of(target, "mode=rw"), uri=True, isolation_level=None)
    for pragma in _PRAGMAS:
        copy.execute(pragma)
    return copy


def _probe(descriptor: int, error: sqlite3.Error) -> None:
    """Raise what the system says where it was the copy that failed; SQLite does not tell."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.pwrite(descriptor, _PROBE, os.fstat(descriptor).st_size)
    os.fsync(descriptor)


def _say_nothing(_done: int, _total: int) -> None:
    """Tell nobody: all the same SQLite comes back, and a signal is heard."""
