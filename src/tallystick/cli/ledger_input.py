# SPDX-License-Identifier: Apache-2.0
"""A daemon's store as input of `verify`, `show` and `export`: its receipts, as they are signed.

What was there when it was opened is read, on each pass the same. One thing is looked at besides
that no receipt shows: whether the columns that lists are made from say what the receipts say.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from tallystick.errors import MalformedInput, StoreError
from tallystick.limits import LEDGER_PAGE_BYTES_MAX, LEDGER_PAGE_ROWS_MAX
from tallystick.model.reader import Fault
from tallystick.store.imported import imported_chains
from tallystick.store.ledger_reads import LedgerReader, column_faults
from tallystick.verify.source import Noted

_MAGIC: Final = b"SQLite format 3\0"


def is_store(path: str) -> bool:
    """Whether a path is a regular file that SQLite wrote."""
    return begins(path, (_MAGIC,))


def begins(path: str, beginnings: tuple[bytes, ...]) -> bool:
    """Whether a path is a regular file that begins like one of these; never waits, as on a pipe."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return file.read(max(map(len, beginnings))).startswith(beginnings)
    except (OSError, ValueError):
        return False


def with_imported(path: str) -> list[str]:
    """Return a store's path and those of the chains that were imported beside it."""
    try:
        return [path, *imported_chains(path)]
    except OSError:
        return [path]


class LedgerInput:
    """All receipts of a store, in the order in which they were written; reads twice alike."""

    def __init__(
        self, path: str, *, is_judged: bool = False, called: Callable[[str], str] = str
    ) -> None:
        """Remember the path; the store is opened by the first pass.

        `is_judged`: who reads it verifies each receipt, and only the columns are looked at here.
        `called`: how what is said of the path has to call it.
        """
        self.path = path
        self._called = called
        self._is_judged = is_judged
        self.bytes_read = 0
        self._reader: LedgerReader | None = None
        self._end = 0

    def size(self) -> int:
        """Return the size of the file, for a bar; a little more than is read."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Let go of the store."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def __iter__(self) -> Iterator[bytes | Noted | MalformedInput]:
        try:
            yield from self._receipts()
        except StoreError as fault:
            yield MalformedInput("SOURCE_UNREADABLE", self._called(str(fault)))

    def _receipts(self) -> Iterator[bytes | Noted]:
        if self._reader is None:
            self._reader = LedgerReader(self.path)
            self._end = self._reader.mark()
        mark, limit = 0, LEDGER_PAGE_ROWS_MAX
        while page := self._reader.behind(mark, limit=limit):
            for one in page:
                if one.mark > self._end:
                    break
                self.bytes_read += len(one.body)
                wrong = column_faults(one, is_judged=self._is_judged)
                yield _noted(one.body, wrong) if wrong else one.body
            mark = page[-1].mark
            if mark > self._end:
                break
            size = sum(len(one.body) for one in page)
            limit = max(1, min(LEDGER_PAGE_ROWS_MAX, limit * LEDGER_PAGE_BYTES_MAX // (size + 1)))


def _noted(body: bytes, wrong: list[str]) -> Noted:
    message = f"the store says something else in column {', '.join(wrong)}"
    return Noted(body=body, fault=Fault(code="STORE_COLUMN", where="", message=message))
