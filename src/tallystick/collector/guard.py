# SPDX-License-Identifier: Apache-2.0
"""What this log last said, in a file beside its keys: a store that forgot it does not start.

A store that was restored from a backup, or promoted from a standby that lagged, gives indexes and
sizes out a second time, under the same keys: whoever kept the first ones can convict the log. So
before a checkpoint becomes visible, its number, time, size and root go to stable storage here, and
at start the store must still have them.

The file belongs to the machine, and not into the backup of the store: restored together, the two
would agree.
"""

from __future__ import annotations

import os
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Final

import msgspec

from tallystick.crypto.merkle import HASH_BYTES
from tallystick.durable.file import FilePath, Fsync, read_bounded, shown, write_replace
from tallystick.errors import LogRolledBackError, StoreCorruptError
from tallystick.limits import NOTE_BYTES_MAX, TREE_SIZE_MAX
from tallystick.model.submission import Intent
from tallystick.ports import LogStore

# Where the record lies, beside the keys of its log.
GUARD_FILE: Final = "released"

_FORM: Final = re.compile(
    r"tally-released/v1\n"
    r"origin ([^\n]+)\n"
    r"number (0|[1-9][0-9]{0,18})\n"
    r"time (0|[1-9][0-9]{0,18})\n"
    r"size (0|[1-9][0-9]{0,18})\n"
    r"root ([A-Za-z0-9+/]{43}=)\n",
    re.ASCII,
)
_WHAT_TO_DO: Final = (
    "promises may be out that it does not know, so this origin must not sign again: open the next "
    "one (docs/howto/run-a-collector.md, Backup)"
)


class LastWord(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint that left this machine; number 0 before the first one."""

    origin: str
    number: int
    time_s: int
    size: int
    root: bytes

    def encode(self) -> bytes:
        """Return the file's content."""
        root = b2a_base64(self.root, newline=False).decode()
        return (
            f"tally-released/v1\norigin {self.origin}\nnumber {self.number}\n"
            f"time {self.time_s}\nsize {self.size}\nroot {root}\n"
        ).encode()


class Guard:
    """Keeps the last word of one log, and holds the store to it."""

    def __init__(self, path: FilePath, origin: str, *, fsync: Fsync = os.fsync) -> None:
        """Take where the file is, or will be."""
        self.path = path
        self._origin = origin
        self._fsync = fsync

    def read(self) -> LastWord | None:
        """Return what was last said, or None where there is no file."""
        if not os.path.lexists(self.path):
            return None
        data = read_bounded(self.path, NOTE_BYTES_MAX)
        found = _FORM.fullmatch(data.decode("utf-8", "replace"))
        if found is None:
            raise StoreCorruptError(f"{shown(self.path)} is not what this collector writes there")
        origin, number, time_s, size, root_text = found.groups()
        try:
            root = a2b_base64(root_text)
        except Base64Error:
            root = b""
        if len(root) != HASH_BYTES or int(size) > TREE_SIZE_MAX:
            raise StoreCorruptError(f"{shown(self.path)} is not what this collector writes there")
        if origin != self._origin:
            raise LogRolledBackError(
                f"{shown(self.path)} belongs to the log {origin!r}, and the keys to "
                f"{self._origin!r}; a log keeps its directory to itself"
            )
        return LastWord(
            origin=origin, number=int(number), time_s=int(time_s), size=int(size), root=root
        )

    def record(self, said: Intent) -> None:
        """Return when the checkpoint is kept; only then may anybody see it.

        Processes of one machine may share the file: it does not go back to an older word.
        """
        known = self.read()
        if known is not None and known.number >= said.number:
            return
        self._write(
            LastWord(
                origin=self._origin,
                number=said.number,
                time_s=said.time_s,
                size=said.size,
                root=said.root,
            )
        )

    def check(self, store: LogStore) -> None:
        """Return when the store has what was last said, or raise `LogRolledBackError`.

        A store that is empty and was never spoken for is a first start.
        """
        known = self.read()
        newest = store.pending() or store.released()
        if known is None:
            if newest is not None or store.next_index():
                raise LogRolledBackError(
                    f"the store holds a log, and {shown(self.path)} is missing, so nobody knows "
                    "whether the store is the newest; run `tally collector reconcile`"
                )
            root = bytes(HASH_BYTES)
            self._write(LastWord(origin=self._origin, number=0, time_s=0, size=0, root=root))
            return
        self.hold(store)

    def hold(self, store: LogStore) -> None:
        """Raise `LogRolledBackError` where a store that is open lacks what was last said.

        A database may be replaced by a standby under a running process.
        """
        known = self.read()
        fault = fault_of(known, store) if known is not None else None
        if fault is not None:
            raise LogRolledBackError(f"the store {fault}; {_WHAT_TO_DO}")

    def _write(self, word: LastWord) -> None:
        write_replace(self.path, word.encode(), 0o600, fsync=self._fsync)


def fault_of(known: LastWord, store: LogStore) -> str | None:
    """Say what a store lacks of what was said, or None where it has all of it."""
    if known.number == 0:
        return None
    pending = store.pending()
    newest = pending or store.released()
    if newest is None or newest.number < known.number:
        have = 0 if newest is None else newest.number
        return f"ends at checkpoint {have}, and checkpoint {known.number} was already given out"
    if store.next_index() < known.size:
        return f"has {store.next_index()} entries, and {known.size} were already signed"
    same_size = newest if newest.size == known.size else store.checkpoint_of(known.size)
    if same_size is None or same_size.root != known.root:
        return f"holds another tree of size {known.size} than the one that was already signed"
    if newest.number == known.number and newest.time_s != known.time_s:
        return f"gives checkpoint {known.number} another time than the one that was signed"
    return None
