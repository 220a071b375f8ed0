# SPDX-License-Identifier: Apache-2.0
"""One batch on its way into the log: which rows it becomes. No database in here."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from tallystick.crypto.merkle import path_in, paths_in, tree_rows
from tallystick.model.log_entry import encode_entry, entry_head
from tallystick.model.log_text import hash_line
from tallystick.model.submission import Batch, Placed, Submission
from tallystick.store.sql import Row

_SEQUENCE_MAX: Final = 2**63 - 1
_TERMINALS: Final = {None: 0, "complete": 1, "interrupted": 2}

TERMINATIONS: Final = ("unknown", "complete", "interrupted")

# Which chain it is: the tenant, SHA-256 of the chain's id, and SHA-256 of the issuer's.
ChainName = tuple[bytes, bytes, bytes]
FamilyName = tuple[bytes, bytes]


def sequence_of(submission: Submission) -> int:
    """Return the sequence as a column: -1 where there is none that counts."""
    sequence = submission.sequence
    return -1 if sequence is None or not 0 <= sequence <= _SEQUENCE_MAX else sequence


def hash_of(name: str) -> bytes:
    """Return what stands for a name, however long it is."""
    return sha256(name.encode()).digest()


CHAIN_COUNTS: Final = ("length", "last_sequence", "terminal", "top", "last_index", "last_ms")


class ChainState:
    """A chain's row while a batch is put together."""

    __slots__ = (
        "chain_id",
        "family",
        "first_ms",
        "is_new",
        "issuer",
        "last_index",
        "last_ms",
        "last_sequence",
        "length",
        "name",
        "no",
        "terminal",
        "top",
    )

    def __init__(
        self,
        name: ChainName,
        *,
        chain_id: bytes,
        issuer: bytes,
        no: int,
        family: int,
        first_ms: int,
    ) -> None:
        self.name = name
        self.chain_id = chain_id
        self.issuer = issuer
        self.no = no
        self.family = family
        self.is_new = True
        self.length = 0
        self.last_sequence = -1
        self.terminal = 0
        self.top = -1
        self.last_index = no
        self.first_ms = first_ms
        self.last_ms = first_ms

    def take(self, index: int, time_ms: int, sequence: int, terminal: int) -> None:
        """Count one more receipt."""
        self.length += 1
        self.last_index = index
        self.last_ms = time_ms
        if sequence > self.last_sequence:
            self.last_sequence = sequence
            self.terminal = terminal
        elif sequence == self.last_sequence and not self.terminal:
            self.terminal = terminal

    def row(self) -> Row:
        """Return the columns in the order of the table."""
        tenant, chain_hash, issuer_hash = self.name
        return (
            tenant,
            self.no,
            self.family,
            chain_hash,
            issuer_hash,
            self.chain_id,
            self.issuer,
            self.length,
            self.last_sequence,
            self.terminal,
            self.top,
            self.last_index,
            self.first_ms,
            self.last_ms,
        )

    def counts(self) -> Row:
        """Return what changes: the columns of CHAIN_COUNTS, then the key."""
        return (
            self.length,
            self.last_sequence,
            self.terminal,
            self.top,
            self.last_index,
            self.last_ms,
            self.name[0],
            self.no,
        )


class Rows:
    """What a batch adds to the tables, and the places that it gives."""

    __slots__ = (
        "_head",
        "_looked_at",
        "_positions",
        "bodies",
        "encoded",
        "entries",
        "leaves",
        "start",
        "time_ms",
    )

    def __init__(self, start: int, time_ms: int) -> None:
        self.start = start
        self.time_ms = time_ms
        self.entries: list[Row] = []
        self.bodies: list[Row] = []
        self.encoded: list[bytes] = []
        self.leaves: list[bytes] = []
        self._head = entry_head(time_ms)
        self._positions: set[tuple[int, int]] = set()
        self._looked_at = 0

    def holds(self, family: int, sequence: int) -> bool:
        """Whether a receipt of this batch has this position: asked only where one looks back."""
        self._positions.update((entry[3], entry[4]) for entry in self.entries[self._looked_at :])
        self._looked_at = len(self.entries)
        return (family, sequence) in self._positions

    def take(self, submission: Submission, chain: ChainState, sequence: int) -> int:
        """Add one new receipt with its sequence as a column, and return its index."""
        leaves = self.leaves
        index = self.start + len(leaves)
        tenant, family = chain.name[0], chain.family
        terminal = _TERMINALS.get(submission.terminal, 0)
        digest, id_hash = submission.digest, submission.id_hash
        assert len(digest) == len(id_hash) == 32
        entry = self._head + digest + id_hash
        leaf = sha256(b"\0" + entry).digest()
        self.encoded.append(entry)
        leaves.append(leaf)
        self.entries.append(
            (index, tenant, chain.no, family, sequence, terminal, digest, id_hash, leaf)
        )
        receipt_id, receipt_hash = submission.receipt_id.encode(), submission.receipt_hash.encode()
        self.bodies.append((index, tenant, family, receipt_id, receipt_hash, submission.body))
        chain.take(index, self.time_ms, sequence, terminal)
        return index


class BatchTree:
    """A batch with its own small tree: gives the place of each of its entries."""

    __slots__ = ("_leaves", "_rows", "batch")

    def __init__(self, start: int, time_ms: int, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves
        self._rows = tree_rows(leaves)
        self.batch = Batch(start, start + len(leaves), time_ms, self._rows[-1][0])

    def paths(self) -> list[bytes]:
        """Return the inclusion path of each entry, as a promise file spells it."""
        return paths_in([list(map(b2a_base64, row)) for row in self._rows])  # as `hash_line` does

    def old_place(self, index: int, digest: bytes, id_hash: bytes) -> Placed:
        """Return the place that an entry of this batch has since long."""
        batch = self.batch
        at = index - batch.start
        return Placed(
            index=index,
            batch=batch,
            leaf_hash=self._leaves[at],
            entry=encode_entry(batch.time_ms, digest, id_hash),
            path_lines=b"".join(map(hash_line, path_in(self._rows, at))),
            is_new=False,
        )
