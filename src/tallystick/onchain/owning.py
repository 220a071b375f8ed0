# SPDX-License-Identifier: Apache-2.0
"""What the owner of the contracts may do: stop the clock a while, choose a window, hand over."""

from __future__ import annotations

import msgspec

from tallystick.crypto.secp256k1 import checksum_address, read_address
from tallystick.model.post import NO_ADDRESS
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import RECEIPTS, REGISTRY
from tallystick.onchain.codec import call_data
from tallystick.onchain.contracts import Contracts


class Ownership(msgspec.Struct, frozen=True, kw_only=True):
    """Who owns the contracts, to whom they are offered, and what the owner has set."""

    owner: str
    heir: str | None
    paused: bool
    window: int


def ownership(contracts: Contracts) -> Ownership:
    """Return what stands in the contracts."""
    owner, heir = (
        checksum_address(read_address(contracts.read(REGISTRY, name).lower()))
        for name in ("owner", "heir")
    )
    return Ownership(
        owner=owner,
        heir=None if heir == NO_ADDRESS else heir,
        paused=contracts.read(REGISTRY, "paused"),
        window=contracts.read(RECEIPTS, "getChallengeWindow"),
    )


def pause(contracts: Contracts, name: str) -> Wish:
    """Return the wish to stop the clock, and all but claims, for at most a week."""
    return _registry(contracts, name, "pause")


def resumption(contracts: Contracts, name: str) -> Wish:
    """Return the wish to let the clock run on."""
    return _registry(contracts, name, "unpause")


def window(contracts: Contracts, seconds: int, name: str) -> Wish:
    """Return the wish for another window of the posts to come."""
    data = call_data(RECEIPTS, "setChallengeWindow", seconds)
    return Wish(name=f"window:{seconds}:{name}", to=contracts.at.receipts, data=data)


def offering(contracts: Contracts, heir: str, name: str) -> Wish:
    """Return the wish to offer the contracts to somebody; nobody's address takes an offer back."""
    return _registry(contracts, name, "offerOwnership", heir)


def acceptance(contracts: Contracts, name: str) -> Wish:
    """Return the heir's wish to take over."""
    return _registry(contracts, name, "acceptOwnership")


def _registry(contracts: Contracts, name: str, function: str, *arguments: object) -> Wish:
    data = call_data(REGISTRY, function, *arguments)
    return Wish(name=f"{function}:{name}", to=contracts.at.registry, data=data)
