# SPDX-License-Identifier: Apache-2.0
"""The tree over the entries: leaves become its edge, and full tiles, written once."""

from __future__ import annotations

from tallystick.crypto.merkle import Edge, perfect_root
from tallystick.errors import StoreCorruptError
from tallystick.store.log_reads import leaves_of, tile_roots
from tallystick.store.sql import Access, Row


def edge_of(size: int, stored: bytes) -> Edge:
    """Return the right edge of the tree as it is stored."""
    if len(stored) != 32 * size.bit_count():
        raise StoreCorruptError(f"the edge of the tree of size {size} has another length")
    return Edge(size, [stored[at : at + 32] for at in range(0, len(stored), 32)])


def integrate(access: Access, edge: Edge, stop: int) -> None:
    """Add leaves up to `stop`, with each tile that they fill."""
    size = edge.size
    if stop == size:
        return
    base = size // 256 * 256
    leaves = leaves_of(access, base, stop)
    if len(leaves) != stop - base:
        raise StoreCorruptError(f"entries {base} to {stop - 1} have gaps")
    tiles: list[Row] = []
    for number in range(base // 256, stop // 256):
        row = leaves[number * 256 - base : number * 256 - base + 256]
        root = perfect_root(row)
        if number * 256 < size:
            edge.extend(row[size % 256 :])
        else:
            edge.append_subtree(root, 8)
        tiles.append((0, number, root, b"".join(row)))
    edge.extend(leaves[edge.size - base :])
    _insert_tiles(access, tiles)
    level = 1
    first, last = base // 256, stop // 256  # tiles that the level below has gained
    while last // 256 > first // 256:
        tiles = []
        for number in range(first // 256, last // 256):
            row = tile_roots(access, level - 1, number * 256, number * 256 + 256)
            tiles.append((level, number, perfect_root(row), b"".join(row)))
        _insert_tiles(access, tiles)
        level, first, last = level + 1, first // 256, last // 256
    access.run("UPDATE tree SET size = ?, edge = ? WHERE one = 1", (stop, b"".join(edge.hashes)))


def _insert_tiles(access: Access, tiles: list[Row]) -> None:
    access.insert("INSERT INTO tile (level, number, root, hashes)", tiles)


def head_of(access: Access, edge: Edge) -> bytes:
    """Return the tree's head; a size that was signed before must have the head that it had."""
    root = edge.root()
    rows = access.rows("SELECT root FROM head WHERE size = ?", (edge.size,))
    if not rows:
        access.insert("INSERT INTO head (size, root)", [(edge.size, root)])
    elif bytes(rows[0][0]) != root:
        raise StoreCorruptError(f"the tree of size {edge.size} had another head before")
    return root
