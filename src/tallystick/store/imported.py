# SPDX-License-Identifier: Apache-2.0
"""Chains from elsewhere, kept beside a daemon's store: one file each, bytes unchanged.

Nothing of them enters the store: it has one writer, and one key. `<store>.imported/<hash>.jsonl`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from tallystick.crypto.digest import sha256_tagged
from tallystick.durable.file import make_directory, read_bounded, shown
from tallystick.durable.whole import write_whole
from tallystick.errors import (
    LimitError,
    PathTakenError,
    StoreCorruptError,
    StoreError,
    UnreadableError,
)
from tallystick.limits import IMPORTED_CHAIN_BYTES_MAX, RECEIPT_BYTES_MAX
from tallystick.store.ledger_file import uri_of


def stored_receipts(path: str) -> Iterator[bytes]:
    """Yield the receipts of a store that one of the protocol's tools wrote, chain by chain."""
    try:
        with closing(sqlite3.connect(uri_of(path, "mode=ro"), uri=True)) as connection:
            rows = connection.execute(
                "SELECT receipt_json FROM receipts ORDER BY chain_id, sequence"
            )
            for (body,) in rows:
                data = body if isinstance(body, bytes) else str(body).encode()
                if len(data) > RECEIPT_BYTES_MAX:
                    raise StoreCorruptError(f"{shown(path)} holds a receipt over the limit")
                yield data.replace(b"\r", b" ").replace(b"\n", b" ")
    except sqlite3.OperationalError as fault:
        raise StoreError(f"{shown(path)} could not be read: {fault}") from fault
    except (sqlite3.Error, UnicodeError) as fault:
        raise StoreCorruptError(f"{shown(path)} is no store of receipts: {fault}") from fault


def imported_folder(store: str) -> str:
    """Return the folder beside a store where chains from elsewhere are kept."""
    return f"{store}.imported"


def imported_chains(store: str) -> list[str]:
    """Return the paths of what was imported beside a store; raise OSError where that is hidden."""
    folder = imported_folder(store)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(".jsonl")]


def is_taken(store: str, chain_id: str, receipts: Iterable[bytes]) -> bool:
    """Whether another chain was kept under this id before."""
    try:
        kept = read_bounded(_place(store, chain_id), IMPORTED_CHAIN_BYTES_MAX)
    except UnreadableError:
        return False  # as a rule there is none; else keeping says what is in the way
    return kept != _lines(receipts)


def keep_chain(store: str, chain_id: str, receipts: Iterable[bytes]) -> tuple[str, bool]:
    """Keep one chain beside a store; return its path, and whether it is new there.

    The same chain again changes nothing; another one under its id is refused.
    """
    body = _lines(receipts)
    if len(body) > IMPORTED_CHAIN_BYTES_MAX:
        raise LimitError(f"chain {chain_id!r} has more than {IMPORTED_CHAIN_BYTES_MAX} bytes")
    path = _place(store, chain_id)
    make_directory(os.path.dirname(path), 0o750)
    try:
        write_whole(path, body, 0o640)
    except PathTakenError:
        if read_bounded(path, IMPORTED_CHAIN_BYTES_MAX) != body:
            raise StoreError(
                f"another chain {chain_id!r} was imported before, to {shown(path)}: nothing was "
                "changed"
            ) from None
        return path, False
    return path, True


def _place(store: str, chain_id: str) -> str:
    name = sha256_tagged(chain_id.encode()).removeprefix("sha256:")[:32]
    return os.path.join(imported_folder(store), f"{name}.jsonl")


def _lines(receipts: Iterable[bytes]) -> bytes:
    return b"".join(one + b"\n" for one in receipts)
