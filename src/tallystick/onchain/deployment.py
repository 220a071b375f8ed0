# SPDX-License-Identifier: Apache-2.0
"""Where the three contracts stand on a chain, and how they get there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Final

import msgspec

from tallystick.crypto.secp256k1 import checksum_address, read_address
from tallystick.durable.file import make_directory, read_bounded, write_replace
from tallystick.errors import KeyFormatError, PostingError, UnreadableError
from tallystick.limits import KEY_FILE_BYTES_MAX
from tallystick.onchain.account import Account, Wish
from tallystick.onchain.artifact import CONTRACTS, DISPUTES, RECEIPTS, REGISTRY
from tallystick.onchain.codec import call_data, constructor_data
from tallystick.onchain.node import Node

_NAME: Final = re.compile(r"contracts-([0-9]{1,20})\.json")


class Deployment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contracts' addresses on one chain, and the block from which on they can have events."""

    chain_id: int
    registry: str
    receipts: str
    disputes: str
    first_block: int

    def __post_init__(self) -> None:
        """Refuse addresses with a typing error; write them with their checksum."""
        for name in ("registry", "receipts", "disputes"):
            try:
                right = checksum_address(read_address(getattr(self, name)))
            except KeyFormatError as fault:
                raise PostingError(f"{name}: {fault}") from None
            msgspec.structs.force_setattr(self, name, right)

    def address(self, contract: str) -> str:
        """Return the address of a contract by its name."""
        return {REGISTRY: self.registry, RECEIPTS: self.receipts, DISPUTES: self.disputes}[contract]


def deploy(account: Account, treasury: str, tell: Callable[[str], None]) -> Deployment:
    """Put the three contracts on chain and wire them; going on where an earlier try stopped."""
    blocks: list[int] = []
    made: dict[str, str] = {}
    arguments: dict[str, Callable[[], tuple[str, ...]]] = {
        REGISTRY: lambda: (treasury,),
        RECEIPTS: lambda: (made[REGISTRY],),
        DISPUTES: lambda: (made[REGISTRY], made[RECEIPTS]),
    }
    for name in CONTRACTS:
        data = constructor_data(name, *arguments[name]())
        mined = account.do(Wish(name=f"deploy:{name}:{treasury}", to=None, data=data))
        if not account.node.has_code(mined.contract):
            raise PostingError(f"{name} was sent, but no contract stands at its address")
        made[name] = mined.contract
        blocks.append(mined.block)
        tell(f"{name}  {made[name]}")
    wire = call_data(REGISTRY, "wire", made[RECEIPTS], made[DISPUTES])
    account.do(Wish(name=f"wire:{made[REGISTRY]}", to=made[REGISTRY], data=wire))
    return Deployment(
        chain_id=account.node.chain_id,
        registry=made[REGISTRY],
        receipts=made[RECEIPTS],
        disputes=made[DISPUTES],
        first_block=min(blocks),
    )


def deployment_path(directory: str | os.PathLike[str], chain_id: int) -> str:
    """Return where a deployment is kept."""
    return os.path.join(directory, f"contracts-{chain_id}.json")


def own_deployment(directory: str | os.PathLike[str], node: Node) -> Deployment:
    """Return the deployment of a node's chain that a directory holds.

    Of several it is no node's to choose: what is signed for one chain would be signed for another.
    """
    name = os.fspath(directory)
    held = sorted(
        int(one[1])
        for one in map(_NAME.fullmatch, os.listdir(name) if os.path.isdir(name) else ())
        if one is not None
    )
    if len(held) > 1 and node.pinned is None:
        raise PostingError(
            f"{name} has contracts on the chains {', '.join(map(str, held))}: "
            "say which with --chain-id, or give the contracts' file"
        )
    return read_deployment(deployment_path(name, node.chain_id))


def keep_deployment(directory: str | os.PathLike[str], deployment: Deployment) -> str:
    """Write a deployment down; return the path."""
    make_directory(directory, 0o700)
    path = deployment_path(directory, deployment.chain_id)
    write_replace(path, msgspec.json.format(msgspec.json.encode(deployment)) + b"\n", 0o644)
    return path


def read_deployment(path: str | os.PathLike[str]) -> Deployment:
    """Return the deployment in a file."""
    try:
        data = read_bounded(path, KEY_FILE_BYTES_MAX)
    except UnreadableError:
        raise PostingError(
            f"{os.fspath(path)} does not exist: `tally hub deploy` writes it, or give --contracts"
        ) from None
    try:
        return msgspec.json.decode(data, type=Deployment)
    except msgspec.MsgspecError as fault:
        raise PostingError(f"{os.fspath(path)} holds no deployment: {fault}") from None
