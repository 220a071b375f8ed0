# SPDX-License-Identifier: Apache-2.0
"""The last head of each chain, kept beside the key: a store that lacks one was rolled back.

What is written stands in the file at once and survives the end of this process; it is on stable
storage after `sync`, which head_sync.py calls each second, and at the end. So after a power cut the
file may be a second older than the store, and never newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tallystick.durable.file import Durable, FilePath, shown
from tallystick.durable.journal import Journal
from tallystick.errors import StoreError, WalCorruptError, WalError
from tallystick.limits import HEADS_BYTES_MAX, HEADS_SPENT_BYTES_MAX
from tallystick.model.chain import Head

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(list[tuple[str, int, str]]).decode


class HeadFile:
    """Owns the file. One thread at a time writes and shortens; others may sync."""

    def __init__(self, path: FilePath, *, durable: Durable | None = None) -> None:
        """Open the file or make it, and read what it holds."""
        try:
            self._journal = Journal(path, bytes_max=HEADS_BYTES_MAX, durable=durable)
        except WalCorruptError as error:
            raise _damaged(path, str(error)) from error
        except WalError as error:
            raise StoreError(f"the file of heads: {error}") from error
        self._heads: dict[str, tuple[int, str]] = {}
        self._spent_max = HEADS_SPENT_BYTES_MAX
        self._last = 0
        self._is_closed = False
        try:
            for item in self._journal.found:
                self._note(_DECODE(self._journal.read(item)))
        except (WalCorruptError, msgspec.MsgspecError) as error:
            self._journal.close()
            raise _damaged(path, f"{shown(path)} can't be read: {error}") from error
        except WalError as error:
            self._journal.close()
            raise StoreError(f"the file of heads can't be read: {error}") from error

    @property
    def heads(self) -> Mapping[str, tuple[int, str]]:
        """Sequence and hash of the last receipt of each chain, by the chain's id."""
        return self._heads

    def write(self, heads: Iterable[Head], closed: Iterable[str] = ()) -> None:
        """Write new heads into the file; chains that are over are left out when it is rewritten."""
        rows = [(one.chain_id, one.sequence, one.hash or "") for one in heads]
        try:
            self._last = self._journal.write(_ENCODE(rows)).position
        except WalError as error:
            raise StoreError(f"the file of heads: {error}") from error
        self._note(rows)
        self.leave_out(closed)

    def leave_out(self, closed: Iterable[str]) -> None:
        """Forget chains that are over; they stand in the file until it is rewritten."""
        for chain_id in closed:
            self._heads.pop(chain_id, None)

    def sync(self) -> None:
        """Return when what was written is on stable storage; at the end there is nothing to do."""
        try:
            if not self._is_closed:
                self._journal.sync(self._last)
        except WalError as error:
            if not self._is_closed:
                raise StoreError(f"the file of heads: {error}") from error

    def shorten(self) -> None:
        """Write the file anew where most of it is no longer needed."""
        if self._journal.size <= self._spent_max:
            return
        rows = [(name, sequence, digest) for name, (sequence, digest) in self._heads.items()]
        try:
            self._journal.compact([self._journal.write(_ENCODE(rows), may_exceed=True)])
        except WalError as error:
            raise StoreError(f"the file of heads: {error}") from error
        # Where most of the file is needed, rewriting it again soon would only cost.
        self._spent_max = max(HEADS_SPENT_BYTES_MAX, 2 * self._journal.size)

    def close(self) -> None:
        """Make stable what is not yet, and let go of the file."""
        self._is_closed = True
        try:
            self._journal.close()
        except WalError as error:
            raise StoreError(f"the file of heads: {error}") from error

    def _note(self, rows: Iterable[tuple[str, int, str]]) -> None:
        for chain_id, sequence, digest in rows:
            self._heads[chain_id] = (sequence, digest)


def _damaged(path: FilePath, why: str) -> StoreError:
    return StoreError(
        f"the file of heads: {why}. Hold the store against a proof or an export from elsewhere "
        f"(`tally verify --proof`), then move {shown(path)} away and keep it: the next start takes "
        "the store as it is, can't see whether it was rolled back, and begins a new file"
    )
