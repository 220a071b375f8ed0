# SPDX-License-Identifier: Apache-2.0
"""What a log has said about itself, opened under keys that the reader brought."""

from __future__ import annotations

import msgspec

from tallystick.crypto.note import VerifierKey
from tallystick.errors import LogFormatError
from tallystick.model.checkpoint import open_checkpoint
from tallystick.model.sheet import Sheet


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint of a log, with the log's own time: the bytes, and what they say."""

    note: bytes
    size: int
    root: bytes
    time_s: int


def heard(note: bytes, log_key: VerifierKey, sheet: Sheet) -> Spoken:
    """Return a checkpoint that the log and its time key signed, or raise `LogFormatError`."""
    found = open_checkpoint(note, log_key, sheet.time_key)
    if found.time_s is None:
        raise LogFormatError("checkpoint without the time that its log gives it")
    return Spoken(note=note, size=found.size, root=found.root, time_s=found.time_s)
