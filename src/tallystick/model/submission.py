# SPDX-License-Identifier: Apache-2.0
"""What a collector is given, and the place in its log that it gives back: facts, no behaviour."""

from __future__ import annotations

import msgspec

# `gc=False`: plain trees, in which there is no cycle to look for.


class Submission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One receipt as it was received, with what its index columns and its entry are made of."""

    tenant: str
    receipt_id: str
    issuer: str
    chain_id: str
    sequence: int | None  # None where the receipt has none that is an integer
    action_type: str
    terminal: str | None  # "complete", "interrupted", or None where the receipt closes no chain
    receipt_hash: str  # the hash that the chain links by, after the protocol's null rule
    digest: bytes  # SHA-256 of the RFC 8785 form of the whole signed receipt, as received
    id_hash: bytes  # SHA-256 of the receipt id
    body: bytes  # byte for byte


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Entries [start, stop) that became durable together: what one promise is about."""

    start: int
    stop: int
    time_ms: int
    root: bytes  # of the leaf hashes, as a tree of its own


class Placed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a submission stands in the log: its own new place, or the one it already had."""

    index: int
    batch: Batch
    leaf_hash: bytes
    entry: bytes
    # Inclusion of index - start in the batch's own tree: the lines of a promise file, as they stand
    # within a JSON text.
    path_text: bytes
    is_new: bool  # False: this very receipt was there before (409 with the stored promise)
    shares_id: bool = False  # another receipt has the same id
    shares_position: bool = False  # another receipt has the same (chain, sequence)

    @property
    def path_lines(self) -> bytes:
        """The path as a promise file spells it."""
        return self.path_text.replace(rb"\n", b"\n")  # base64 has no backslash


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One receipt out of the store."""

    index: int
    leaf_hash: bytes
    receipt_id: str
    chain_id: str
    sequence: int | None
    body: bytes


class ChainSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One chain of one issuer, as far as a collector may say without verifying."""

    chain_id: str
    issuer: str
    length: int  # receipts stored, forks included
    last_sequence: int | None
    termination: str  # "complete", "interrupted" or "unknown"
    first_index: int
    last_index: int
    first_time_ms: int
    last_time_ms: int


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that is durable and may be signed; `note` is None until it is released."""

    number: int  # 1, 2, 3, … without gaps
    time_s: int
    size: int
    root: bytes
    note: bytes | None = None
