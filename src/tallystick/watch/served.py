# SPDX-License-Identifier: Apache-2.0
"""A log as it is served: where it is read from, and a tree out of its tiles.

Nothing here is trusted. What is computed from tiles counts only where a path made of it leads to
the root of a signed checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from tallystick.crypto.merkle import HASH_BYTES, consistency, inclusion, subtree
from tallystick.errors import LogFormatError, UnreadableError
from tallystick.limits import TILES_CACHED_MAX
from tallystick.model.log_entry import ENTRY_BYTES
from tallystick.model.tile import TILE_WIDTH, Tile, hash_at, parse_bundle, width_in

CHECKPOINT: Final = "checkpoint"
SHEET: Final = "sheet"


class LogReader(Protocol):
    """Reads the resources of one log by their path below its prefix."""

    def get(self, path: str, /) -> bytes | None:
        """Return a body, or None where there is no such resource; else raise `UnreadableError`."""
        ...


class ServedTree:
    """The tree of one size, out of the tiles that a log serves."""

    def __init__(self, reader: LogReader, size: int) -> None:
        """Take whose tiles, and how many entries they are of."""
        self._reader = reader
        self.size: Final = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def hash_at(self, level: int, index: int) -> bytes:
        """Return the root of a perfect subtree."""
        return hash_at(self._tile, level, index)

    def root(self, size: int | None = None) -> bytes:
        """Return the head of the first entries, or of all."""
        return subtree(self.hash_at, 0, self.size if size is None else size)

    def leaf(self, index: int) -> bytes:
        """Return one leaf hash."""
        return self.hash_at(0, index)

    def inclusion(self, index: int) -> list[bytes]:
        """Return the path of one leaf."""
        return inclusion(self.hash_at, index, self.size)

    def consistency(self, old_size: int) -> list[bytes]:
        """Return the proof that this tree begins with one of `old_size`."""
        return consistency(self.hash_at, old_size, self.size)

    def _tile(self, level: int, number: int) -> bytes:
        known = self._tiles.get((level, number))
        if known is None:
            width = width_in(level, number, self.size)
            known = _fetched(self._reader, Tile(level, number, width))
            if len(known) < width * HASH_BYTES:
                raise UnreadableError(f"tile {number} of level {level} is too short")
            known = known[: width * HASH_BYTES]
            if len(self._tiles) >= TILES_CACHED_MAX:
                self._tiles.clear()
            self._tiles[level, number] = known
        return known


def served_entries(reader: LogReader, start: int, stop: int) -> Iterator[bytes]:
    """Yield the entries [start, stop) as bytes, bundle by bundle."""
    index = start
    while index < stop:
        number, skip = divmod(index, TILE_WIDTH)
        width = width_in(0, number, stop)
        data = _fetched(reader, Tile(None, number, width))
        # One that is longer than asked for is the whole one, which stands for its parts.
        count = width if len(data) == _bundle_bytes(width) else TILE_WIDTH
        try:
            entries = parse_bundle(data, count)
        except LogFormatError as fault:
            raise UnreadableError(f"bundle {number} of the log: {fault}") from None
        yield from entries[skip:width]
        index = number * TILE_WIDTH + width


def _bundle_bytes(count: int) -> int:
    return count * (2 + ENTRY_BYTES)


def _fetched(reader: LogReader, tile: Tile) -> bytes:
    data = reader.get(tile.path)
    if data is None and tile.width < TILE_WIDTH:
        # A log may drop a part once the whole is there.
        data = reader.get(Tile(tile.level, tile.number).path)
    if data is None:
        raise UnreadableError(f"the log does not serve {tile.path}, which its checkpoint implies")
    return data
