# SPDX-License-Identifier: Apache-2.0
"""Checkpoints (C2SP tlog-checkpoint): the signed head of a log, and when the log signed it.

    example.com/log
    8
    0SM0thqi8kTxF1TECJZkFVHWTNXHn6D5dg0uwwedGDQ=

The grammar allows further lines, which some witnesses leave unsigned. We write none, and
`open_checkpoint` refuses them: for clients and judges alike, so that no log can contradict itself
in a form that only clients read.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tallystick.crypto.merkle import EMPTY_ROOT
from tallystick.crypto.multibase import b64_encode
from tallystick.crypto.note import PLAIN, Note, VerifierKey, open_note
from tallystick.errors import LogFormatError, NoteSignatureError
from tallystick.model.log_text import hash_in, number_in


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a log at one size."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> str:
        """Return the text that is signed."""
        lines = (self.origin, str(self.size), b64_encode(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


class SignedCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint whose log signature was checked."""

    checkpoint: Checkpoint
    time_s: int | None  # what the log's time key signed with it; None where it did not
    note: Note

    @property
    def size(self) -> int:
        """How many entries the log has here."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The head of the tree of that size."""
        return self.checkpoint.root


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what the text of a note says as a checkpoint."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop():
        raise LogFormatError("checkpoint has not the three lines that it must have")
    origin, size, root, *extensions = lines
    if not origin or not all(extensions):
        raise LogFormatError("checkpoint has an empty line")
    return Checkpoint(
        origin=origin,
        size=number_in(size, "size of the checkpoint"),
        root=hash_in(root, "root of the checkpoint"),
        extensions=tuple(extensions),
    )


def open_checkpoint(
    data: bytes,
    log_key: VerifierKey,
    time_key: VerifierKey | None = None,
    *,
    witness_keys: Iterable[VerifierKey] = (),
) -> SignedCheckpoint:
    """Return the checkpoint of a note that the log key signed, or raise.

    Its origin must be the log key's name. Without the time key the log's time is not known.
    """
    if log_key.kind != PLAIN:
        raise LogFormatError("the key of a log is a plain Ed25519 one")
    own = [log_key] if time_key is None else [log_key, time_key]
    note = open_note(data, [*own, *witness_keys])
    if note.by(log_key) is None:
        raise NoteSignatureError("checkpoint is not signed by the log's key")
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log_key.name:
        raise LogFormatError("checkpoint is of another origin than its log key")
    if checkpoint.extensions:
        raise LogFormatError("checkpoint has lines beyond the three that we accept")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise LogFormatError("checkpoint of size 0 has another root than the empty tree's")
    timed = None if time_key is None else note.by(time_key)
    time_s = None if timed is None else timed.time_s
    return SignedCheckpoint(checkpoint=checkpoint, time_s=time_s, note=note)
