# SPDX-License-Identifier: Apache-2.0
"""Copies what stands in SQLite's write-ahead log into the file, beside the writer.

SQLite would have the commit do it that finds the log full, and all others wait meanwhile. Here most
of it is done before; that commit does the rest, after which the log begins anew.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable

from tallystick.errors import StoreError
from tallystick.limits import BACKFILL_BYTES_MIN, BACKFILL_PAUSE_MS


class Backfill:
    """Has a thread and a connection from the first commit on. It sleeps while there is none."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        failed: Callable[[sqlite3.Error], None],
        *,
        pause_s: float = BACKFILL_PAUSE_MS / 1000,
        bytes_min: int = BACKFILL_BYTES_MIN,
    ) -> None:
        """Take what opens the file, and who hears of the error that ends all this."""
        self._connect = connect
        self._failed = failed
        self._pause_s = pause_s
        self._bytes_min = bytes_min
        self._has_news = threading.Event()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def note_commit(self) -> None:
        """Hear that something was written; one thread may tell so."""
        self._has_news.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tally-backfill", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Begin nothing more."""
        self._is_over.set()
        self._has_news.set()

    def close(self) -> None:
        """End it, and wait for that."""
        self.end()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            connection = self._connect()
        except (sqlite3.Error, StoreError):
            return  # commits do it all: a file descriptor is missing, or they hear of worse
        try:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            done = _pages(connection)
            while self._has_news.wait() and not self._is_over.wait(self._pause_s):
                self._has_news.clear()
                pages = _pages(connection)
                # The file only grows: by so much, most of what the log holds is new.
                if (pages - done) * page_bytes >= self._bytes_min:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    done = pages
        except sqlite3.Error as error:
            # What did not become stable now may seem to be so when it is asked for again.
            self._failed(error)
        finally:
            connection.close()


def _pages(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return int(pages)
