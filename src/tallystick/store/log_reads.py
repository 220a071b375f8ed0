# SPDX-License-Identifier: Apache-2.0
"""The reading half of a log store, on any engine. Rows are written once: no snapshot is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice

from tallystick.errors import StoreCorruptError
from tallystick.limits import INDEX_SEGMENT_ENTRIES, READ_PAGE_BYTES_MAX, SAME_ID_MAX
from tallystick.model.log_entry import encode_entry
from tallystick.model.submission import Batch, ChainSummary, Intent, Placed, Stored
from tallystick.store.batch_plan import TERMINATIONS, BatchTree, hash_of
from tallystick.store.key_index import DIGEST, LEAF, RECEIPT_ID, KeyIndex, key_of
from tallystick.store.sql import Access, Engine, Row

# How many hints of an index are confirmed by one statement.
_HINTS = 64


def salt_of(tenant: bytes) -> int:
    """Return what sets one tenant's keys apart from another's."""
    return int.from_bytes(sha256(tenant).digest()[:8])


class LogReads:
    """Answers for auditors and for the log's own routes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.index = KeyIndex()
        self._indexing = threading.Lock()
        self._last_leaf: tuple[int, bytes] | None = None  # of the last entry that is known
        with engine.reading() as access:
            self.index.load(access)
            self.catch_up(access, _next_index(access))

    def released(self) -> Intent | None:
        """Return the newest checkpoint that has its note."""
        return next((one for one in self._newest_checkpoints() if one.note is not None), None)

    def pending(self) -> Intent | None:
        """Return the intent that waits for its note, where there is one."""
        return next((one for one in self._newest_checkpoints() if one.note is None), None)

    def checkpoint_of(self, size: int, /) -> Intent | None:
        """Return the newest released checkpoint of exactly this size."""
        with self.engine.reading() as access:
            rows = access.rows(
                "SELECT c.number, c.time_s, c.size, h.root, c.note FROM checkpoint c "
                "JOIN head h ON h.size = c.size WHERE c.size = ? AND c.note IS NOT NULL "
                "ORDER BY c.number DESC LIMIT 1",
                (size,),
            )
        return _intent(rows[0]) if rows else None

    def next_index(self) -> int:
        """Return how many entries were sequenced, integrated or not."""
        with self.engine.reading() as access:
            return _next_index(access)

    def leaf_hashes(self, start: int, stop: int, /) -> bytes:
        """Return the leaf hashes of entries [start, stop), 32 bytes each."""
        with self.engine.reading() as access:
            return b"".join(leaves_of(access, start, stop))

    def entries(self, start: int, stop: int, /) -> tuple[bytes, ...]:
        """Return the 87-byte entries of [start, stop)."""
        with self.engine.reading() as access:
            rows = access.rows(
                "SELECT idx, digest, id_hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx",
                (start, stop),
            )
            if not rows:
                return ()
            batches = access.rows(
                "SELECT stop, time_ms FROM batch WHERE start < ? AND start >= "
                "(SELECT max(start) FROM batch WHERE start <= ?) ORDER BY start",
                (stop, start),
            )
        found = []
        at = 0
        for index, digest, id_hash in rows:
            while index >= batches[at][0]:
                at += 1
            found.append(encode_entry(batches[at][1], digest, id_hash))
        return tuple(found)

    def tile(self, level: int, number: int, width: int, /) -> bytes | None:
        """Return the first `width` hashes of a hash tile, or None where the tree has fewer."""
        with self.engine.reading() as access:
            rows = access.rows(
                "SELECT hashes FROM tile WHERE level = ? AND number = ?", (level, number)
            )
            if rows:
                return bytes(rows[0][0][: 32 * width])
            start, stop = 256 * number, 256 * number + width
            if level == 0:
                hashes = leaves_of(access, start, stop)
            else:
                hashes = tile_roots(access, level - 1, start, stop)
        return b"".join(hashes) if len(hashes) == width else None

    def placed(self, tenant: str, digest: bytes, /) -> Placed | None:
        """Return the place of a receipt by the digest of its whole canonical form."""
        name = tenant.encode()
        with self.engine.reading() as access:
            self.catch_up(access, _next_index(access))
            index = self.digest_at(access, name, digest, key_of(salt_of(name), digest))
            return None if index is None else next(iter(old_places(access, [index])))

    def by_id(
        self, tenant: str, receipt_id: str, /, *, limit: int = SAME_ID_MAX
    ) -> tuple[Stored, ...]:
        """Return the receipts under an id, oldest first, at most `limit`."""
        name, id_hash = tenant.encode(), hash_of(receipt_id)
        with self.engine.reading() as access:
            self.catch_up(access, _next_index(access))
            return tuple(_stored(access, name, self._under(access, name, id_hash, limit)))

    def leaves_under(
        self, tenant: str, receipt_id: str, /, *, limit: int = SAME_ID_MAX
    ) -> tuple[bytes, ...]:
        """Return the leaf hashes of the receipts under an id, as `by_id` orders them."""
        name, id_hash = tenant.encode(), hash_of(receipt_id)
        with self.engine.reading() as access:
            self.catch_up(access, _next_index(access))
            return tuple(
                bytes(access.rows("SELECT leaf_hash FROM entry WHERE idx = ?", (index,))[0][0])
                for index in self._under(access, name, id_hash, limit)
            )

    def by_leaf(self, tenant: str, leaf_hash: bytes, /) -> Stored | None:
        """Return the receipt of one leaf."""
        name = tenant.encode()
        with self.engine.reading() as access:
            stop = _next_index(access)
            hints = self.index.find(access, LEAF, int.from_bytes(leaf_hash[:8]))
            found = next(_confirmed(access, "leaf_hash", name, leaf_hash, hints), None)
            if found is None:
                # Not yet in a run: few enough to look at each.
                rows = access.rows(
                    "SELECT idx FROM entry WHERE idx >= ? AND idx < ? AND leaf_hash = ? "
                    "AND tenant = ? ORDER BY idx LIMIT 1",
                    (self.index.closed * INDEX_SEGMENT_ENTRIES, stop, leaf_hash, name),
                )
                found = rows[0][0] if rows else None
            return None if found is None else next(_stored(access, name, [found]), None)

    def chains(
        self, tenant: str, *, issuer: str | None, since_ms: int | None, after: int, limit: int
    ) -> tuple[ChainSummary, ...]:
        """Return chains by the index of their first entry (> `after`), at most `limit`."""
        clauses, values = "", [tenant.encode(), after]
        if issuer is not None:
            clauses += " AND issuer = ?"
            values.append(issuer.encode())
        if since_ms is not None:
            clauses += " AND last_ms >= ?"
            values.append(since_ms)
        with self.engine.reading() as access:
            rows = access.rows(
                "SELECT chain_id, issuer, length, last_sequence, terminal, no, last_index, "
                f"first_ms, last_ms FROM chain WHERE tenant = ? AND no > ?{clauses} "
                "ORDER BY no LIMIT ?",
                (*values, limit),
            )
        return tuple(_summary(row) for row in rows)

    def chain(
        self, tenant: str, chain_id: str, *, after: tuple[int, int], limit: int
    ) -> tuple[Stored, ...]:
        """Return receipts of a chain whose (sequence, index) is above `after`, in that order.

        A receipt without a sequence counts as -1. A page ends early with the receipt that reaches
        `READ_PAGE_BYTES_MAX`.
        """
        name = tenant.encode()
        with self.engine.reading() as access:
            families = access.rows(
                "SELECT no FROM chain WHERE tenant = ? AND chain_hash = ? AND no = family",
                (name, hash_of(chain_id)),
            )
            if not families:
                return ()
            rows = access.rows(
                "SELECT idx FROM entry WHERE family = ? AND (sequence, idx) > (?, ?) "
                "ORDER BY sequence, idx LIMIT ?",
                (families[0][0], *after, limit),
            )
            page, size = [], 0
            for one in _stored(access, name, [index for (index,) in rows]):
                page.append(one)
                size += len(one.body)
                if size >= READ_PAGE_BYTES_MAX:
                    break
            return tuple(page)

    def _under(self, access: Access, tenant: bytes, id_hash: bytes, limit: int) -> list[int]:
        """Return the indexes of a tenant's receipts under an id, oldest first."""
        hints = self.index.find(access, RECEIPT_ID, key_of(salt_of(tenant), id_hash))
        return list(islice(_confirmed(access, "id_hash", tenant, id_hash, hints), limit))

    def ping(self) -> None:
        """Return when the store answers a read."""
        self.next_index()

    def size_bytes(self) -> int:
        """Return what the store takes on disk."""
        return self.engine.size_bytes()

    def _newest_checkpoints(self) -> list[Intent]:
        """Return the last two: only the last can lack its note."""
        with self.engine.reading() as access:
            return newest_checkpoints(access)

    def catch_up(self, access: Access, stop: int) -> None:
        """Learn the keys of entries that another process has written, or an earlier life."""
        with self._indexing:
            while (start := self.index.known) < stop:
                self.expect_the_same(access)
                upto = min(stop, start + INDEX_SEGMENT_ENTRIES)
                salts: dict[bytes, int] = {}
                keys = []
                last = b""
                for tenant, digest, id_hash, leaf in access.rows(
                    "SELECT tenant, digest, id_hash, leaf_hash FROM entry "
                    "WHERE idx >= ? AND idx < ? ORDER BY idx",
                    (start, upto),
                ):
                    name = bytes(tenant)
                    salt = salts.get(name)
                    if salt is None:
                        salt = salts[name] = salt_of(name)
                    keys.append((key_of(salt, digest), key_of(salt, id_hash)))
                    last = bytes(leaf)
                if len(keys) != upto - start:
                    raise StoreCorruptError(f"entries {start} to {upto - 1} have gaps")
                self.index.add(start, keys)
                self._last_leaf = (upto - 1, last)

    def expect_the_same(self, access: Access) -> None:
        """Raise where another entry has the last known place: a standby lagged, and grew since."""
        if self._last_leaf is None or self.engine.is_exclusive:
            return
        index, leaf = self._last_leaf
        if leaves_of(access, index, index + 1) != [leaf]:
            raise StoreCorruptError(f"the store has gone back: entry {index} is another one")

    def digest_at(
        self,
        access: Access,
        tenant: bytes,
        digest: bytes,
        key: int,
        *,
        receipt_id: int | None = None,
    ) -> int | None:
        """Return the index of a tenant's receipt with this digest; its id's key spares a search."""
        hints = self.index.find(access, DIGEST, key, receipt_id=receipt_id)
        return next(_confirmed(access, "digest", tenant, digest, hints), None)

    def has_id(self, access: Access, tenant: bytes, id_hash: bytes, key: int) -> bool:
        """Whether a tenant has a receipt under this id."""
        hints = self.index.find(access, RECEIPT_ID, key)
        return next(_confirmed(access, "id_hash", tenant, id_hash, hints), None) is not None


def old_places(access: Access, indexes: Sequence[int]) -> Iterator[Placed]:
    """Yield the places that entries already have; neighbours share one look at their batch."""
    tree: BatchTree | None = None
    for index in indexes:
        if tree is None or not tree.batch.start <= index < tree.batch.stop:
            tree = _batch_tree(access, index)
        digest, id_hash = access.rows("SELECT digest, id_hash FROM entry WHERE idx = ?", (index,))[
            0
        ]
        yield tree.old_place(index, bytes(digest), bytes(id_hash))


def newest_checkpoints(access: Access) -> list[Intent]:
    """Return the last two checkpoints, newest first."""
    rows = access.rows(
        "SELECT c.number, c.time_s, c.size, h.root, c.note FROM checkpoint c "
        "JOIN head h ON h.size = c.size ORDER BY c.number DESC LIMIT 2"
    )
    return [_intent(row) for row in rows]


def leaves_of(access: Access, start: int, stop: int) -> list[bytes]:
    """Return the leaf hashes of the entries in [start, stop), as far as there are any."""
    return [
        bytes(leaf)
        for (leaf,) in access.rows(
            "SELECT leaf_hash FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx", (start, stop)
        )
    ]


def tile_roots(access: Access, level: int, start: int, stop: int) -> list[bytes]:
    """Return the roots of a level's full tiles in [start, stop), as far as there are any."""
    return [
        bytes(root)
        for (root,) in access.rows(
            "SELECT root FROM tile WHERE level = ? AND number >= ? AND number < ? ORDER BY number",
            (level, start, stop),
        )
    ]


def _next_index(access: Access) -> int:
    found = access.rows("SELECT next_index FROM log_head WHERE one = 1")[0][0]
    assert isinstance(found, int)
    return found


def _confirmed(
    access: Access, column: str, tenant: bytes, value: bytes, hints: Iterator[int]
) -> Iterator[int]:
    """Yield those of the hinted entries that have this very value."""
    while some := list(islice(hints, _HINTS)):
        marks = ",".join("?" * len(some))
        for (index,) in access.rows(
            f"SELECT idx FROM entry WHERE idx IN ({marks}) AND {column} = ? AND tenant = ? "
            "ORDER BY idx",
            (*some, value, tenant),
        ):
            yield index


def _stored(access: Access, tenant: bytes, indexes: Sequence[int]) -> Iterator[Stored]:
    """Yield receipts by their indexes, in this order."""
    for index in indexes:
        rows = access.rows(
            "SELECT e.idx, e.leaf_hash, b.receipt_id, c.chain_id, e.sequence, b.body "
            "FROM entry e JOIN chain c ON c.tenant = e.tenant AND c.no = e.chain "
            "JOIN body b ON b.tenant = e.tenant AND b.family = e.family AND b.idx = e.idx "
            "WHERE e.idx = ? AND e.tenant = ?",
            (index, tenant),
        )
        if not rows:
            raise StoreCorruptError(f"entry {index} has no body")
        found, leaf_hash, receipt_id, chain_id, sequence, body = rows[0]
        yield Stored(
            index=found,
            leaf_hash=bytes(leaf_hash),
            receipt_id=bytes(receipt_id).decode(),
            chain_id=bytes(chain_id).decode(),
            sequence=None if sequence < 0 else sequence,
            body=bytes(body),
        )


def _batch_tree(access: Access, index: int) -> BatchTree:
    """Return the batch of an entry with its tree, as they were when its promise was signed."""
    rows = access.rows(
        "SELECT start, stop, time_ms, root FROM batch WHERE start <= ? ORDER BY start DESC LIMIT 1",
        (index,),
    )
    if not rows or not rows[0][0] <= index < rows[0][1]:
        raise StoreCorruptError(f"entry {index} belongs to no batch")
    start, stop, time_ms, root = rows[0]
    leaves = leaves_of(access, start, stop)
    if len(leaves) != stop - start:
        raise StoreCorruptError(f"the batch of entry {index} has gaps")
    tree = BatchTree(start, time_ms, leaves)
    if tree.batch != Batch(start, stop, time_ms, bytes(root)):
        raise StoreCorruptError(f"the batch of entry {index} has another root than it had")
    return tree


def _intent(row: Row) -> Intent:
    number, time_s, size, root, note = row
    return Intent(
        number=number,
        time_s=time_s,
        size=size,
        root=bytes(root),
        note=None if note is None else bytes(note),
    )


def _summary(row: Row) -> ChainSummary:
    chain_id, issuer, length, last_sequence, terminal, no, last_index, first_ms, last_ms = row
    return ChainSummary(
        chain_id=bytes(chain_id).decode(),
        issuer=bytes(issuer).decode(),
        length=length,
        last_sequence=None if last_sequence < 0 else last_sequence,
        termination=TERMINATIONS[terminal],
        first_index=no,
        last_index=last_index,
        first_time_ms=first_ms,
        last_time_ms=last_ms,
    )
