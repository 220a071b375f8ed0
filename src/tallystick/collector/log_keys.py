# SPDX-License-Identifier: Apache-2.0
"""The three keys of a log and the sheet that binds them, in one directory.

    log.key      signs checkpoints and the sheet          log.vkey   its public half, to hand out
    time.key     signs when a checkpoint was made         sheet      the note that names them all
    promise.key  signs promises                           predecessor   the last checkpoint of
                                                          the log before this one, if any

None of them signs a receipt, and none does another's work. One origin has one sheet for ever: a new
key or another delay is a new origin.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import nacl.utils

from tallystick.collector.succession import succession
from tallystick.crypto.note import (
    PLAIN,
    TIMED,
    NoteKey,
    name_fault,
    private_key_text,
    sign_note,
)
from tallystick.durable.file import (
    FilePath,
    make_directory,
    read_bounded,
    shown,
    write_new,
)
from tallystick.errors import KeyFileError, KeyFormatError, RefusedInput
from tallystick.keys.file import read_key_file
from tallystick.limits import NOTE_BYTES_MAX, PROMISE_DELAY_MS_MAX
from tallystick.model.checkpoint import Checkpoint
from tallystick.model.promise import Promise
from tallystick.model.sheet import Sheet, parse_sheet
from tallystick.model.submission import Batch, Intent

LOG_KEY: Final = "log.key"
TIME_KEY: Final = "time.key"
PROMISE_KEY: Final = "promise.key"
SHEET: Final = "sheet"
VKEY: Final = "log.vkey"
PREDECESSOR: Final = "predecessor"
DEFAULT_MAX_DELAY_MS: Final = 60_000

_SEED_BYTES: Final = 32


class LogKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a log signs with, and what it tells others about that."""

    log: NoteKey
    time: NoteKey
    promise: NoteKey
    sheet: bytes  # the signed note
    max_delay_ms: int
    predecessor: bytes | None = None  # the note that entry 0 commits to

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.log.name

    @property
    def vkey(self) -> str:
        """The public log key: all that a judge needs to be given."""
        return self.log.verifier.encode()

    def checkpoint_note(self, intent: Intent) -> bytes:
        """Return the signed checkpoint of an intent, which is durable by now: same bytes always."""
        text = Checkpoint(origin=self.origin, size=intent.size, root=intent.root).encode()
        return sign_note(text, (self.log, self.time), time_s=intent.time_s)

    def promise_note(self, batch: Batch) -> bytes:
        """Return the promise about a batch, which is durable by now: the same bytes always."""
        text = Promise(
            origin=self.origin,
            start=batch.start,
            stop=batch.stop,
            root=batch.root,
            time_ms=batch.time_ms,
            by_ms=batch.time_ms + self.max_delay_ms,
        ).encode()
        return sign_note(text, (self.promise,))


def create_log_keys(
    directory: FilePath,
    origin: str,
    *,
    max_delay_ms: int = DEFAULT_MAX_DELAY_MS,
    predecessor: bytes | None = None,
    entropy: Callable[[int], bytes] = nacl.utils.random,
) -> LogKeys:
    """Make the keys of a new log in a directory, and return them; what is there is left alone.

    The sheet is written last: a directory without one was not finished, and may be removed.
    """
    fault = name_fault(origin)
    if fault is not None:
        raise RefusedInput(f"the origin {fault}")
    if not 1 <= max_delay_ms <= PROMISE_DELAY_MS_MAX:
        raise RefusedInput(f"the delay is from 1 to {PROMISE_DELAY_MS_MAX} milliseconds")
    if predecessor is not None:
        succession(origin, predecessor)  # or it is no checkpoint
    make_directory(directory, 0o700)
    folder = Path(os.fspath(directory))
    names = (
        (LOG_KEY, origin, PLAIN),
        (TIME_KEY, origin, TIMED),
        (PROMISE_KEY, f"{origin}/promise", PLAIN),
    )
    found = []
    for file_name, name, kind in names:
        text = private_key_text(name, kind, entropy(_SEED_BYTES))
        write_new(folder / file_name, text.encode() + b"\n", 0o600)
        found.append(NoteKey.parse(text))
    log, time, promise = found
    sheet_text = Sheet(
        origin=origin,
        promise_key=promise.verifier,
        time_key=time.verifier,
        max_delay_ms=max_delay_ms,
    ).encode()
    sheet = sign_note(sheet_text, (log,))
    write_new(folder / VKEY, log.verifier.encode().encode() + b"\n", 0o644)
    if predecessor is not None:
        write_new(folder / PREDECESSOR, predecessor, 0o644)
    write_new(folder / SHEET, sheet, 0o644)
    return load_log_keys(directory)


def load_log_keys(directory: FilePath) -> LogKeys:
    """Return the keys of a directory, after checking that they are those of its sheet."""
    folder = Path(os.fspath(directory))
    if not folder.is_dir():
        raise KeyFileError(
            f"{shown(directory)} is no directory; `tally collector keys new` makes the keys of a "
            "log"
        )
    log, time, promise = (_read(folder / name) for name in (LOG_KEY, TIME_KEY, PROMISE_KEY))
    data = read_bounded(folder / SHEET, NOTE_BYTES_MAX)
    try:
        sheet = parse_sheet(data, log.verifier)
    except RefusedInput as fault:
        raise KeyFileError(f"{shown(folder / SHEET)}: {fault}") from None
    for key, wanted, name in (
        (time, sheet.time_key, TIME_KEY),
        (promise, sheet.promise_key, PROMISE_KEY),
    ):
        if key.verifier != wanted:
            raise KeyFileError(f"{shown(folder / name)} is not the key that the sheet names")
    return LogKeys(
        log=log,
        time=time,
        promise=promise,
        sheet=data,
        max_delay_ms=sheet.max_delay_ms,
        predecessor=_predecessor(folder / PREDECESSOR, sheet.origin),
    )


def _predecessor(path: Path, origin: str) -> bytes | None:
    if not path.exists():
        return None
    data = read_bounded(path, NOTE_BYTES_MAX)
    try:
        succession(origin, data)
    except RefusedInput as fault:
        raise KeyFileError(f"{shown(path)}: {fault}") from None
    return data


def _read(path: Path) -> NoteKey:
    try:
        return NoteKey.parse(read_key_file(path).decode("utf-8", "replace").rstrip("\n"))
    except KeyFormatError as error:
        reason = str(error)
    raise KeyFileError(f"{shown(path)}: {reason}")
