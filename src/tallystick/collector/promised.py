# SPDX-License-Identifier: Apache-2.0
"""What this log last promised, in a file beside the record of what it last signed.

A checkpoint covers what was promised only a second later. A store that was restored, or promoted
from a standby, within that second has all that was signed and lacks what was promised: it would
give the same places out again, and convict its log. So the newest batch is noted before its first
promise leaves.

Without fsync, since each commit would wait for it: the note outlives the process, not the machine.
What a power cut leaves of it is checked by its sum, and counts for nothing where it is damaged.
"""

from __future__ import annotations

import os
import re
from binascii import a2b_base64, b2a_base64
from hashlib import sha256
from typing import Final

from tallystick.crypto.merkle import HASH_BYTES, tree_root
from tallystick.durable.file import FilePath, read_bounded, reason_of, shown
from tallystick.errors import StoreError
from tallystick.limits import NOTE_BYTES_MAX
from tallystick.model.submission import Batch
from tallystick.ports import LogStore

_FORM: Final = re.compile(
    r"(tally-promised/v1\n"
    r"origin ([^\n]+)\n"
    r"range ([0-9]{19}) ([0-9]{19})\n"
    r"root ([A-Za-z0-9+/]{43}=)\n)"
    r"sum ([0-9a-f]{64})\n",
    re.ASCII,
)


class Promised:
    """Notes the newest batch of one process; `note` belongs to one thread."""

    def __init__(self, guard_path: FilePath, origin: str) -> None:
        """Take where the guard's record lies: this one is beside it."""
        self.path: Final = f"{os.fspath(guard_path)}.promised"
        self._origin = origin
        self._file: int | None = None
        self._newest: Batch | None = None

    def fault(self, store: LogStore) -> str | None:
        """Say what a store lacks of what was promised here, or None.

        A running process asks, too: a database may be replaced by a standby under it.
        """
        newest = self._newest
        known = self._read() if newest is None else (newest.start, newest.stop, newest.root)
        if known is None:
            return None
        start, stop, root = known
        there = store.leaf_hashes(start, stop) if store.next_index() >= stop else b""
        leaves = [there[at : at + HASH_BYTES] for at in range(0, len(there), HASH_BYTES)]
        if len(leaves) == stop - start and tree_root(leaves) == root:
            return None
        return f"lacks the entries {start} to {stop - 1} that were already promised"

    def note(self, batch: Batch) -> None:
        """Return when the batch is noted, or raise `StoreError`: then nothing may be promised."""
        self._newest = batch
        root = b2a_base64(batch.root, newline=False).decode()
        text = (
            f"tally-promised/v1\norigin {self._origin}\n"
            f"range {batch.start:019d} {batch.stop:019d}\nroot {root}\n"
        ).encode()
        data = text + f"sum {sha256(text).hexdigest()}\n".encode()
        try:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._file = os.open(self.path, flags, 0o600)
            if os.pwrite(self._file, data, 0) != len(data):  # of one length for one origin
                raise StoreError(f"{shown(self.path)} could not be written: the disk is full")
        except OSError as fault:
            raise StoreError(
                f"{shown(self.path)} could not be written: {reason_of(fault)}"
            ) from fault

    def close(self) -> None:
        """Let go of the file; again does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self) -> tuple[int, int, bytes] | None:
        if not os.path.lexists(self.path):
            return None
        data = read_bounded(self.path, NOTE_BYTES_MAX)
        found = _FORM.fullmatch(data.decode("utf-8", "replace"))
        if found is None or sha256(found[1].encode()).hexdigest() != found[6]:
            return None
        if found[2] != self._origin:
            return None  # of another log: the guard's record says so in words
        start, stop = int(found[3]), int(found[4])
        return (start, stop, a2b_base64(found[5])) if start < stop else None
