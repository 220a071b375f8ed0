# SPDX-License-Identifier: Apache-2.0
"""Merkle trees of RFC 6962, §2.1: hashes, heads, and proofs made and checked.

A tree of n leaves is two trees under one node: the left one holds as many leaves as the largest
power of two below n. An odd right edge is promoted, never doubled and never hashed alone.

A path authenticates neither the size nor the index that it is checked with: the path of leaf 0 of 8
also passes for a claimed size of 5, 6 or 7. Whoever checks takes size *and* root from one signed
checkpoint, and computes the leaf hash from the entry's bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from tallystick.errors import RefusedInput
from tallystick.limits import TREE_SIZE_MAX

HASH_BYTES: Final = 32

# The head of the tree without leaves.
EMPTY_ROOT: Final = sha256(b"").digest()

# Gives the root of the perfect tree over leaves [index · 2^level, (index + 1) · 2^level).
HashAt: TypeAlias = Callable[[int, int], bytes]


def leaf_hash(data: bytes, /) -> bytes:
    """Return the hash of one entry as a leaf."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes, /) -> bytes:
    """Return the hash of the node over two subtrees."""
    return sha256(b"\1" + left + right).digest()


class Edge:
    """The right edge of a growing tree: one perfect subtree's root for each 1-bit of its size."""

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Take up an edge again, largest subtree first; without arguments, the empty tree's."""
        self._size = size
        self._hashes = list(hashes)
        if not 0 <= size <= TREE_SIZE_MAX or len(self._hashes) != size.bit_count():
            raise RefusedInput(f"the edge of a tree of {size} leaves has another number of hashes")
        if any(len(one) != HASH_BYTES for one in self._hashes):
            raise RefusedInput(f"a hash of a tree has {HASH_BYTES} bytes")

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, largest first."""
        return tuple(self._hashes)

    def append(self, leaf: bytes, /) -> None:
        """Add one leaf by its hash."""
        size = self._size
        while size & 1:
            leaf = sha256(b"\1" + self._hashes.pop() + leaf).digest()
            size >>= 1
        self._hashes.append(leaf)
        self._size += 1

    def append_subtree(self, root: bytes, level: int, /) -> None:
        """Add 2^level leaves at once by the root over them, where they begin a subtree."""
        size, rest = divmod(self._size, 1 << level)
        if rest:
            raise RefusedInput(f"a tree of {self._size} leaves has no place for 2^{level} at once")
        while size & 1:
            root = sha256(b"\1" + self._hashes.pop() + root).digest()
            size >>= 1
        self._hashes.append(root)
        self._size += 1 << level

    def extend(self, leaves: Iterable[bytes], /) -> None:
        """Add leaves by their hashes, in order."""
        for leaf in leaves:
            self.append(leaf)

    def copy(self) -> Edge:
        """Return an edge of its own that grows independently."""
        return Edge(self._size, self._hashes)

    def root(self) -> bytes:
        """Return the head of the tree."""
        if not self._hashes:
            return EMPTY_ROOT
        found = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            found = node_hash(left, found)
        return found

    def __repr__(self) -> str:
        return f"Edge(size={self._size}, root={self.root().hex()})"


def perfect_root(leaves: Sequence[bytes], /) -> bytes:
    """Return the head of a tree over 2^n leaf hashes: row by row, which is faster."""
    assert len(leaves).bit_count() == 1
    row = leaves
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs)]  # noqa: B905  # of one iterator
    return row[0]


def tree_root(leaves: Iterable[bytes], /) -> bytes:
    """Return the head of the tree over leaf hashes."""
    edge = Edge()
    edge.extend(leaves)
    return edge.root()


def tree_rows(leaves: Sequence[bytes], /) -> list[list[bytes]]:
    """Return a small tree row by row, leaf hashes first; the last row holds the root alone."""
    row = list(leaves)
    rows = [row]
    while len(row) > 1:
        pairs = iter(row)
        above = [sha256(b"\1" + left + right).digest() for left, right in zip(pairs, pairs)]  # noqa: B905  # of one iterator
        if len(row) & 1:
            above.append(row[-1])  # promoted
        rows.append(above)
        row = above
    return rows


def path_in(rows: Sequence[Sequence[bytes]], index: int, /) -> list[bytes]:
    """Return the inclusion path of one leaf from the rows of its tree."""
    path = []
    for row in rows[:-1]:
        beside = index ^ 1
        if beside < len(row):
            path.append(row[beside])
        index >>= 1
    return path


def paths_in(rows: Sequence[Sequence[bytes]], /) -> list[bytes]:
    """Return all inclusion paths from the rows of a tree, each in one piece.

    Neighbours share all but a hash. What stands in the rows may be a spelling of the hashes.
    """
    paths = [b""] * len(rows[-1])
    for row in reversed(rows[:-1]):
        size, above = len(row), paths
        paths = [
            row[at ^ 1] + above[at >> 1] if at ^ 1 < size else above[at >> 1] for at in range(size)
        ]
    return paths


def subtree(hash_at: HashAt, start: int, stop: int, /) -> bytes:
    """Return the root over leaves [start, stop) as the tree splits them: `start` is aligned."""
    assert 0 <= start < stop
    parts = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        parts.append(hash_at(level, start >> level))
        start += 1 << level
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found


def inclusion(hash_at: HashAt, index: int, size: int, /) -> list[bytes]:
    """Return the inclusion path of a leaf, its sibling first."""
    if not 0 <= index < size:
        raise RefusedInput(f"a tree of {size} leaves has no leaf {index}")
    start, stop = 0, size
    cut = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            cut.append((middle, stop))
            stop = middle
        else:
            cut.append((start, middle))
            start = middle
    return [subtree(hash_at, *part) for part in reversed(cut)]


def consistency(hash_at: HashAt, old_size: int, new_size: int, /) -> list[bytes]:
    """Return the proof that the tree of `new_size` begins with that of `old_size`."""
    if not 0 <= old_size <= new_size:
        raise RefusedInput(f"a tree of {new_size} leaves has no beginning of {old_size}")
    if old_size in (0, new_size):
        return []
    start, stop = 0, new_size
    cut = []
    is_whole = True
    while stop != old_size:
        middle = start + _split(stop - start)
        if old_size <= middle:
            cut.append((middle, stop))
            stop = middle
        else:
            cut.append((start, middle))
            start, is_whole = middle, False
    if not is_whole:  # the verifier has the root of a perfect old tree
        cut.append((start, old_size))
    return [subtree(hash_at, *part) for part in reversed(cut)]


def path_len(index: int, size: int, /) -> int:
    """Return how many hashes an inclusion path has: for one index and size, exactly that many."""
    common = (index ^ (size - 1)).bit_length()
    return common + (index >> common).bit_count()


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether the path leads from a leaf hash at an index to the root of a tree of that size."""
    if not 0 <= index < size <= TREE_SIZE_MAX or len(path) != path_len(index, size):
        return False
    if any(len(one) != HASH_BYTES for one in (leaf, root, *path)):
        return False
    last = size - 1
    for beside in path:
        if index & 1 or index == last:
            leaf = node_hash(beside, leaf)
            while index and not index & 1:  # promoted over these levels
                index >>= 1
                last >>= 1
        else:
            leaf = node_hash(leaf, beside)
        index >>= 1
        last >>= 1
    return last == 0 and leaf == root


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the path proves that the newer tree begins with the older one.

    Every tree begins with the empty one: that needs no path, and is no evidence.
    """
    if not 0 <= old_size <= new_size <= TREE_SIZE_MAX:
        return False
    if any(len(one) != HASH_BYTES for one in (old_root, new_root, *path)):
        return False
    if old_size == new_size:
        return not path and old_root == new_root and (old_size > 0 or old_root == EMPTY_ROOT)
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    if not path:
        return False
    if old_size & (old_size - 1) == 0:
        path = [old_root, *path]  # a perfect old tree is itself the first node
    index, last = old_size - 1, new_size - 1
    while index & 1:
        index >>= 1
        last >>= 1
    old = new = path[0]
    for beside in path[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while index and not index & 1:
                index >>= 1
                last >>= 1
        else:
            new = node_hash(new, beside)
        index >>= 1
        last >>= 1
    return last == 0 and old == old_root and new == new_root


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
