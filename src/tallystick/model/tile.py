# SPDX-License-Identifier: Apache-2.0
"""Tiles (C2SP tlog-tiles): the pieces of 256 in which a log's tree and entries are served.

Hash k of tile (L, N) is the root over leaves [(256·N + k) · 256^L, (256·N + k + 1) · 256^L). So
level 0 holds leaf hashes, each level above the roots of full tiles only. A bundle holds the entries
of the tile of level 0 with its number. Tiles are written once; a partial one is the beginning of
the full one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from tallystick.crypto.merkle import HASH_BYTES, node_hash
from tallystick.errors import LogFormatError
from tallystick.limits import TREE_SIZE_MAX

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
# 256^8 is above TREE_SIZE_MAX: no log of ours reaches level 8, though paths may name up to 63.
_LEVELS: Final = 8
_LEVEL_MAX: Final = 63
_NUMBER_MAX: Final = 2**64 - 1
_ENTRY_BYTES_MAX: Final = 0xFFFF

_PATH: Final = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)
# 7 groups of three digits hold 2^64; nobody has to read a longer one.
_PATH_CHARS_MAX: Final = 64

# Gives the hashes of tile (level, number), at least up to the one that is asked for.
TileAt: TypeAlias = Callable[[int, int], bytes]


class Tile(msgspec.Struct, frozen=True):
    """A hash tile, or with level None a bundle of entries."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Where it is served, below the log's prefix."""
        level = "entries" if self.level is None else self.level
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number_path(self.number)}{partial}"


def number_path(number: int) -> str:
    """Return a tile's number in groups of three digits, all but the last marked with an x."""
    assert 0 <= number <= _NUMBER_MAX
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def parse_tile_path(path: str) -> Tile | None:
    """Return the tile of a path, or None for anything that is not the one path of a tile."""
    if len(path) > _PATH_CHARS_MAX:
        return None
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    level, groups, width = found.groups()
    number = int(groups.replace("x", "").replace("/", ""))
    if number > _NUMBER_MAX or int(width or 1) >= TILE_WIDTH:
        return None
    tile = Tile(
        None if level == "entries" else int(level),
        number,
        TILE_WIDTH if width is None else int(width),
    )
    return tile if tile.path == path else None  # x000/001 would be a second path


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield the hash tiles of a tree, level by level; those of level 0 have bundles beside them."""
    return new_tiles(0, size)


def new_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """Yield the hash tiles that a tree has gained by growing, level by level."""
    assert 0 <= old_size <= new_size <= TREE_SIZE_MAX
    for level in range(_LEVELS):
        old, new = old_size >> TILE_HEIGHT * level, new_size >> TILE_HEIGHT * level
        if old == new:
            return
        for number in range(old // TILE_WIDTH, -(-new // TILE_WIDTH)):
            yield Tile(level, number, min(TILE_WIDTH, new - TILE_WIDTH * number))


def width_in(level: int, number: int, size: int) -> int:
    """Return how many hashes tile (level, number) has in a tree of that size, 0 for none."""
    hashes = size >> TILE_HEIGHT * level if level <= _LEVEL_MAX else 0
    return max(0, min(TILE_WIDTH, hashes - TILE_WIDTH * number))


def hash_at(tile: TileAt, level: int, index: int) -> bytes:
    """Return the root of the perfect subtree (level, index) out of tiles: `HashAt` for proofs."""
    tile_level, rise = divmod(level, TILE_HEIGHT)
    number, place = divmod(index << rise, TILE_WIDTH)
    data = tile(tile_level, number)[HASH_BYTES * place : HASH_BYTES * (place + (1 << rise))]
    if len(data) != HASH_BYTES << rise:
        raise LogFormatError(f"tile ({tile_level}, {number}) is shorter than the tree needs")
    return tile_root(data)


def tile_root(hashes: bytes) -> bytes:
    """Return the root over the hashes of a tile, whose number is a power of two."""
    row = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
    assert row and len(row) & (len(row) - 1) == 0
    while len(row) > 1:
        row = [node_hash(left, right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries one after the other, each with its length before it."""
    parts = []
    for entry in entries:
        if len(entry) > _ENTRY_BYTES_MAX:
            raise LogFormatError(f"an entry has at most {_ENTRY_BYTES_MAX} bytes")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def parse_bundle(data: bytes, count: int) -> list[bytes]:
    """Return the entries of a bundle that must hold so many."""
    entries = []
    at = 0
    while at < len(data):
        stop = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if stop > len(data) or at + 2 > len(data):
            raise LogFormatError("bundle ends within an entry")
        entries.append(data[at + 2 : stop])
        at = stop
    if len(entries) != count:
        raise LogFormatError(f"bundle holds {len(entries)} entries, not {count}")
    return entries
