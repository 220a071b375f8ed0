# SPDX-License-Identifier: Apache-2.0
"""Tiles: published paths, geometry and contents; proofs out of tiles alone."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.logs import lookup, needs_vectors, numbered, vectors

from tallystick.crypto.merkle import (
    HASH_BYTES,
    consistency,
    inclusion,
    subtree,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from tallystick.errors import LogFormatError
from tallystick.limits import TREE_SIZE_MAX
from tallystick.model.tile import (
    TILE_WIDTH,
    Tile,
    encode_bundle,
    hash_at,
    new_tiles,
    number_path,
    parse_bundle,
    parse_tile_path,
    tile_root,
    tiles_of,
    width_in,
)


def tile_bytes(leaves: list[bytes], level: int, number: int) -> bytes:
    """Return a tile by definition, as wide as the tree allows."""
    span = TILE_WIDTH**level
    found = lookup(leaves)
    first = number * TILE_WIDTH
    last = min(first + TILE_WIDTH, len(leaves) // span)
    return b"".join(found(8 * level, place) for place in range(first, last))


@needs_vectors
def test_published_paths() -> None:
    """Numbers are spelled as published, and paths accepted or refused as published."""
    published = vectors()["tiles"]
    assert len(published["index_encoding"]) == 11
    for number, text in published["index_encoding"].items():
        assert number_path(int(number)) == text
    assert (len(published["accept"]), len(published["reject_404"])) == (7, 20)
    for path in published["accept"]:
        tile = parse_tile_path(path)
        assert tile is not None
        assert tile.path == path
    for path in published["reject_404"]:
        assert parse_tile_path(path) is None, path


@needs_vectors
def test_published_geometry() -> None:
    """A tree of each size has the published tiles, and gains the published ones by growing."""
    published = vectors()["tiles"]
    for size, rows in published["tiles_of_size"].items():
        tiles = list(tiles_of(int(size)))
        for row in rows:
            mine = [tile for tile in tiles if tile.level == row["level"]]
            full = [tile for tile in mine if tile.width == TILE_WIDTH]
            widths = [tile.width for tile in mine if tile.width < TILE_WIDTH]
            assert len(full) == row["full"]
            assert (widths or [0]) == [row["partial_width"]]
        assert {tile.level for tile in tiles} == {row["level"] for row in rows}
    for row in published["new_tiles"]:
        paths = [tile.path for tile in new_tiles(row["old"], row["new"])]
        if "write" in row:
            assert paths == row["write"]
        else:
            assert len(paths) == row["count"]
            assert paths[-len(row["last"]) :] == row["last"]


@needs_vectors
def test_published_contents() -> None:
    """Hash tiles and bundles of the published log have the published bytes."""
    published = vectors()["tiles"]
    leaves = numbered(70_000)
    assert len(published["hash_tiles"]) > 5
    for row in published["hash_tiles"]:
        tile = parse_tile_path(row["path"])
        assert tile is not None
        assert tile.level is not None
        data = tile_bytes(leaves, tile.level, tile.number)[: tile.width * HASH_BYTES]
        assert len(data) == row["bytes"]
        assert sha256(data).hexdigest() == row["sha256"]
    for row in published["entry_bundles"]:
        tile = parse_tile_path(row["path"])
        assert tile is not None
        assert tile.level is None
        first = tile.number * TILE_WIDTH
        entries = [b"leaf%d" % number for number in range(first, first + tile.width)]
        data = encode_bundle(entries)
        assert (len(data), sha256(data).hexdigest()) == (row["bytes"], row["sha256"])
        assert parse_bundle(data, tile.width) == entries


@pytest.mark.parametrize("size", [1, 5, 255, 256, 257, 300, 70_000])
def test_proofs_out_of_tiles(size: int) -> None:
    """Whoever has the tiles of a tree can make every proof and compute every head."""
    leaves = numbered(size)
    tiles = {
        (tile.level, tile.number): tile_bytes(leaves, tile.level or 0, tile.number)
        for tile in tiles_of(size)
    }
    find = partial(hash_at, lambda level, number: tiles[level, number])
    root = subtree(find, 0, size)
    assert root == tree_root(leaves)
    for place in {1, size // 3 or 1, size}:
        assert verify_inclusion(
            leaves[place - 1], place - 1, size, inclusion(find, place - 1, size), root
        )
        path = consistency(find, place, size)
        assert verify_consistency(place, size, tree_root(leaves[:place]), root, path)


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_growing_once_or_twice(one: int, other: int) -> None:
    """Tiles gained on the way from 0 are those of the size: each is as wide as `width_in` says."""
    small, size = sorted((one % 3000, other % 3000))
    gained = {(tile.level, tile.number): tile.width for tile in new_tiles(0, small)}
    gained |= {(tile.level, tile.number): tile.width for tile in new_tiles(small, size)}
    assert gained == {(tile.level, tile.number): tile.width for tile in tiles_of(size)}
    for (level, number), width in gained.items():
        assert level is not None
        assert width == width_in(level, number, size)
    assert width_in(63, 0, TREE_SIZE_MAX) == width_in(0, 1, 256) == width_in(64, 0, 5) == 0
    assert width_in(7, 0, TREE_SIZE_MAX) == 127


@given(st.integers(0, 63) | st.none(), st.integers(0, 2**64 - 1), st.integers(1, TILE_WIDTH))
def test_each_tile_has_one_path(level: int | None, number: int, width: int) -> None:
    """What is written is read."""
    tile = Tile(level, number, width)
    assert parse_tile_path(tile.path) == tile


@given(st.text("tile/entrsx0123456789.p", max_size=40).map(lambda text: f"tile/{text}"))
def test_each_path_is_one_tiles(path: str) -> None:
    """What is read writes itself."""
    tile = parse_tile_path(path)
    assert tile is None or tile.path == path


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/" + "x000/" * 100 + "000",
        "tile/0/000.p/256",
        "/tile/0/000",
        "tile/0/000 ",
    ],
)
def test_no_tile(path: str) -> None:
    """Numbers from 2^64 on, and paths that no tile has."""
    assert parse_tile_path(path) is None


def test_a_short_tile_is_a_fault() -> None:
    """A tile that lacks what the tree has is refused, and not read as another tree."""
    leaves = numbered(300)
    short = {0: b"".join(leaves[:256]), 1: b"".join(leaves[256:299])}
    find = partial(hash_at, lambda level, number: short[number])
    assert find(5, 8) == tree_root(leaves[256:288])
    with pytest.raises(LogFormatError, match="shorter"):
        find(0, 299)
    assert tile_root(short[0]) == tree_root(leaves[:256])


@pytest.mark.parametrize("data", [b"\0", b"\0\5leaf", b"\0\1a\0", b"", b"\0\1a\0\1b"])
def test_bundles_that_are_none(data: bytes) -> None:
    """A bundle ends with an entry, and has as many as are asked for."""
    with pytest.raises(LogFormatError):
        parse_bundle(data, 1)


def test_entries_have_a_length_of_two_bytes() -> None:
    """The longest entry fits, and no longer one."""
    longest = b"x" * 0xFFFF
    assert parse_bundle(encode_bundle([longest, b""]), 2) == [longest, b""]
    with pytest.raises(LogFormatError):
        encode_bundle([longest + b"x"])
