# SPDX-License-Identifier: Apache-2.0
"""Finds entries by digest or by receipt id, at a cost that does not grow with the log.

Random keys in one growing B-tree make each insert touch pages of its own. Here the keys of the
newest entries are only in memory: `entry` itself is what they are rebuilt from. When a segment of
the log is full, its keys are written once, sorted, as a run; a filter tells which runs to ask.

One filter, of ids, is enough: a receipt says its own id, so a digest lies where its id does.

A key is a hint: whoever gets an index from here compares the full digest of that entry.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from struct import iter_unpack
from typing import Final, cast

from tallystick.errors import StoreCorruptError
from tallystick.limits import INDEX_SEGMENT_ENTRIES, KEY_FILTER_BYTES_MAX
from tallystick.store.key_filter import KEYS_AT_ONCE, KeyFilter, Rest
from tallystick.store.sql import Access, Row

# Kinds of keys. Leaf hashes are looked up only by readers: each run of them is asked.
DIGEST: Final = 0
RECEIPT_ID: Final = 1
LEAF: Final = 2
_KINDS: Final = 4  # room for one more, so that a slot's number splits into bits

_SEGMENT_BITS: Final = INDEX_SEGMENT_ENTRIES.bit_length() - 1
_BUCKET_BITS: Final = 6
_BUCKETS: Final = 1 << _BUCKET_BITS
# A word of a run: 48 bits of the key above 16 bits of the entry's place in its segment.
_LOW_48: Final = (1 << 48) - 1
_OFFSET: Final = INDEX_SEGMENT_ENTRIES - 1

# A segment's keys: one index, or several where entries share a key.
_Table = dict[int, int | list[int]]


def key_of(tenant_salt: int, value: bytes) -> int:
    """Return the 64-bit key of a hash within one tenant: no tenant fills another's lists."""
    return int.from_bytes(value[:8]) ^ tenant_salt


def keys_of(tenant_salts: Sequence[int], values: Sequence[bytes]) -> list[int]:
    """Return `key_of` for many hashes, each with its tenant's salt."""
    heads = iter_unpack(">Q24x", b"".join(values))
    return [head ^ salt for (head,), salt in zip(heads, tenant_salts, strict=True)]


class KeyIndex:
    """The keys of all entries: open segments in memory, closed ones in runs behind a filter."""

    def __init__(self) -> None:
        self.known = 0  # entries below this are in here
        self.closed = 0  # segments below this have their runs
        self._tables: dict[int, tuple[_Table, _Table]] = {}
        self._ids = KeyFilter(KEY_FILTER_BYTES_MAX)

    def load(self, access: Access) -> None:
        """Learn which segments are closed, and their ids."""
        while runs := _runs_of_ids(access, self.closed):
            # The filter looks at no bits above those of a word.
            self._ids.add(self.closed, [word >> 16 for run in runs for word in _unpacked(run)])
            self.closed += 1
        self.known = max(self.known, self.closed * INDEX_SEGMENT_ENTRIES)
        for segment in [one for one in self._tables if one < self.closed]:
            del self._tables[segment]

    def add(self, index: int, keys: Sequence[tuple[int, int]]) -> None:
        """Take up the (digest, id) keys of the entries from `index` on; known ones are skipped."""
        assert index <= self.known
        done = self.known - index
        while done < len(keys):
            segment = self.known >> _SEGMENT_BITS
            stop = (segment + 1) * INDEX_SEGMENT_ENTRIES
            part = keys[done : done + stop - self.known]
            self._add_to(segment, self.known, part)
            done += len(part)
            self.known += len(part)

    def find(
        self, access: Access, kind: int, key: int, *, receipt_id: int | None = None
    ) -> Iterator[int]:
        """Yield the indexes of entries that may be under a key, oldest first.

        Where the key of their id is known, too, most runs need not be asked. Others may add and
        close meanwhile: the tables are taken first, and a run is durable before its table goes.
        """
        if kind == RECEIPT_ID:
            receipt_id = key
        tables = dict(self._tables)
        closed = self.closed
        segments = range(closed) if receipt_id is None else self._ids.segments(receipt_id, closed)
        for segment in segments:
            yield from _in_run(access, segment, kind, key)
        if kind == LEAF:
            return
        for segment in sorted(tables):
            if segment >= closed:
                found = tables[segment][kind].get(key)
                if isinstance(found, int):
                    yield found
                elif found is not None:
                    yield from tuple(found)

    def possible(self, receipt_ids: Sequence[int]) -> set[int]:
        """Return those ids that any entry may be under: none, for nearly all that is new."""
        found: set[int] = set()
        for _, ids in tuple(self._tables.values()):  # a segment may close meanwhile
            found |= ids.keys() & receipt_ids
        if self.closed:
            found |= self._ids.possible(receipt_ids, self.closed)
        return found

    def full_segment(self) -> int | None:
        """Return the oldest segment that is full and has no run yet."""
        return self.closed if self.known >= (self.closed + 1) * INDEX_SEGMENT_ENTRIES else None

    def runs_of(
        self, segment: int, leaves: Sequence[bytes], rest: Rest = lambda: None
    ) -> list[Row]:
        """Return the rows that close a full segment: sorted keys of each kind, by bucket.

        The filter learns of it here: it is asked for closed segments alone. `rest` is called again
        and again, so that other threads have their turn.
        """
        tables = self._tables[segment]
        self._ids.add(segment, tables[RECEIPT_ID], rest)
        rows: list[Row] = []
        for kind in (DIGEST, RECEIPT_ID):
            rows += _runs(segment, kind, _pairs(tables[kind], len(leaves)), rest)
        heads = keys_of([0] * len(leaves), leaves)
        rows += _runs(segment, LEAF, zip(heads, range(len(leaves)), strict=True), rest)
        return rows

    def close(self, segment: int) -> None:
        """Forget the table of a segment whose runs are durable now."""
        assert segment == self.closed
        self.closed += 1
        del self._tables[segment]

    def _add_to(self, segment: int, index: int, keys: Sequence[tuple[int, int]]) -> None:
        tables = self._tables.get(segment)
        if tables is None:
            tables = self._tables[segment] = ({}, {})
        for table, column in zip(tables, zip(*keys, strict=True), strict=True):
            if table.keys().isdisjoint(column) and len(set(column)) == len(column):
                table.update(zip(column, range(index, index + len(column)), strict=True))
                continue
            for at, key in enumerate(column, start=index):
                _put(table, key, at)


def _put(table: _Table, key: int, index: int) -> None:
    there = table.setdefault(key, index)
    if there is not index:
        if isinstance(there, int):
            table[key] = [there, index]
        else:
            there.append(index)


def _pairs(table: _Table, entries: int) -> Iterable[tuple[int, int]]:
    """Return (key, index) for so many entries."""
    if len(table) == entries:  # each has a key of its own
        return cast("Iterable[tuple[int, int]]", table.items())
    return (
        (key, index)
        for key, found in table.items()
        for index in ((found,) if isinstance(found, int) else found)
    )


def _runs(segment: int, kind: int, pairs: Iterable[tuple[int, int]], rest: Rest) -> list[Row]:
    buckets: list[list[int]] = [[] for _ in range(_BUCKETS)]
    puts = [words.append for words in buckets]
    left = iter(pairs)
    while some := [*islice(left, KEYS_AT_ONCE)]:
        for key, index in some:
            puts[key >> 58]((key & _LOW_48) << 16 | index & _OFFSET)
        rest()
    return [
        (_slot_of(segment, kind, number), _packed(sorted(words)))
        for number, words in enumerate(buckets)
    ]


def _in_run(access: Access, segment: int, kind: int, key: int) -> Iterator[int]:
    rows = access.rows(
        "SELECT words FROM run WHERE slot = ?", (_slot_of(segment, kind, key >> 58),)
    )
    if not rows:
        return
    words = _unpacked(rows[0][0])
    low = key & _LOW_48
    at = bisect_left(words, low << 16)
    while at < len(words) and words[at] >> 16 == low:
        yield segment << _SEGMENT_BITS | words[at] & _OFFSET
        at += 1


def _runs_of_ids(access: Access, segment: int) -> list[bytes]:
    """Return the runs of a segment's ids; none where it is not closed."""
    first = _slot_of(segment, RECEIPT_ID, 0)
    rows = access.rows(
        "SELECT words FROM run WHERE slot >= ? AND slot < ?", (first, first + _BUCKETS)
    )
    return [bytes(words) for (words,) in rows]


def _slot_of(segment: int, kind: int, bucket: int) -> int:
    return (segment * _KINDS + kind) * _BUCKETS + bucket


def _packed(words: list[int]) -> bytes:
    packed = array("Q", words)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpacked(data: bytes) -> array[int]:
    words = array("Q")
    if len(data) % words.itemsize:
        raise StoreCorruptError("a run of keys has a broken length")
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words
