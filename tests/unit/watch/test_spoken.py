# SPDX-License-Identifier: Apache-2.0
"""What a log said: under its own keys, and with its own time."""

from __future__ import annotations

import pytest
from tests import logs
from tests.served_log import SHEET, START_S, VKEY, ServedLog

from tallystick.crypto.note import sign_note
from tallystick.errors import LogFormatError, NoteSignatureError
from tallystick.watch.spoken import heard


def test_a_checkpoint_is_heard() -> None:
    """Size, root and time are those of the note, which is kept byte for byte."""
    log = ServedLog().fill(3)
    note = log.release()
    spoken = heard(note, VKEY, SHEET)
    assert (spoken.note, spoken.size, spoken.root, spoken.time_s) == (note, 3, log.root(), START_S)


def test_without_the_logs_time_it_is_not_heard() -> None:
    """A witness's time is not the log's: a checkpoint without its own is refused."""
    text = ServedLog().release().decode().partition("\n\n")[0] + "\n"
    note = sign_note(text, [logs.LOG_KEY, logs.WITNESS_KEY], time_s=START_S)
    with pytest.raises(LogFormatError, match="without the time"):
        heard(note, VKEY, SHEET)


def test_strangers_are_not_heard() -> None:
    """What another key signed is not the log's word."""
    with pytest.raises(NoteSignatureError):
        heard(ServedLog().release(), logs.PROMISE_KEY.verifier, SHEET)
