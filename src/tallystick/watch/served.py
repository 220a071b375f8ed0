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
from tallystick.model.tile import TILE_WIDTH, bundle_path, hash_in, parse_bundle, tile_path

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
        tile_level, rest = divmod(level, 8)
        return hash_in(self._tile(tile_level, (index << rest) // TILE_WIDTH), level, index)

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
            width = min(TILE_WIDTH, (self.size >> (8 * level)) - number * TILE_WIDTH)
            known = self._fetch(level, number, width)
            if len(self._tiles) >= TILES_CACHED_MAX:
                self._tiles.clear()
            self._tiles[level, number] = known
        return known

    def _fetch(self, level: int, number: int, width: int) -> bytes:
        path = tile_path(level, number, width)
        data = self._reader.get(path)
        if data is None and width < TILE_WIDTH:
            # A log may drop a part once the whole tile is there.
            data = self._reader.get(tile_path(level, number, TILE_WIDTH))
        if data is None:
            raise UnreadableError(f"the log does not serve {path}, which its checkpoint implies")
        if len(data) < width * HASH_BYTES:
            raise UnreadableError(f"{path} has {len(data)} bytes, not {width * HASH_BYTES}")
        return data[: width * HASH_BYTES]


def served_entries(reader: LogReader, start: int, stop: int) -> Iterator[bytes]:
    """Yield the entries [start, stop) as bytes, bundle by bundle."""
    index = start
    while index < stop:
        number, skip = divmod(index, TILE_WIDTH)
        width = min(TILE_WIDTH, stop - number * TILE_WIDTH)
        path = bundle_path(number, width)
        data = reader.get(path)
        if data is None and width < TILE_WIDTH:
            data = reader.get(bundle_path(number, TILE_WIDTH))
        if data is None:
            raise UnreadableError(f"the log does not serve {path}, which its checkpoint implies")
        try:
            entries = parse_bundle(data)
        except LogFormatError as fault:
            raise UnreadableError(f"{path}: {fault}") from None
        if len(entries) < width:
            raise UnreadableError(f"{path} has {len(entries)} entries, not {width}")
        yield from entries[skip:width]
        index = number * TILE_WIDTH + width
