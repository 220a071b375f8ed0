# SPDX-License-Identifier: Apache-2.0
"""A recorder goes on where a lease ends, and ends where its caller ends it."""

from __future__ import annotations

import pytest
from tests import material

from tallystick import ChainClosedError, InMemoryEmitter, ReceiptChain, SessionSigner, verify_input
from tallystick.chain.recorder import Recorder
from tallystick.keys.local import LocalSigner
from tallystick.verify.source import Source

READ = {"type": "filesystem.file.read"}
SUCCESS = {"status": "success"}


def recorder_of(kept: InMemoryEmitter, uses: int) -> Recorder:
    lease = SessionSigner(LocalSigner(material.KEY), max_receipts=uses)

    def begin(previous: ReceiptChain | None) -> ReceiptChain:
        return ReceiptChain(
            signer=lease if previous is None else lease.renew(),
            issuer={"id": material.ISSUER},
            principal={"id": "did:user:u"},
            emitter=kept,
            previous_chain=previous.head if previous is not None else None,
        )

    return Recorder(begin, kept)


def test_a_lease_that_ends_begins_a_chain() -> None:
    """Each chain is closed, the next one names it, and all of them hold."""
    kept = InMemoryEmitter()
    with recorder_of(kept, uses=2) as recorder:
        first = recorder.chain.chain_id
        for _ in range(3):
            recorder.emit(READ, SUCCESS)
        assert recorder.chain.chain_id != first
    report = verify_input([Source(one.to_json()) for one in kept.receipts], material.KEY.public_key)
    assert [chain.termination for chain in report.ensure().chains] == ["complete", "complete"]


def test_an_end_is_an_end() -> None:
    """A chain that its caller closed is not followed by another."""
    recorder = recorder_of(InMemoryEmitter(), uses=9)
    recorder.close()
    with pytest.raises(ChainClosedError):
        recorder.emit(READ, SUCCESS)
