# SPDX-License-Identifier: Apache-2.0
"""What a monitor remembers of a log between two looks: enough to notice any other past.

The edge of the tree stands for all entries so far: a larger tree has this beginning or another
root. The file is replaced in one step, so that a crash leaves the old memory or the new.
"""

from __future__ import annotations

import os
from typing import Final, Literal

import msgspec

from tallystick.crypto.merkle import Edge
from tallystick.crypto.note import VerifierKey
from tallystick.durable.file import FilePath, read_bounded, shown, write_replace
from tallystick.errors import RefusedInput, UnreadableError
from tallystick.limits import MONITOR_STATE_BYTES_MAX
from tallystick.model.sheet import parse_sheet
from tallystick.watch.spoken import Spoken, heard

# What was remembered is what a log is held to: whoever gives it up should know.
_AWAY: Final = (
    "put a copy of it back, or name a new file: then the log is not held to what it said before"
)


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["tally-monitor/v1"]
    log: str
    sheet: str
    checkpoint: str
    edge: list[bytes]
    last_entry: bytes | None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A log up to its newest checkpoint that was recomputed and found in order."""

    sheet: bytes
    spoken: Spoken
    edge: tuple[bytes, ...]
    last_entry: bytes | None  # None for an empty log

    def tree(self) -> Edge:
        """Return the tree so far, ready to grow."""
        return Edge(self.spoken.size, self.edge)


def load_seen(path: FilePath, log_key: VerifierKey) -> Seen | None:
    """Return what was remembered, checked again under the key, or None where nothing was."""
    if not os.path.lexists(path):
        return None
    data = read_bounded(path, MONITOR_STATE_BYTES_MAX)
    try:
        found = msgspec.json.decode(data, type=_File)
        if found.log != log_key.encode():
            raise UnreadableError(
                f"{shown(path)} is the memory of another log, {found.log}; {_AWAY}"
            )
        sheet = parse_sheet(found.sheet.encode(), log_key)
        seen = Seen(
            sheet=found.sheet.encode(),
            spoken=heard(found.checkpoint.encode(), log_key, sheet),
            edge=tuple(found.edge),
            last_entry=found.last_entry,
        )
        if seen.tree().root() != seen.spoken.root:
            raise UnreadableError(f"{shown(path)} contradicts itself: it was changed; {_AWAY}")
    except (msgspec.MsgspecError, RefusedInput) as fault:
        raise UnreadableError(
            f"{shown(path)} is no memory of a monitor: {fault}; {_AWAY}"
        ) from None
    return seen


def save_seen(path: FilePath, log_key: VerifierKey, seen: Seen) -> None:
    """Return when the memory is on stable storage."""
    file = _File(
        type="tally-monitor/v1",
        log=log_key.encode(),
        sheet=seen.sheet.decode(),
        checkpoint=seen.spoken.note.decode(),
        edge=list(seen.edge),
        last_entry=seen.last_entry,
    )
    write_replace(path, msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n", 0o600)
