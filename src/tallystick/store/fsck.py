# SPDX-License-Identifier: Apache-2.0
"""Recomputes a whole store from its receipts, and says each place where it contradicts itself.

Every digest, leaf, batch, tile, edge, head, run and chain is made anew from `body` and `entry`, in
one pass of bounded memory; every note must speak of its own checkpoint, and with the log's keys
given its signatures are checked. The store must have no other writer meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tallystick.crypto.canonical import canonicalize
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.merkle import Edge, leaf_hash, tree_root
from tallystick.crypto.note import VerifierKey
from tallystick.crypto.strict import parse_json
from tallystick.errors import Error, RefusedInput
from tallystick.limits import (
    BODY_BYTES_MAX,
    INDEX_SEGMENT_ENTRIES,
    JSON_INTEGER_MAX,
)
from tallystick.model.log_entry import encode_entry, receipt_digest, receipt_id_hash
from tallystick.model.reader import without_nulls
from tallystick.store.batch_plan import ChainName, ChainState, hash_of
from tallystick.store.fsck_heads import (
    StoreReport,
    TooManyFaults,
    check_checkpoints,
    check_repeats,
)
from tallystick.store.fsck_rows import BatchRow, ChainRow, Count, EntryRow, only_row, typed_rows
from tallystick.store.integration import edge_of
from tallystick.store.key_index import KeyIndex, key_of
from tallystick.store.log_reads import salt_of
from tallystick.store.opening import open_engine
from tallystick.store.sequencing import CHAIN_COLUMNS, chain_state
from tallystick.store.sql import Access, Engine

# Entries in one statement: with bodies of the largest size, 64 MiB.
_ENTRIES: Final = 64


Progress = Callable[[int, int], None]


def check_store(
    db: str,
    *,
    keys: tuple[VerifierKey, VerifierKey] | None = None,
    progress: Progress | None = None,
) -> StoreReport:
    """Open the store that a setting names, and check it: nobody else may write meanwhile."""
    engine = open_engine(db)
    try:
        return check_engine(engine, keys=keys, progress=progress)
    finally:
        engine.close()


def check_engine(
    engine: Engine,
    *,
    keys: tuple[VerifierKey, VerifierKey] | None = None,
    progress: Progress | None = None,
) -> StoreReport:
    """Return every fault of a store, in words; none where it is whole.

    `keys` are the log's own and its time key: with them the notes' signatures are checked, too.
    `progress` is told (entries done, entries in all) now and then.
    """
    found = StoreReport()
    try:
        for fault in engine.integrity():
            found.expect(is_true=False, fault=f"database: {fault}")
        with engine.reading() as access:
            _Pass(access, found).run(progress)
            check_repeats(access, found)
            check_checkpoints(access, found, keys)
    except TooManyFaults:
        found.faults.append("and more: not all are listed")
    except Error as error:
        found.faults.append(str(error))
    return found


class _Subject:
    """What the columns of a receipt must say, read from its JSON once more."""

    def __init__(self, receipt: Any) -> None:
        link = receipt["credentialSubject"]["chain"]
        if type(link) is not dict:
            raise TypeError("its chain is no object")
        issuer = receipt.get("issuer")
        issuer = issuer.get("id") if type(issuer) is dict else issuer
        sequence = link.get("sequence")
        is_counted = type(sequence) is int and 0 <= sequence <= JSON_INTEGER_MAX
        unsigned, _ = without_nulls({name: receipt[name] for name in receipt if name != "proof"})
        self.receipt_id = str(receipt["id"])
        self.receipt_hash = sha256_tagged(canonicalize(unsigned)).encode()
        self.chain_id = str(link["chain_id"])
        self.issuer = issuer if type(issuer) is str else ""
        self.sequence = sequence if is_counted else -1
        self.terminal = 0
        if link.get("terminal") is True:
            self.terminal = 2 if link.get("status") == "interrupted" else 1


class _Pass:
    """One walk over all entries in order, with all that is made of them."""

    def __init__(self, access: Access, found: StoreReport) -> None:
        self._access = access
        self._found = found
        self._chains: dict[int, ChainState] = {}
        self._families: dict[tuple[bytes, bytes], int] = {}
        self._edge = Edge()
        self._rows: list[list[bytes]] = [[]]  # hashes of each level's tile in the making
        self._numbers: list[int] = [0]
        self._index = KeyIndex()
        self._segment: list[bytes] = []
        self._compared = 0
        self._keys: list[tuple[int, int]] = []
        self._heads = self._stored_heads()
        self._head = next(self._heads, None)
        self._size, self._stored_edge = only_row(
            access, "tree", tuple[Count, bytes], "SELECT size, edge FROM tree WHERE one = 1"
        )
        (self._runs,) = access.rows("SELECT count(*) FROM run")[0]

    def run(self, progress: Progress | None) -> None:
        """Walk, then compare what is counted at the end."""
        access, expect = self._access, self._found.expect
        next_index, last_ms = only_row(
            access,
            "log_head",
            tuple[Count, Count],
            "SELECT next_index, last_ms FROM log_head WHERE one = 1",
        )
        self._check_head()
        at = time_ms = 0
        for start, stop, batch_ms, root in self._batches():
            expect(start == at, f"batch {start}: the one before ends at {at}")
            expect(batch_ms >= time_ms, f"batch {start}: older than the one before it")
            leaves = self._check_entries(start, stop, batch_ms)
            expect(
                len(leaves) == stop - start and tree_root(leaves) == root,
                f"batch {start}: its root is not that of its entries",
            )
            at, time_ms = stop, batch_ms
            self._found.entries = at
            if progress is not None:
                progress(at, next_index)
        expect(at == next_index, f"log head: says {next_index} entries, there are {at}")
        expect(last_ms >= time_ms, "log head: older than the last batch")
        for table in ("entry", "body"):
            (count,) = access.rows(f"SELECT count(*) FROM {table}")[0]
            expect(count == at, f"{table}: {count} rows for {at} entries")
        expect(self._size <= at, f"tree: says {self._size} leaves of {at} entries")
        self._check_counts()
        self._check_chains()

    def _batches(self) -> Iterator[BatchRow]:
        at = -1
        while rows := typed_rows(
            self._access,
            "batch",
            BatchRow,
            "SELECT start, stop, time_ms, root FROM batch WHERE start > ? "
            "ORDER BY start LIMIT 1000",
            (at,),
        ):
            yield from rows
            at = rows[-1].start

    def _check_entries(self, start: int, stop: int, time_ms: int) -> list[bytes]:
        leaves: list[bytes] = []
        first = start
        while rows := typed_rows(
            self._access,
            "entry",
            EntryRow,
            "SELECT e.idx, e.tenant, e.chain, e.family, e.sequence, e.terminal, e.digest, "
            "e.id_hash, e.leaf_hash, b.receipt_id, b.receipt_hash, b.body FROM entry e "
            "LEFT JOIN body b ON b.tenant = e.tenant AND b.family = e.family AND b.idx = e.idx "
            "WHERE e.idx >= ? AND e.idx < ? ORDER BY e.idx LIMIT ?",
            (first, stop, _ENTRIES),
        ):
            for row in rows:
                leaf = self._check_entry(row, start + len(leaves), time_ms)
                leaves.append(leaf)
                self._grow(leaf)
                self._grow_runs(leaf)
            first = rows[-1].idx + 1
        return leaves

    def _check_entry(self, row: EntryRow, expected: int, time_ms: int) -> bytes:
        index, tenant, *_, digest, id_hash, leaf, receipt_id, receipt_hash, body = row
        expect = self._found.expect
        expect(index == expected, f"entry {expected}: is missing")
        made = leaf_hash(encode_entry(time_ms, digest, id_hash))
        expect(made == leaf, f"entry {index}: its leaf hash is another")
        salt = salt_of(tenant)
        self._keys.append((key_of(salt, digest), key_of(salt, id_hash)))
        expect(body is not None, f"entry {index}: has no body")
        if body is not None:
            try:
                receipt = parse_json(body, BODY_BYTES_MAX)
                subject = _Subject(receipt)
                expect(receipt_digest(receipt) == digest, f"entry {index}: its body was changed")
                expect(subject.receipt_hash == receipt_hash, f"entry {index}: other hash")
            except (RefusedInput, KeyError, TypeError) as fault:
                expect(is_true=False, fault=f"entry {index}: its body is no receipt: {fault}")
            else:
                expect(
                    subject.receipt_id.encode() == receipt_id
                    and receipt_id_hash(subject.receipt_id) == id_hash,
                    f"entry {index}: its id is another",
                )
                self._take(row, tenant, subject, time_ms)
        return made

    def _take(self, row: EntryRow, tenant: bytes, subject: _Subject, time_ms: int) -> None:
        """Count an entry in its chain."""
        index, _, no, family, sequence, terminal, *_ = row
        expect = self._found.expect
        name: ChainName = (tenant, hash_of(subject.chain_id), hash_of(subject.issuer))
        state = self._chains.get(no)
        if state is None:
            expect(no == index, f"entry {index}: its chain does not begin with it")
            state = self._chains[no] = ChainState(
                name,
                chain_id=subject.chain_id.encode(),
                issuer=subject.issuer.encode(),
                no=no,
                family=self._families.setdefault(name[:2], no),
                first_ms=time_ms,
            )
        expect(
            state.name == name and state.family == family,
            f"entry {index}: stands in another chain than its receipt says",
        )
        expect(
            (sequence, terminal) == (subject.sequence, subject.terminal),
            f"entry {index}: stands at another place in its chain than its receipt says",
        )
        state.take(index + 1, time_ms, [(sequence, terminal)], 1)
        root = self._chains.get(family)
        if root is not None:
            root.top = max(root.top, sequence)

    def _grow(self, leaf: bytes) -> None:
        """Add a leaf to the tree, and compare each tile that it completes."""
        if self._edge.size >= self._size:
            return  # not yet integrated
        self._edge.append(leaf)
        self._rows[0].append(leaf)
        level = 0
        while len(self._rows[level]) == 256:
            row, self._rows[level] = self._rows[level], []
            number = self._numbers[level]
            self._numbers[level] += 1
            root = tree_root(row)
            stored = self._access.rows(
                "SELECT root, hashes FROM tile WHERE level = ? AND number = ?", (level, number)
            )
            self._found.expect(
                stored == [(root, b"".join(row))],
                f"tile {level}/{number}: is not that of the entries",
            )
            level += 1
            if level == len(self._rows):
                self._rows.append([])
                self._numbers.append(0)
            self._rows[level].append(root)
        self._check_head()

    def _grow_runs(self, leaf: bytes) -> None:
        """Add a leaf to its segment, and compare the runs of the segment that it completes."""
        self._segment.append(leaf)
        if len(self._segment) < INDEX_SEGMENT_ENTRIES:
            return
        segment = self._index.closed
        self._index.add(segment * INDEX_SEGMENT_ENTRIES, self._keys)
        made = self._index.runs_of(segment, self._segment)
        if self._compared < self._runs:  # this segment is closed in the store
            for slot, words in made:
                stored = self._access.rows("SELECT words FROM run WHERE slot = ?", (slot,))
                self._found.expect(
                    stored == [(words,)],
                    f"run {slot}: is not that of the entries",
                )
            self._compared += len(made)
        self._index.close(segment)
        self._segment, self._keys = [], []

    def _stored_heads(self) -> Iterator[tuple[int, bytes]]:
        at = -1
        while rows := typed_rows(
            self._access,
            "head",
            tuple[int, bytes],
            "SELECT size, root FROM head WHERE size > ? ORDER BY size LIMIT 1000",
            (at,),
        ):
            yield from rows
            at = rows[-1][0]

    def _check_head(self) -> None:
        """Compare the head of the size that the tree has now, where one was signed."""
        if self._head is not None and self._head[0] == self._edge.size:
            size, root = self._head
            self._found.expect(
                root == self._edge.root(), f"head {size}: is not that of the entries"
            )
            self._head = next(self._heads, None)

    def _check_counts(self) -> None:
        expect = self._found.expect
        expect(
            self._edge.size == self._size
            and edge_of(self._size, self._stored_edge).hashes == self._edge.hashes,
            "tree: its edge is not that of the entries",
        )
        runs = self._compared
        expect(self._runs == runs, f"run: {self._runs} rows, of closed segments there are {runs}")
        (tiles,) = self._access.rows("SELECT count(*) FROM tile")[0]
        expect(
            tiles == sum(self._numbers), f"tile: {tiles} rows, the tree has {sum(self._numbers)}"
        )
        (beyond,) = self._access.rows("SELECT count(*) FROM head WHERE size > ?", (self._size,))[0]
        expect(beyond == 0, f"head: {beyond} of sizes that the tree has not")

    def _check_chains(self) -> None:
        (count,) = self._access.rows("SELECT count(*) FROM chain")[0]
        self._found.expect(
            count == len(self._chains), f"chain: {count} rows, the entries have {len(self._chains)}"
        )
        for no, made in self._chains.items():
            rows = typed_rows(
                self._access,
                "chain",
                ChainRow,
                f"SELECT {CHAIN_COLUMNS} FROM chain WHERE tenant = ? AND no = ?",
                (made.name[0], no),
            )
            self._found.expect(
                bool(rows) and chain_state(rows[0]).row() == made.row(),
                f"chain {no}: its summary is not that of its entries",
            )
