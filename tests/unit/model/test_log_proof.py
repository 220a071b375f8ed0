# SPDX-License-Identifier: Apache-2.0
"""`.tlog-proof` files: the published ones, both ways, and other forms refused."""

from __future__ import annotations

import pytest
from tests.logs import LOG_KEY, ORIGIN, lookup, needs_vectors, numbered, vectors

from tallystick.crypto.merkle import inclusion, tree_root
from tallystick.crypto.note import sign_note
from tallystick.errors import LogFormatError
from tallystick.limits import LOG_PROOF_BYTES_MAX
from tallystick.model.checkpoint import Checkpoint, open_checkpoint
from tallystick.model.log_proof import LogProof, parse_log_proof

LEAVES = numbered(8)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=8, root=tree_root(LEAVES))
NOTE = sign_note(CHECKPOINT.encode(), [LOG_KEY])
PROOF = LogProof(index=5, path=tuple(inclusion(lookup(LEAVES), 5, 8)), note=NOTE)
FILE = PROOF.encode()


@needs_vectors
def test_the_published_files() -> None:
    """Both published files are read, written again byte for byte, and prove their entry alone."""
    published = vectors()["tlog_proof"]
    for name, extra in [("file", None), ("with_extra", b"leaf5")]:
        data = published[name].encode()
        proof = parse_log_proof(data)
        assert proof.extra == extra
        assert proof.encode() == data
        checkpoint = open_checkpoint(proof.note, LOG_KEY.verifier).checkpoint
        proven = [number for number in range(8) if proof.includes(b"leaf%d" % number, checkpoint)]
        assert proven == [5]
    assert len(published["file"].encode()) == published["bytes"]
    assert published["file"].encode().startswith(FILE[: FILE.index(b"\n\n")])


def test_size_and_root_come_from_the_checkpoint() -> None:
    """The same path proves nothing under the checkpoint of another size."""
    assert PROOF.includes(b"leaf5", CHECKPOINT)
    for size in (6, 7, 9):
        other = Checkpoint(origin=ORIGIN, size=size, root=tree_root(numbered(size)))
        assert not PROOF.includes(b"leaf5", other)


@pytest.mark.parametrize("extra", [None, b"", b"x"])
def test_both_ways(extra: bytes | None) -> None:
    """What is written is read, an empty extra line included."""
    proof = LogProof(index=0, path=(), note=NOTE, extra=extra)
    assert parse_log_proof(proof.encode()) == proof


@pytest.mark.parametrize(
    "data",
    [
        b"",
        NOTE,
        b"c2sp.org/tlog-proof@v1\n\n" + NOTE,
        FILE.replace(b"@v1", b"@v2"),
        FILE.replace(b"index 5", b"index 05"),
        FILE.replace(b"index 5\n", b""),
        FILE.replace(b"index 5", b"index 5 "),
        FILE.replace(b"index 5\n", b"index 5\nextra AAAA\n"),
        FILE.replace(b"index 5\n", b"extra AB==\nindex 5\n"),
        FILE.replace(b"index 5\n", b"extra AAAA\nextra AAAA\nindex 5\n"),
        FILE.replace(b"index 5\n", b"index 5\nAAAA\n"),
        FILE.replace(b"\n\n", b"\n"),
        LogProof(index=5, path=(bytes(32),) * 65, note=NOTE).encode(),
        FILE + b"\n" * LOG_PROOF_BYTES_MAX,
    ],
)
def test_other_bytes_are_no_proof(data: bytes) -> None:
    """One form of the file."""
    with pytest.raises(LogFormatError):
        parse_log_proof(data)
