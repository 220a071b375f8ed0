# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: the published grammar, and who has to have signed what."""

from __future__ import annotations

import pytest
from tests.logs import LOG_KEY, ORIGIN, TIME_KEY, WITNESS_KEY, needs_vectors, vectors

from tallystick.crypto.merkle import EMPTY_ROOT
from tallystick.crypto.note import PLAIN, NoteKey, sign_note
from tallystick.errors import LogFormatError, NoteSignatureError
from tallystick.model.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint

ROOT = bytes(range(32))
CHECKPOINT = Checkpoint(origin=ORIGIN, size=8, root=ROOT)
LOG, TIME = LOG_KEY.verifier, TIME_KEY.verifier


@needs_vectors
def test_published_grammar() -> None:
    """Every published text is read or refused as published, and what is read writes itself."""
    rows = vectors()["checkpoint_grammar"]
    assert len(rows) == 19
    for row in rows:
        if row["expect"] == "accept":
            assert parse_checkpoint(row["text"]).encode() == row["text"], row["name"]
        else:
            with pytest.raises(LogFormatError):
                parse_checkpoint(row["text"])


@needs_vectors
def test_published_notes_open() -> None:
    """The published notes are checkpoints of the sizes that they name."""
    published = vectors()["checkpoint"]
    for name, size in [("note", 8), ("empty_tree_note", 0), ("size3_note", 3)]:
        opened = open_checkpoint(published[name].encode(), LOG)
        assert (opened.size, opened.time_s) == (size, None)
    opened = open_checkpoint(
        published["fully_signed_note"].encode(), LOG, TIME, witness_keys=[WITNESS_KEY.verifier]
    )
    assert opened.time_s == vectors()["cosignature"]["timestamp"]
    assert opened.note.by(WITNESS_KEY.verifier) is not None


def test_the_logs_own_time_counts() -> None:
    """The time is the log's where its time key is known and has signed, and else none."""
    both = sign_note(CHECKPOINT.encode(), [LOG_KEY, TIME_KEY], time_s=9)
    assert open_checkpoint(both, LOG, TIME).time_s == 9
    assert open_checkpoint(both, LOG).time_s is None
    witnessed = sign_note(CHECKPOINT.encode(), [LOG_KEY, WITNESS_KEY], time_s=9)
    keys = [WITNESS_KEY.verifier]
    assert open_checkpoint(witnessed, LOG, TIME, witness_keys=keys).time_s is None
    assert open_checkpoint(witnessed, LOG, TIME).root == ROOT


def test_the_log_key_must_have_signed() -> None:
    """A time or a witness's signature alone makes no checkpoint, nor does a timed log key."""
    timed = sign_note(CHECKPOINT.encode(), [TIME_KEY, WITNESS_KEY], time_s=9)
    with pytest.raises(NoteSignatureError, match="log's key"):
        open_checkpoint(timed, LOG, TIME, witness_keys=[WITNESS_KEY.verifier])
    with pytest.raises(LogFormatError, match="plain"):
        open_checkpoint(timed, TIME)


@pytest.mark.parametrize(
    ("checkpoint", "why"),
    [
        (Checkpoint(origin="other.example/log", size=8, root=ROOT), "another origin"),
        (Checkpoint(origin=ORIGIN, size=8, root=ROOT, extensions=("x",)), "beyond"),
        (Checkpoint(origin=ORIGIN, size=0, root=ROOT), "empty tree"),
    ],
)
def test_signed_and_still_refused(checkpoint: Checkpoint, why: str) -> None:
    """Another origin, further lines, or a head that no empty tree has."""
    with pytest.raises(LogFormatError, match=why):
        open_checkpoint(sign_note(checkpoint.encode(), [LOG_KEY]), LOG)


def test_a_name_is_an_origin() -> None:
    """The same key under another name is the key of another log."""
    namesake = NoteKey("other.example/log", PLAIN, LOG_KEY.signing_key)
    with pytest.raises(LogFormatError):
        open_checkpoint(sign_note(CHECKPOINT.encode(), [namesake]), namesake.verifier)
    with pytest.raises(LogFormatError):
        open_checkpoint(sign_note(CHECKPOINT.encode(), [namesake]), LOG)


def test_the_empty_log() -> None:
    """A log without entries has a checkpoint too."""
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    assert open_checkpoint(sign_note(empty.encode(), [LOG_KEY]), LOG).checkpoint == empty
