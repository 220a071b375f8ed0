# SPDX-License-Identifier: Apache-2.0
"""A local file of receipts that the verifier reads as it is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tallystick import generate_key_pair, verify_chain
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.deliver.local_file import FileEmitter
from tallystick.durable.file import Durable
from tallystick.errors import EmitError

KEYS = generate_key_pair()


def chain_to(emitter: FileEmitter) -> ReceiptChain:
    """Return a chain that ends in that file."""
    return ReceiptChain(
        signer=KEYS, issuer={"id": "did:agent:x"}, principal={"id": "u"}, emitter=emitter
    )


def test_the_file_verifies(tmp_path: Path) -> None:
    """Each receipt is one canonical line."""
    path = tmp_path / "receipts.jsonl"
    with FileEmitter(path) as emitter:
        chain = chain_to(emitter)
        for _ in range(3):
            chain.emit({"type": "filesystem.file.read"}, {"status": "success"})
        assert emitter.path == str(path)
    assert verify_chain(path.read_bytes(), KEYS.public_key).ensure().chains[0].length == 3


def test_a_full_disk_is_a_failed_delivery(tmp_path: Path) -> None:
    """The chain hears of it as of any other failure."""

    def fail(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    emitter = FileEmitter(tmp_path / "a", durable=Durable(fdatasync=fail))
    with pytest.raises(EmitError, match="No space left"):
        chain_to(emitter).emit({"type": "filesystem.file.read"}, {"status": "success"})
