# SPDX-License-Identifier: Apache-2.0
"""Entries of a log: 87 bytes that commit to one receipt without telling what it says.

    "tally-entry/v1\\n"  15 bytes
    time                 8 bytes, milliseconds since 1970, big-endian
    digest               32 bytes, SHA-256 of the RFC 8785 form of the signed receipt as received
    id hash              32 bytes, SHA-256 of the receipt's id in UTF-8

Digest means the *whole* receipt, proof included and before the protocol's null rule: two texts of
one canonical form are one receipt, and every other difference makes another entry. A signature
can't be guessed, so the digest gives nothing away; ids should be random for the same reason.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.merkle import leaf_hash
from tallystick.errors import LogFormatError
from tallystick.model.log_text import NUMBER_MAX

ENTRY_FORMAT: Final = "tally-entry/v1"
ENTRY_BYTES: Final = 87
_PREFIX: Final = ENTRY_FORMAT.encode() + b"\n"


class Entry(msgspec.Struct, frozen=True):
    """One entry of a log."""

    time_ms: int
    digest: bytes
    id_hash: bytes

    def encode(self) -> bytes:
        """Return the bytes that the log hashes."""
        return encode_entry(self.time_ms, self.digest, self.id_hash)

    @property
    def leaf_hash(self) -> bytes:
        """The leaf of this entry in the tree."""
        return leaf_hash(self.encode())


def encode_entry(time_ms: int, digest: bytes, id_hash: bytes) -> bytes:
    """Return the bytes of an entry."""
    assert len(digest) == len(id_hash) == 32
    return entry_head(time_ms) + digest + id_hash


def entry_head(time_ms: int) -> bytes:
    """Return what entries of one time begin with: digest and id hash follow."""
    assert 0 <= time_ms <= NUMBER_MAX
    return _PREFIX + time_ms.to_bytes(8, "big")


def parse_entry(data: bytes) -> Entry:
    """Return the entry that the bytes spell."""
    if len(data) != ENTRY_BYTES or not data.startswith(_PREFIX):
        raise LogFormatError(f"entry is not {ENTRY_BYTES} bytes that begin with {ENTRY_FORMAT}")
    time_ms = int.from_bytes(data[15:23], "big")
    if time_ms > NUMBER_MAX:
        raise LogFormatError("time of the entry is not below 2^63")
    return Entry(time_ms, data[23:55], data[55:])


def receipt_digest(receipt: object) -> bytes:
    """Return the digest of a signed receipt: a JSON value as it was received, nulls and all."""
    return sha256(canonicalize(receipt)).digest()


def receipt_id_hash(receipt_id: str) -> bytes:
    """Return the hash of a receipt's id."""
    return sha256(receipt_id.encode()).digest()
