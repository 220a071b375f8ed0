# SPDX-License-Identifier: Apache-2.0
"""One batch on its way into the log: which rows it becomes. No database in here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from tallystick.crypto.merkle import path_in, paths_in, tree_rows
from tallystick.model.log_entry import ENTRY_BYTES, encode_entry, entry_head
from tallystick.model.log_text import hash_texts
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


ENTRY_COLUMNS: Final = "idx, tenant, chain, family, sequence, terminal, digest, id_hash, leaf_hash"
BODY_COLUMNS: Final = "idx, tenant, family, receipt_id, receipt_hash, body"
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

    def take(self, stop: int, time_ms: int, counted: Iterable[tuple[int, int]], count: int) -> None:
        """Count so many more receipts, of these sequences and terminals, the last below `stop`."""
        self.length += count
        self.last_index = stop - 1
        self.last_ms = time_ms
        last, closing = self.last_sequence, self.terminal
        for sequence, terminal in counted:
            if sequence > last:
                last, closing = sequence, terminal
            elif sequence == last and not closing:
                closing = terminal
        self.last_sequence, self.terminal = last, closing

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
    """What a batch adds to the tables: new receipts, in columns, since one chain's share most."""

    __slots__ = (
        "_looked_at",
        "_positions",
        "chains",
        "encoded",
        "families",
        "leaves",
        "sequences",
        "start",
        "submissions",
        "tenants",
        "terminals",
        "time_ms",
    )

    def __init__(self, start: int, time_ms: int, submissions: Sequence[Submission]) -> None:
        self.start = start
        self.time_ms = time_ms
        self.submissions = submissions
        self.sequences = [sequence_of(one) for one in submissions]
        self.terminals = [_TERMINALS.get(one.terminal, 0) for one in submissions]
        head = entry_head(time_ms)
        self.encoded = [head + one.digest + one.id_hash for one in submissions]
        assert {*map(len, self.encoded)} <= {ENTRY_BYTES}
        self.leaves = [sha256(b"\0" + entry).digest() for entry in self.encoded]
        # Of those that have their chain.
        self.tenants: list[bytes] = []
        self.chains: list[int] = []
        self.families: list[int] = []
        self._positions: set[tuple[int, int]] = set()
        self._looked_at = 0

    def take(self, chain: ChainState, count: int) -> None:
        """Give so many more to a chain, which counts them."""
        at = len(self.chains)
        stop = at + count
        self.tenants += [chain.name[0]] * count
        self.chains += [chain.no] * count
        self.families += [chain.family] * count
        counted = zip(self.sequences[at:stop], self.terminals[at:stop], strict=True)
        chain.take(self.start + stop, self.time_ms, counted, count)

    def holds(self, family: int, sequence: int, before: int) -> bool:
        """Whether a receipt before that one has this position; asked of later ones each time."""
        at = self._looked_at
        self._positions.update(
            zip(self.families[at:before], self.sequences[at:before], strict=True)
        )
        self._looked_at = before
        return (family, sequence) in self._positions

    def entries(self) -> list[Sequence[object]]:
        """Return the columns of ENTRY_COLUMNS."""
        submissions = self.submissions
        return [
            range(self.start, self.start + len(submissions)),
            self.tenants,
            self.chains,
            self.families,
            self.sequences,
            self.terminals,
            [one.digest for one in submissions],
            [one.id_hash for one in submissions],
            self.leaves,
        ]

    def bodies(self) -> list[Sequence[object]]:
        """Return the columns of BODY_COLUMNS."""
        submissions = self.submissions
        return [
            range(self.start, self.start + len(submissions)),
            self.tenants,
            self.families,
            [one.receipt_id.encode() for one in submissions],
            [one.receipt_hash.encode() for one in submissions],
            [one.body for one in submissions],
        ]


class BatchTree:
    """A batch with its own small tree: gives the place of each of its entries."""

    __slots__ = ("_leaves", "_rows", "batch")

    def __init__(self, start: int, time_ms: int, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves
        self._rows = tree_rows(leaves)
        self.batch = Batch(start, start + len(leaves), time_ms, self._rows[-1][0])

    def paths(self) -> list[bytes]:
        """Return the inclusion path of each entry, as `Placed.path_text` has it."""
        return paths_in([hash_texts(row) for row in self._rows])

    def old_place(self, index: int, digest: bytes, id_hash: bytes) -> Placed:
        """Return the place that an entry of this batch has since long."""
        batch = self.batch
        at = index - batch.start
        return Placed(
            index=index,
            batch=batch,
            leaf_hash=self._leaves[at],
            entry=encode_entry(batch.time_ms, digest, id_hash),
            path_text=b"".join(hash_texts(path_in(self._rows, at))),
            is_new=False,
        )
