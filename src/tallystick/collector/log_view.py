# SPDX-License-Identifier: Apache-2.0
"""What anybody may read of a log: its checkpoint, tiles, entries and proofs.

Nothing is shown that the newest released checkpoint does not imply, and what was shown once never
changes: of all this the checkpoint alone is news. No receipt is in here, only hashes.

Several processes may share a store, and a reader may come to one after the other: none shows less
than another has shown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tallystick.collector.log_keys import LogKeys
from tallystick.crypto.merkle import HASH_BYTES, consistency, inclusion, subtree
from tallystick.crypto.multibase import b64_encode
from tallystick.errors import StoreCorruptError
from tallystick.limits import TILES_CACHED_MAX
from tallystick.model.log_proof import LogProof
from tallystick.model.submission import Intent
from tallystick.model.tile import TILE_WIDTH, encode_bundle, hash_at, width_in
from tallystick.ports import LogStore


class LogView:
    """A log as its readers see it. May be asked from several threads."""

    def __init__(
        self, store: LogStore, keys: LogKeys, *, catch_up: Callable[[], None] = lambda: None
    ) -> None:
        """Show nothing yet; `catch_up` is to publish what another process has released since."""
        self._store = store
        self._catch_up = catch_up
        self.sheet: Final = keys.sheet
        self.origin: Final = keys.origin
        self._newest: Intent | None = None
        self._tiles: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    @property
    def newest(self) -> Intent | None:
        """The checkpoint that is shown, or None before the first."""
        return self._newest

    @property
    def size(self) -> int:
        """How many entries are to be seen."""
        return self._newest.size if self._newest is not None else 0

    def current(self) -> Intent | None:
        """Return the newest checkpoint that any process shows, or None before the first."""
        self._catch_up()
        return self._newest

    def reaches(self, size: int) -> bool:
        """Whether a checkpoint covers so many entries, here or at another process."""
        if size > self.size:
            self._catch_up()
        return size <= self.size

    def publish(self, made: Intent) -> None:
        """Show a released checkpoint; never an older one than before."""
        if self._newest is None or made.number > self._newest.number:
            self._newest = made

    def tile(self, level: int, number: int, width: int) -> bytes | None:
        """Return the first hashes of a tile, or None where the checkpoint has no such tile."""
        covered = (number * TILE_WIDTH + width) * TILE_WIDTH**level
        if not self.reaches(covered):
            return None
        return self._tile(level, number)[: width * HASH_BYTES]

    def bundle(self, number: int, width: int) -> bytes | None:
        """Return the entries of a bundle, or None where the checkpoint does not cover them."""
        start = number * TILE_WIDTH
        if not self.reaches(start + width):
            return None
        return encode_bundle(self._store.entries(start, start + width))

    def hash_at(self, level: int, index: int) -> bytes:
        """Return the root of a perfect subtree below the size that is shown."""
        return hash_at(self._tile, level, index)

    def root(self, size: int) -> bytes:
        """Return the head of the first `size` entries."""
        return subtree(self.hash_at, 0, size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the path from a leaf to the head of `size` entries; both must be to be seen."""
        return inclusion(self.hash_at, index, size)

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Return the proof that the tree of one size begins with that of another."""
        return consistency(self.hash_at, old_size, new_size)

    def leaf(self, index: int) -> bytes:
        """Return the leaf hash of one entry."""
        return self.hash_at(0, index)

    def proof_file(self, index: int, size: int | None = None) -> bytes | None:
        """Return the `.tlog-proof` of an entry under a checkpoint, or None without such a one."""
        under = self._newest if size is None else self._store.checkpoint_of(size)
        if under is None or under.note is None or index >= under.size:
            return None
        if not self.reaches(under.size):
            return None
        path = tuple(self.inclusion(index, under.size))
        entry = self._store.entries(index, index + 1)[0]
        return LogProof(index=index, path=path, note=under.note, extra=entry).encode()

    def _tile(self, level: int, number: int) -> bytes:
        """Return what is to be seen of a tile; a full one is remembered, since it never changes."""
        known = self._tiles.get((level, number))
        if known is not None:
            return known
        width = width_in(level, number, self.size)
        data = self._store.tile(level, number, width) if width else b""
        if data is None or len(data) != width * HASH_BYTES:
            raise StoreCorruptError(f"tile {number} of level {level} is not whole in the store")
        if width == TILE_WIDTH:
            self._tiles[level, number] = data
            while len(self._tiles) > TILES_CACHED_MAX:
                self._tiles.popitem(last=False)
        return data


def encoded(hashes: list[bytes]) -> list[str]:
    """Return hashes as JSON carries them."""
    return [b64_encode(one) for one in hashes]
