# SPDX-License-Identifier: Apache-2.0
"""A chain written with some signer, and kept: what the tests of signers verify."""

from __future__ import annotations

from tallystick import Receipt
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.ports import Signer

ISSUER = "did:agent:signers"
READ = {"type": "filesystem.file.read", "target": {"system": "local", "resource": "/etc/hosts"}}
SUCCESS = {"status": "success"}


class Kept:
    """An emitter that keeps what it is given."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def emit(self, receipt: Receipt, /) -> None:
        self.receipts.append(receipt)

    @property
    def lines(self) -> bytes:
        """The receipts as JSON Lines."""
        return b"".join(receipt.to_json() + b"\n" for receipt in self.receipts)


def chain_by(signer: Signer, kept: Kept) -> ReceiptChain:
    """Return a chain that is signed by `signer` and kept in `kept`."""
    return ReceiptChain(
        signer=signer, issuer={"id": ISSUER}, principal={"id": "did:user:u"}, emitter=kept
    )


def written_by(signer: Signer, actions: int = 2) -> bytes:
    """Return a closed chain with some actions, as JSON Lines."""
    kept = Kept()
    chain = chain_by(signer, kept)
    for _ in range(actions):
        chain.emit(READ, SUCCESS)
    chain.close()
    return kept.lines
