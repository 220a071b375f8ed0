# SPDX-License-Identifier: Apache-2.0
"""Recomputes a log from one checkpoint to the next, out of the entries that it serves."""

from __future__ import annotations

import msgspec

from tallystick.crypto.merkle import HASH_BYTES, Edge, inclusion, leaf_hash, node_hash
from tallystick.errors import LogFormatError, UnreadableError
from tallystick.limits import MONITOR_LEAVES_MAX
from tallystick.model.log_entry import parse_entry
from tallystick.watch.served import LogReader, ServedTree, served_entries
from tallystick.watch.spoken import Spoken


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """Entries whose times contradict something that the log has signed."""

    kind: str
    entries: tuple[tuple[int, bytes], ...]
    needs_older: bool = False


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """A log as it was recomputed up to a checkpoint; whether the root agrees is not judged yet."""

    edge: Edge
    last_entry: bytes | None
    suspects: tuple[Suspect, ...]
    tree: GrownTree


class GrownTree:
    """Paths of new leaves, out of the old edge and the new leaves alone.

    What lies left of the edge is asked from tiles; new leaves need none of it.
    """

    def __init__(self, start: Edge, tiles: ServedTree) -> None:
        """Begin with the tree before it grew."""
        self._start = start.size
        self._tiles = tiles
        self._leaves = bytearray()
        self._is_complete = True
        self._known: dict[tuple[int, int], bytes] = {}
        at = 0
        for one in start.hashes:
            level = (start.size - at).bit_length() - 1
            self._known[level, at >> level] = one
            at += 1 << level

    def append(self, leaf: bytes) -> None:
        """Keep one leaf hash, as long as there is room for all of them."""
        if len(self._leaves) >= MONITOR_LEAVES_MAX * HASH_BYTES:
            self._is_complete = False
        if self._is_complete:
            self._leaves += leaf

    def inclusion(self, index: int) -> list[bytes]:
        """Return the path of a leaf in the tree as it is now served."""
        return inclusion(self._hash_at, index, self._tiles.size)

    def _hash_at(self, level: int, index: int) -> bytes:
        known = self._known.get((level, index))
        if known is not None:
            return known
        start, stop = index << level, (index + 1) << level
        if stop <= self._start or not self._is_complete:
            return self._tiles.hash_at(level, index)
        if level == 0:
            at = (start - self._start) * HASH_BYTES
            return bytes(self._leaves[at : at + HASH_BYTES])
        found = node_hash(
            self._hash_at(level - 1, 2 * index), self._hash_at(level - 1, 2 * index + 1)
        )
        if level >= 8:  # as tiles do, so that what is remembered stays small
            self._known[level, index] = found
        return found


def grow(
    reader: LogReader,
    edge: Edge,
    last_entry: bytes | None,
    spoken: tuple[Spoken | None, Spoken],
    max_delay_ms: int,
) -> Growth:
    """Read the entries from one checkpoint to the next, and look at the times in them.

    The first suspect of each kind is kept: one contradiction convicts.
    """
    older, newer = spoken
    edge = edge.copy()
    tree = GrownTree(edge, ServedTree(reader, newer.size))
    suspects: dict[str, Suspect] = {}
    last_ms = parse_entry(last_entry).time_ms if last_entry is not None else 0
    for index, data in enumerate(served_entries(reader, edge.size, newer.size), edge.size):
        try:
            time_ms = parse_entry(data).time_ms
        except LogFormatError as fault:
            raise UnreadableError(f"entry {index} of the log: {fault}") from None
        if time_ms < last_ms and last_entry is not None:
            pair = ((index - 1, last_entry), (index, data))
            suspects.setdefault("disorder", Suspect(kind="disorder", entries=pair))
        if time_ms >= 1000 * (newer.time_s + 1):
            suspects.setdefault("postdated", Suspect(kind="postdated", entries=((index, data),)))
        if older is not None and time_ms + max_delay_ms <= 1000 * older.time_s:
            late = Suspect(kind="backdated", entries=((index, data),), needs_older=True)
            suspects.setdefault("backdated", late)
        leaf = leaf_hash(data)
        edge.append(leaf)
        tree.append(leaf)
        last_entry, last_ms = data, time_ms
    return Growth(edge=edge, last_entry=last_entry, suspects=tuple(suspects.values()), tree=tree)
