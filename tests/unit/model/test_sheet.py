# SPDX-License-Identifier: Apache-2.0
"""The sheet of a log: one form, three keys, one log key that binds them."""

from __future__ import annotations

import msgspec
import pytest
from tests.logs import LOG_KEY, ORIGIN, PROMISE_KEY, SHEET, TIME_KEY, needs_vectors, vectors

from tallystick.crypto.ed25519 import SigningKey
from tallystick.crypto.note import PLAIN, TIMED, NoteKey, VerifierKey, sign_note
from tallystick.errors import LogFormatError, NoteSignatureError
from tallystick.limits import PROMISE_DELAY_MS_MAX
from tallystick.model.sheet import Sheet, parse_sheet

LOG = LOG_KEY.verifier
NOTE = sign_note(SHEET.encode(), [LOG_KEY])


@needs_vectors
def test_the_published_sheet() -> None:
    """The published sheet is what we write, byte for byte, and read."""
    assert vectors()["sheet"]["note"].encode() == NOTE
    assert parse_sheet(NOTE, LOG) == SHEET


def other(**changes: object) -> str:
    """Return the text of a sheet with some members changed."""
    return msgspec.structs.replace(SHEET, **changes).encode()


def key(name: str, kind: int, like: NoteKey) -> VerifierKey:
    """Return another key's bytes under a name and type."""
    return VerifierKey(name, kind, like.signing_key.public_key)


@pytest.mark.parametrize(
    "text",
    [
        SHEET.encode() + "x y\n",
        SHEET.encode().replace("tally-log/v1", "tally-log/v2"),
        SHEET.encode().replace("max-delay-ms 5000\n", ""),
        SHEET.encode().replace("max-delay-ms 5000", "max-delay-ms 05000"),
        SHEET.encode().replace("max-delay-ms 5000", "max-delay-ms  5000"),
        SHEET.encode().replace("max-delay-ms", "max-delay-s"),
        SHEET.encode().replace("tally-entry/v1", "tally-entry/v2"),
        SHEET.encode().replace(ORIGIN, "other.example/log", 1),
        SHEET.encode().replace("ASVDuS", "AaVDuS"),
        other(max_delay_ms=0),
        other(max_delay_ms=PROMISE_DELAY_MS_MAX + 1),
        other(promise_key=key(ORIGIN, PLAIN, PROMISE_KEY)),
        other(promise_key=key(f"{ORIGIN}/promise", TIMED, PROMISE_KEY)),
        other(promise_key=key(f"{ORIGIN}/promise", PLAIN, LOG_KEY)),
        other(promise_key=key(f"{ORIGIN}/promise", PLAIN, TIME_KEY)),
        other(time_key=key(f"{ORIGIN}/time", TIMED, TIME_KEY)),
        other(time_key=key(ORIGIN, PLAIN, TIME_KEY)),
        other(time_key=key(ORIGIN, TIMED, LOG_KEY)),
    ],
)
def test_signed_and_still_refused(text: str) -> None:
    """Another form, another origin, keys of other names or types, one key in two roles."""
    with pytest.raises(LogFormatError):
        parse_sheet(sign_note(text, [LOG_KEY]), LOG)


def test_the_log_key_must_have_signed() -> None:
    """A sheet counts only under the log key that the reader was given."""
    stranger = NoteKey(ORIGIN, PLAIN, SigningKey(seed=b"s" * 32))
    with pytest.raises(NoteSignatureError):
        parse_sheet(sign_note(SHEET.encode(), [stranger]), LOG)
    with pytest.raises(LogFormatError, match="plain"):
        parse_sheet(sign_note(SHEET.encode(), [TIME_KEY], time_s=1), TIME_KEY.verifier)


def test_a_key_id_that_was_searched_for() -> None:
    """A time key with the log key's id is refused: no line would tell them apart."""

    class Ground(VerifierKey, frozen=True):
        """A log key whose id is the time key's: 2^32 tries find one."""

        @property
        def key_id(self) -> bytes:
            """The time key's."""
            return TIME_KEY.verifier.key_id

    ground = Ground(ORIGIN, PLAIN, LOG_KEY.signing_key.public_key)
    line = f"\u2014 {ORIGIN} "
    note = NOTE.decode()
    at = note.index(line) + len(line)
    from tallystick.crypto.multibase import b64_decode, b64_encode

    blob = b64_decode(note[at:].rstrip("\n"))
    forged = note[:at] + b64_encode(ground.key_id + blob[4:]) + "\n"
    with pytest.raises(LogFormatError, match="one key id"):
        parse_sheet(forged.encode(), ground)


def test_a_sheet_is_no_checkpoint() -> None:
    """The log key signs both, and neither can be read as the other."""
    from tallystick.model.checkpoint import Checkpoint, open_checkpoint

    with pytest.raises(LogFormatError):
        open_checkpoint(NOTE, LOG)
    checkpoint = Checkpoint(origin=ORIGIN, size=8, root=bytes(32))
    with pytest.raises(LogFormatError):
        parse_sheet(sign_note(checkpoint.encode(), [LOG_KEY]), LOG)


def test_what_is_written_is_read() -> None:
    """The widest delay too."""
    sheet = Sheet(
        origin=ORIGIN,
        promise_key=PROMISE_KEY.verifier,
        time_key=TIME_KEY.verifier,
        max_delay_ms=PROMISE_DELAY_MS_MAX,
    )
    assert parse_sheet(sign_note(sheet.encode(), [LOG_KEY]), LOG) == sheet
