# SPDX-License-Identifier: Apache-2.0
"""An embedded chain with the contracts on it, a solver with a bond, and bundles to post."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.curve import CurveKey

from tallystick.keys.evm_local import LocalEvmSigner
from tallystick.model.post import Commitment
from tallystick.onchain import solving
from tallystick.onchain.account import Account, Terms
from tallystick.onchain.contracts import Contracts
from tallystick.onchain.deployment import Deployment, deploy
from tallystick.onchain.embedded import EmbeddedNode
from tallystick.onchain.node import Node

ETHER = 10**18
SOLVER, CHALLENGER, REQUESTER = CurveKey(0x501), CurveKey(0xC4A1), CurveKey(0x4E9)
FAST = Terms(poll_seconds=0.02, wait_seconds=20)


def signer_of(key: CurveKey) -> LocalEvmSigner:
    """Return the signer of a key."""
    return LocalEvmSigner(key.secret)


def words(seed: str) -> bytes:
    """Return 32 bytes that stand for something."""
    from hashlib import sha256

    return sha256(seed.encode()).digest()


@dataclass
class Chain:
    """A chain, the contracts, and accounts with ether."""

    node: Node
    home: Path
    deployment: Deployment
    accounts: dict[str, Account] = field(default_factory=dict)
    solver_id: bytes = b""

    @property
    def contracts(self) -> Contracts:
        """The contracts, read through the node."""
        return Contracts(self.node, self.deployment)

    def account(self, key: CurveKey) -> Account:
        """Return the account of a key, with ether where the chain gives some away."""
        if key.address not in self.accounts:
            give(self.node, key.address)
            self.accounts[key.address] = Account(self.node, signer_of(key), self.home, FAST)
        return self.accounts[key.address]

    def register(self, key: CurveKey = SOLVER, bond: int = ETHER) -> bytes:
        """Make somebody a solver with a bond."""
        account, contracts = self.account(key), self.contracts
        account.do(solving.registration(contracts, account.signer, words("about")))
        found = contracts.solver_of(key.address)
        assert found is not None
        account.do(solving.deposit(contracts, bond, account.fresh("bond")))
        self.solver_id = found
        return found

    def commitment(self, seed: str = "one", **changes: Any) -> Commitment:
        """Return what a solver might post now."""
        members: dict[str, Any] = {
            "intent_hash": words(f"intent {seed}"),
            "constraints_hash": words("policy"),
            "route_hash": words(f"head {seed}"),
            "outcome_hash": words(f"outcome {seed}"),
            "evidence_hash": words(f"evidence {seed}"),
            "created_at": self.node.head()[1],
            "expiry": 0,
            "solver_id": self.solver_id,
        }
        return Commitment(**members | changes)

    def post(self, commitment: Commitment, offer: solving.Offer | None = None) -> bytes:
        """Post, and return the post's id."""
        account = self.account(SOLVER)
        receipt_id, wish = solving.posting(
            self.contracts, account.signer, commitment, offer or solving.Offer()
        )
        account.do(wish)
        return receipt_id

    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        if isinstance(self.node, EmbeddedNode):
            self.node.advance(seconds)
        else:
            ask(self.node, "evm_increaseTime", seconds)
            ask(self.node, "evm_mine")


def ask(node: Node, method: str, *parameters: Any) -> Any:
    """Ask a node something that only test nodes know."""
    return node.web3.provider.make_request(method, list(parameters)).get("result")


def give(node: Node, address: str) -> None:
    """Give an account a hundred ether."""
    if isinstance(node, EmbeddedNode):
        node.give(address)
    else:
        ask(node, "anvil_setBalance", address, hex(100 * ETHER))


def with_contracts(node: Node, home: Path) -> Chain:
    """Put the contracts on a chain."""
    give(node, CHALLENGER.address)
    owner = Account(node, signer_of(CHALLENGER), home, FAST)
    deployment = deploy(owner, CHALLENGER.address, lambda _told: None)
    chain = Chain(node, home, deployment)
    chain.accounts[CHALLENGER.address] = owner
    return chain


@contextmanager
def embedded(home: Path) -> Iterator[Chain]:
    """Yield an embedded chain with the contracts and one solver."""
    os.makedirs(home, exist_ok=True)
    node = EmbeddedNode(home)
    try:
        chain = with_contracts(node, home)
        chain.register()
        yield chain
    finally:
        node.close()
