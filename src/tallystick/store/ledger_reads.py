# SPDX-License-Identifier: Apache-2.0
"""Reads a daemon's ledger without its help: while it writes, after it stopped, after it was killed.

A reader needs no more than the right to read the files, and changes none (`ledger_file`).

The columns of a row are there to find it, and prove nothing: `column_faults` compares them with
the bytes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, Literal, Self

import msgspec

from tallystick.durable.file import FilePath, shown
from tallystick.errors import StoreCorruptError
from tallystick.limits import LEDGER_PAGE_BYTES_MAX, LEDGER_PAGE_ROWS_MAX
from tallystick.model.receipt import split_canonical, split_judged
from tallystick.store.ledger import row_of
from tallystick.store.ledger_file import (
    TRIES,
    check_shape,
    check_there,
    open_to_read,
    state_of,
    told,
)
from tallystick.store.sql import Row

_COLUMNS: Final = (
    "id",
    "chain_id",
    "sequence",
    "action_type",
    "tool_name",
    "risk_level",
    "status",
    "timestamp",
    "issuer_id",
    "principal_id",
    "receipt_json",
    "receipt_hash",
    "previous_receipt_hash",
    "session_id",
    "terminal",
)


class StoredReceipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row: the signed bytes, and what the columns say of them."""

    # Its place in the order of writing, from 1: the mark behind which newer ones stand.
    mark: int
    id: str
    chain_id: str
    # -1 where the column holds no number.
    sequence: int
    action_type: str
    tool_name: str
    risk_level: str
    status: str
    timestamp: str
    issuer_id: str
    principal_id: str | None
    body: bytes
    hash: str
    previous_hash: str | None
    session_id: str
    terminal: bool


class StoredChain(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One chain by what its rows say."""

    chain_id: str
    length: int
    last_sequence: int
    hash: str
    terminal: bool
    first: str
    last: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: all that is given must hold."""

    chain_id: str | None = None
    session_id: str | None = None
    tool_name: str | None = None
    action_type: str | None = None
    risk_level: str | None = None
    status: str | None = None
    # RFC 3339 in UTC with milliseconds, as receipts have it: from this moment, and before that one.
    since: str | None = None
    until: str | None = None
    # Anywhere in the signed bytes, in the spelling of the receipt.
    text: str | None = None


class LedgerReader:
    """One file, opened for reading. Not for several threads at once."""

    def __init__(self, path: FilePath) -> None:
        """Open the file; it need not be held by anybody."""
        self.path = os.path.abspath(os.fspath(path))
        self._shown = shown(path)
        self._connection: sqlite3.Connection | None = None
        # What the file was when it was opened without locks; None while SQLite's locks are used.
        self._still: tuple[int, ...] | None = None
        check_there(self.path, self._shown)
        self.mark()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def count(self) -> int:
        """Return how many receipts there are."""
        return int(self._rows("SELECT count(*) FROM receipts")[0][0])

    def mark(self) -> int:
        """Return the mark of the newest receipt, 0 where there is none."""
        return int(self._rows("SELECT ifnull(max(rowid), 0) FROM receipts")[0][0])

    def by_id(self, receipt_id: str) -> StoredReceipt | None:
        """Return a receipt by its id."""
        return next(iter(self._stored("WHERE id = ?", (receipt_id,))), None)

    def at(self, chain_id: str, sequence: int) -> StoredReceipt | None:
        """Return a receipt by its place."""
        found = self._stored("WHERE chain_id = ? AND sequence = ?", (chain_id, sequence))
        return next(iter(found), None)

    def newest(
        self, wanted: Filter | None = None, *, limit: int, before: int | None = None
    ) -> list[StoredReceipt]:
        """Return the newest receipts, newest first; `before` is the mark that a page ended with."""
        clause, values = _clause(wanted or Filter())
        if before is not None:
            clause, values = f"{clause} AND rowid < ?", [*values, before]
        return self._stored(f"{clause} ORDER BY rowid DESC LIMIT ?", (*values, limit))

    def behind(
        self, mark: int, wanted: Filter | None = None, *, limit: int = LEDGER_PAGE_ROWS_MAX
    ) -> list[StoredReceipt]:
        """Return receipts that were written behind a mark, oldest first: what `tail -f` asks."""
        clause, values = _clause(wanted or Filter())
        return self._stored(
            f"{clause} AND rowid > ? ORDER BY rowid LIMIT ?", (*values, mark, limit)
        )

    def receipts(self, wanted: Filter | None = None) -> Iterator[StoredReceipt]:
        """Yield all receipts that were there when this was called, in the order of writing."""
        mark, end = 0, self.mark()
        limit = LEDGER_PAGE_ROWS_MAX
        while page := self.behind(mark, wanted, limit=limit):
            for one in page:
                if one.mark > end:
                    return
                yield one
            mark = page[-1].mark
            size = sum(len(one.body) for one in page)
            limit = max(1, min(LEDGER_PAGE_ROWS_MAX, limit * LEDGER_PAGE_BYTES_MAX // (size + 1)))

    def chains(self) -> Iterator[StoredChain]:
        """Yield all chains in the order of their ids; each costs a few look-ups, however long."""
        above: object = ""
        while True:
            rows = self._rows("SELECT min(chain_id) FROM receipts WHERE chain_id > ?", (above,))
            if rows[0][0] is None:
                return
            above = rows[0][0]
            of_chain = "FROM receipts WHERE chain_id = ?"
            (length,) = self._rows(f"SELECT count(*) {of_chain}", (above,))[0]
            place = f"SELECT sequence, receipt_hash, terminal, timestamp {of_chain}"
            first = self._rows(f"{place} ORDER BY sequence LIMIT 1", (above,))
            last = self._rows(f"{place} ORDER BY sequence DESC LIMIT 1", (above,))
            if not (first and last):
                raise StoreCorruptError(f"{self._shown} is damaged: an index has other rows")
            yield StoredChain(
                chain_id=_text(above),
                length=length,
                last_sequence=_whole(last[0][0]),
                hash=_text(last[0][1]),
                terminal=bool(last[0][2]),
                first=_text(first[0][3]),
                last=_text(last[0][3]),
            )

    def counts(
        self, column: Literal["action_type", "risk_level", "status", "tool_name", "session_id"]
    ) -> dict[str, int]:
        """Return how many receipts there are of each value in a column, most first."""
        assert column in _COLUMNS
        rows = self._rows(
            f"SELECT {column}, count(*) FROM receipts GROUP BY {column} ORDER BY 2 DESC, 1"
        )
        return {_text(value): int(count) for value, count in rows}

    def _stored(self, clause: str, values: Sequence[object]) -> list[StoredReceipt]:
        columns = ", ".join(_COLUMNS)
        return [
            _stored_receipt(row)
            for row in self._rows(f"SELECT rowid, {columns} FROM receipts {clause}", values)
        ]

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """Ask until an answer comes of a file that was one file all the while."""
        fault: sqlite3.Error | None = None
        for _ in range(TRIES):
            try:
                connection = self._opened()
                rows: list[Row] = connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                # Between two looks the daemon may have come or gone.
                fault = error
                self.close()
                continue
            except OverflowError:
                return []  # no row has a number that SQLite has not
            except UnicodeDecodeError as error:
                raise StoreCorruptError(f"{self._shown} holds text that is none") from error
            if self._still is None or self._still == state_of(self.path):
                return rows
            self.close()
        raise told(self.path, self._shown, fault)

    def _opened(self) -> sqlite3.Connection:
        """Return the connection that fits what stands on disk now."""
        state = state_of(self.path)
        if self._connection is not None and (self._still is None or self._still == state):
            return self._connection
        self.close()
        self._still = state
        connection = open_to_read(self.path, state)
        try:
            check_shape(connection, self._shown)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection


def column_faults(stored: StoredReceipt, *, is_judged: bool = False) -> list[str]:
    """Return which columns say something else than the receipt: someone has edited them.

    `is_judged`: a verifier of the same bytes finds out by itself whether they are canonical.
    """
    body = stored.body
    found = split_judged(body) if is_judged else split_canonical(body, is_shaped=False)
    if found is None:
        return ["receipt_json"]
    from tallystick.crypto.digest import sha256_tagged

    receipt, statement = found
    says = row_of(receipt, stored.body.decode(), sha256_tagged(statement))
    has = (
        stored.id,
        stored.chain_id,
        stored.sequence,
        stored.action_type,
        stored.tool_name,
        stored.risk_level,
        stored.status,
        stored.timestamp,
        stored.issuer_id,
        stored.principal_id,
        says[10],
        stored.hash,
        stored.previous_hash,
        stored.session_id,
        1 if stored.terminal else 0,
    )
    return [name for name, one, other in zip(_COLUMNS, has, says, strict=True) if one != other]


def _clause(wanted: Filter) -> tuple[str, list[object]]:
    """Return the conditions of a filter; values are always bound."""
    parts, values = ["WHERE 1"], []
    for name in ("chain_id", "session_id", "tool_name", "action_type", "risk_level", "status"):
        value = getattr(wanted, name)
        if value is not None:
            parts.append(f"{name} = ?")
            values.append(value)
    if wanted.since is not None:
        parts.append("timestamp >= ?")
        values.append(wanted.since)
    if wanted.until is not None:
        parts.append("timestamp < ?")
        values.append(wanted.until)
    if wanted.text is not None:
        parts.append("instr(receipt_json, ?) > 0")
        values.append(wanted.text)
    return " AND ".join(parts), values


def _stored_receipt(row: Row) -> StoredReceipt:
    body, principal_id, previous_hash = row[11], row[10], row[13]
    return StoredReceipt(
        mark=row[0],
        id=_text(row[1]),
        chain_id=_text(row[2]),
        sequence=_whole(row[3]),
        action_type=_text(row[4]),
        tool_name=_text(row[5]),
        risk_level=_text(row[6]),
        status=_text(row[7]),
        timestamp=_text(row[8]),
        issuer_id=_text(row[9]),
        principal_id=None if principal_id is None else _text(principal_id),
        body=body if isinstance(body, bytes) else _text(body).encode("utf-8", "surrogatepass"),
        hash=_text(row[12]),
        previous_hash=None if previous_hash is None else _text(previous_hash),
        session_id=_text(row[14]),
        terminal=bool(row[15]),
    )


def _text(value: object) -> str:
    """Return what a column of text holds; what is none, as SQL spells it.

    SQLite keeps in a column what somebody puts there. No receipt says such a thing: a list shows
    it, and `column_faults` names the column.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return "NULL"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else repr(value)


def _whole(value: object) -> int:
    return value if isinstance(value, int) else -1
