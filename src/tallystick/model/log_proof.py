# SPDX-License-Identifier: Apache-2.0
"""`.tlog-proof` files (C2SP tlog-proof): an entry's path to the root of a checkpoint.

    c2sp.org/tlog-proof@v1
    index 5
    kpqCRE1JEhuPnzHmpyCJjTvA5ZFpmsgTPzvCiyfq0ZE=
    …

    (the note of the checkpoint)

`extra` is a line that anybody may have added: nothing signs it, and nothing here trusts it. The log
of this project puts the 87 bytes of the entry there, so that a file says what it is about.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.crypto.merkle import leaf_hash, verify_inclusion
from tallystick.crypto.multibase import b64_decode, b64_encode
from tallystick.crypto.strict import parse_json
from tallystick.errors import EncodingError, LogFormatError, MalformedInput
from tallystick.limits import LOG_PROOF_BYTES_MAX
from tallystick.model.checkpoint import Checkpoint
from tallystick.model.log_text import after, encode_proof, number_in, path_from, split_proof

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"


class LogProof(msgspec.Struct, frozen=True, kw_only=True):
    """An index, a path, and the note of a checkpoint. Nothing checked."""

    index: int
    path: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        head = [_FIRST_LINE, f"index {self.index}"]
        if self.extra is not None:
            head.insert(1, f"extra {b64_encode(self.extra)}")
        return encode_proof(head, self.path, self.note)

    def includes(self, entry: bytes, checkpoint: Checkpoint) -> bool:
        """Whether the path leads from the entry's bytes to the root of its opened checkpoint."""
        leaf = leaf_hash(entry)
        return verify_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root)


def parse_log_proof(data: bytes) -> LogProof:
    """Return the parts of a proof file."""
    lines, note = split_proof(data, LOG_PROOF_BYTES_MAX, "proof")
    if lines.pop(0) != _FIRST_LINE:
        raise LogFormatError(f"proof does not begin with {_FIRST_LINE}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = _extra(lines.pop(0))
    if not lines:
        raise LogFormatError("proof has no index")
    index = number_in(after("index", lines[0]), "index of the proof")
    return LogProof(index=index, path=path_from(lines[1:], "proof"), note=note, extra=extra)


class ConsistencyProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a log answers when it is asked how one size follows from another. Nothing checked.

    Sizes and roots tell which checkpoints are meant; only those of the notes themselves count.
    """

    old_size: int = msgspec.field(name="from")
    new_size: int = msgspec.field(name="to")
    path: tuple[str, ...]
    from_root: str = ""
    to_root: str = ""

    def hashes(self) -> tuple[bytes, ...]:
        """Return the path."""
        return path_from(self.path, "proof of consistency")


def parse_consistency_proof(data: bytes) -> ConsistencyProof:
    """Return the answer of a log to `/log/proof/consistency`, a JSON object."""
    try:
        return msgspec.convert(parse_json(data, LOG_PROOF_BYTES_MAX), ConsistencyProof)
    except MalformedInput as fault:
        raise LogFormatError(f"proof of consistency is not strict JSON: {fault}") from None
    except msgspec.ValidationError as fault:
        raise LogFormatError(f"proof of consistency is not of the schema: {fault}") from None


def _extra(line: str) -> bytes:
    try:
        return b64_decode(after("extra", line))
    except EncodingError as fault:
        raise LogFormatError(f"extra of the proof is {fault}") from None
