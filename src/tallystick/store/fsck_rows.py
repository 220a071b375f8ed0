# SPDX-License-Identifier: Apache-2.0
"""Rows that fsck may take at their word: each column is of the type that the schema gives it.

Who writes into a store can take the schema's types and checks away, too: what is then found in a
column is a fault of the store, and must not be one of fsck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from tallystick.errors import StoreCorruptError
from tallystick.store.sql import Access

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Hash: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]

# They stand in rows as they are: text is no spelling of bytes.
_AS_THEY_ARE: Final = (bytes, memoryview)

_Kind = TypeVar("_Kind")


class BatchRow(NamedTuple):
    """Entries that became durable together."""

    start: Count
    stop: Count
    time_ms: Count
    root: bytes


class EntryRow(NamedTuple):
    """An entry with its body, where it has one."""

    idx: int
    tenant: bytes
    chain: int
    family: int
    sequence: int
    terminal: int
    digest: Hash
    id_hash: Hash
    leaf: Hash
    receipt_id: bytes | None
    receipt_hash: bytes | None
    body: bytes | None


class ChainRow(NamedTuple):
    """A chain, in the order of `CHAIN_COLUMNS`."""

    tenant: bytes
    no: int
    family: int
    chain_hash: bytes
    issuer_hash: bytes
    chain_id: bytes
    issuer: bytes
    length: int
    last_sequence: int
    terminal: int
    top: int
    last_index: int
    first_ms: int
    last_ms: int


class CheckpointRow(NamedTuple):
    """A checkpoint with the root of its head, where that is there."""

    number: int
    time_s: int
    size: int
    root: bytes | None
    note: bytes | None


def typed_rows(
    access: Access,
    table: str,
    kind: type[_Kind],
    statement: str,
    values: Sequence[object] = (),
) -> list[_Kind]:
    """Return the rows that a statement yields, as tuples of a kind; or raise, naming the table."""
    try:
        return [
            msgspec.convert(row, kind, builtin_types=_AS_THEY_ARE)
            for row in access.rows(statement, values)
        ]
    except msgspec.ValidationError as fault:
        raise StoreCorruptError(f"{table}: a column holds what it never may: {fault}") from None


def only_row(access: Access, table: str, kind: type[_Kind], statement: str) -> _Kind:
    """Return the row of a table that has one, or raise, naming the table."""
    rows = typed_rows(access, table, kind, statement)
    if len(rows) != 1:
        raise StoreCorruptError(f"{table}: {len(rows)} rows where there is one")
    return rows[0]
