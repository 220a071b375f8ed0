# SPDX-License-Identifier: Apache-2.0
"""A solver's next key: asked for with its consent, and two days later the one that counts."""

from __future__ import annotations

from tallystick.model.post import rotate_statement
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.codec import call_data
from tallystick.onchain.contracts import Contracts
from tallystick.ports import EvmSigner


def rotation(contracts: Contracts, solver_id: bytes, following: EvmSigner, name: str) -> Wish:
    """Return the wish to be followed by a key, which consents by a signature."""
    operator = following.get_address()
    statement = rotate_statement(
        solver_id, operator, chain_id=contracts.at.chain_id, contract=contracts.at.registry
    )
    signature = following.sign(statement).to_bytes()
    return _wish(contracts, name, "requestRotation", solver_id, operator, signature)


def cancellation(contracts: Contracts, solver_id: bytes, name: str) -> Wish:
    """Return the wish to take a request back."""
    return _wish(contracts, name, "cancelRotation", solver_id)


def completion(contracts: Contracts, solver_id: bytes, name: str) -> Wish:
    """Return the wish that lets the next key follow, once the delay is over. Anyone may."""
    return _wish(contracts, name, "completeRotation", solver_id)


def _wish(contracts: Contracts, name: str, function: str, *arguments: object) -> Wish:
    data = call_data(REGISTRY, function, *arguments)
    return Wish(name=f"{function}:{name}", to=contracts.at.registry, data=data)
