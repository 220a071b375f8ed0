# SPDX-License-Identifier: Apache-2.0
"""The sheet of a log: a note, signed by the log key, that names its other keys and its delay.

    tally-log/v1
    log example.com/log
    promise-key example.com/log/promise+7e2f5565+ASVDuS…
    time-key example.com/log+e0bf06cf+BCmsuuFB…
    max-delay-ms 60000
    entry-format tally-entry/v1

One origin has one sheet, for ever: a new key or another delay makes a new origin. The second line
can't be read as the size of a checkpoint, so no sheet is one.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.crypto.note import PLAIN, TIMED, VerifierKey, open_note
from tallystick.errors import KeyFormatError, LogFormatError
from tallystick.limits import PROMISE_DELAY_MS_MAX
from tallystick.model.log_entry import ENTRY_FORMAT
from tallystick.model.log_text import after, lines_of, number_in

_FIRST_LINE: Final = "tally-log/v1"


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What a log binds itself to besides its log key."""

    origin: str
    promise_key: VerifierKey
    time_key: VerifierKey
    max_delay_ms: int

    def encode(self) -> str:
        """Return the text that is signed."""
        lines = (
            _FIRST_LINE,
            f"log {self.origin}",
            f"promise-key {self.promise_key.encode()}",
            f"time-key {self.time_key.encode()}",
            f"max-delay-ms {self.max_delay_ms}",
            f"entry-format {ENTRY_FORMAT}",
        )
        return "".join(f"{line}\n" for line in lines)


def parse_sheet(data: bytes, log_key: VerifierKey) -> Sheet:
    """Return the sheet of a note that the log key signed, or raise."""
    if log_key.kind != PLAIN:
        raise LogFormatError("the key of a log is a plain Ed25519 one")
    lines = lines_of(open_note(data, [log_key]).text, 6, "sheet")
    if lines[0] != _FIRST_LINE:
        raise LogFormatError(f"sheet does not begin with {_FIRST_LINE}")
    if after("log", lines[1]) != log_key.name:
        raise LogFormatError("sheet is of another origin than its log key")
    sheet = Sheet(
        origin=log_key.name,
        promise_key=_key(after("promise-key", lines[2]), "promise"),
        time_key=_key(after("time-key", lines[3]), "time"),
        max_delay_ms=number_in(after("max-delay-ms", lines[4]), "max-delay-ms of the sheet"),
    )
    if after("entry-format", lines[5]) != ENTRY_FORMAT:
        raise LogFormatError(f"entries of this log are not in the format {ENTRY_FORMAT}")
    _check(sheet, log_key)
    return sheet


def _check(sheet: Sheet, log_key: VerifierKey) -> None:
    promise, time = sheet.promise_key, sheet.time_key
    if promise.name != f"{sheet.origin}/promise" or promise.kind != PLAIN:
        raise LogFormatError("the promise key is not a plain one named <origin>/promise")
    if time.name != sheet.origin or time.kind != TIMED:
        raise LogFormatError("the time key is not a timed one named like the origin")
    if len({key.public_key for key in (log_key, promise, time)}) < 3:
        raise LogFormatError("one key serves in two roles")
    # Four bytes can be searched for: then no line would tell which of both keys signed.
    if time.key_id == log_key.key_id:
        raise LogFormatError("log key and time key have one key id")
    if not 1 <= sheet.max_delay_ms <= PROMISE_DELAY_MS_MAX:
        raise LogFormatError(f"max-delay-ms is not between 1 and {PROMISE_DELAY_MS_MAX}")


def _key(text: str, role: str) -> VerifierKey:
    try:
        return VerifierKey.parse(text)
    except KeyFormatError as fault:
        raise LogFormatError(f"{role} key of the sheet: {fault}") from None
