# SPDX-License-Identifier: Apache-2.0
"""The daemon's store: receipts in one SQLite file that the protocol's other tools read, too.

It takes the bytes of receipts as they are. What is appended by one call is one transaction, on
stable storage when the call returns.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from tallystick.durable.file import FilePath
from tallystick.errors import StoreCorruptError
from tallystick.model.receipt import CredentialSubject, Issuer, Receipt
from tallystick.store.sql import Row
from tallystick.store.sqlite import LEDGER, SqliteEngine

_INSERT: Final = (
    "INSERT INTO receipts (id, chain_id, sequence, action_type, tool_name, risk_level, status, "
    "timestamp, issuer_id, principal_id, receipt_json, receipt_hash, previous_receipt_hash, "
    "session_id, terminal)"
)
_ROW: Final = (
    "SELECT chain_id, sequence, receipt_hash, terminal, id, timestamp, receipt_json FROM receipts "
)
_LAST: Final = "SELECT ifnull(max(rowid), 0) FROM receipts"


class LastRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The last row of a chain, as the store has it: nothing in it is checked."""

    chain_id: str
    sequence: int
    hash: str
    is_terminal: bool
    receipt_id: str
    timestamp: str
    body: str


def row_of(receipt: Receipt, body: str, digest: str) -> Row:
    """Return the row of a receipt, of its bytes as text, and of its hash."""
    first, last = row_around(receipt.id, receipt.credentialSubject, receipt.issuer, digest)
    return (*first, body, *last)


def row_around(
    receipt_id: str, subject: CredentialSubject, issuer: Issuer, digest: str
) -> tuple[Row, Row]:
    """Return what stands in a row before the bytes of the receipt, and behind them."""
    action, link = subject.action, subject.chain
    first = (
        receipt_id,
        link.chain_id,
        link.sequence,
        action.type,
        action.tool_name or "",
        action.risk_level,
        subject.outcome.status,
        action.timestamp,
        issuer.id,
        subject.principal.id,
    )
    last = (
        digest,
        link.previous_receipt_hash,
        issuer.session_id or "",
        1 if link.terminal else 0,
    )
    return first, last


class LedgerStore:
    """One file, held by one process for as long as it is open. One thread appends."""

    def __init__(self, path: FilePath, *, clock_ms: Callable[[], int]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self.engine = SqliteEngine(path, clock_ms=clock_ms, schema=LEDGER)
        try:
            with self.engine.reading() as access:
                self._last = int(access.rows(_LAST)[0][0])
        except BaseException:
            self.engine.close()
            raise

    def __len__(self) -> int:
        """Return how many receipts there are: none is ever removed."""
        return self._last

    def append(self, rows: Sequence[Row]) -> None:
        """Put rows on stable storage in one commit, or raise and take no more."""
        with self.engine.writing() as access:
            try:
                access.insert(_INSERT, rows)
            except sqlite3.IntegrityError:
                self._check_alone(access.rows(_LAST)[0][0])
                raise
            # SQLite numbers on from what is there.
            self._check_alone((access.last_rowid or 0) - len(rows))
        self._last += len(rows)
        self.engine.check_in_place()

    def last_row(self, chain_id: str) -> LastRow | None:
        """Return the last row of a chain."""
        return self._one(f"{_ROW} WHERE chain_id = ? ORDER BY sequence DESC LIMIT 1", (chain_id,))

    def newest(self) -> LastRow | None:
        """Return the row that was written last."""
        return self._one(f"{_ROW} ORDER BY rowid DESC LIMIT 1", ())

    def at(self, chain_id: str, sequence: int) -> LastRow | None:
        """Return one row by its place."""
        return self._one(f"{_ROW} WHERE chain_id = ? AND sequence = ?", (chain_id, sequence))

    def newest_of_type(self, action_type: str) -> str | None:
        """Return the bytes, as text, of the receipt of a type that was written last."""
        with self.engine.reading() as access:
            rows = access.rows(
                "SELECT receipt_json FROM receipts WHERE action_type = ? "
                "ORDER BY rowid DESC LIMIT 1",
                (action_type,),
            )
        return str(rows[0][0]) if rows else None

    def has_chain(self, chain_id: str) -> bool:
        """Whether there is any receipt of a chain."""
        with self.engine.reading() as access:
            statement = "SELECT 1 FROM receipts WHERE chain_id = ? LIMIT 1"
            return bool(access.rows(statement, (chain_id,)))

    def last_rows_below(self, prefix: str) -> Iterator[LastRow]:
        """Yield the last row of each chain whose id begins so, in the order of their ids."""
        above = prefix
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        while True:
            with self.engine.reading() as access:
                rows = access.rows(
                    "SELECT chain_id FROM receipts WHERE chain_id > ? AND chain_id < ? "
                    "ORDER BY chain_id LIMIT 1",
                    (above, end),
                )
            if not rows:
                return
            above = rows[0][0]
            last = self.last_row(above)
            assert last is not None
            yield last

    def close(self) -> None:
        """Let go of the file."""
        self.engine.close()

    def _check_alone(self, last: int) -> None:
        """Raise where the rows before ours are not those that we wrote."""
        if last != self._last:
            raise StoreCorruptError(
                f"{self.path}: another program wrote into it ({last} rows, we know of {self._last})"
            )

    def _one(self, statement: str, values: Sequence[object]) -> LastRow | None:
        with self.engine.reading() as access:
            rows = access.rows(statement, values)
        if not rows:
            return None
        found = dict(zip(LastRow.__struct_fields__, rows[0], strict=True))
        found["is_terminal"] = bool(found["is_terminal"])
        try:
            # SQLite keeps in a column what somebody puts there, of whatever type.
            return msgspec.convert(found, LastRow)
        except msgspec.ValidationError as fault:
            raise StoreCorruptError(
                f"{self.path}: a column of the last receipts holds what it never may: {fault}"
            ) from None
