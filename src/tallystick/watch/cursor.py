# SPDX-License-Identifier: Apache-2.0
"""How far a watcher of posts has come, and what it spent: one file, replaced in one step.

A damaged file is refused, and not begun anew: something may have been spent.
"""

from __future__ import annotations

import os

import msgspec

from tallystick.durable.file import FilePath, read_bounded, shown, write_replace
from tallystick.errors import NodeError, PostingError
from tallystick.limits import REORG_BLOCKS_MAX, RESPONSE_BYTES_MAX
from tallystick.onchain.contracts import Contracts, DisputeState
from tallystick.onchain.deployment import Deployment
from tallystick.watch.post_evidence import SOUND


class Seen(msgspec.Struct, kw_only=True):
    """A post that was looked at."""

    receipt_id: str
    solver: str
    intent: str
    evidence: str
    is_over: bool = False
    over_at: int = 0  # the block at which it was first found to be over
    looks: int = 0  # at its bundle
    look_at: int = 0  # the contracts' moment from which on the next one is wanted
    is_missing: bool = False  # as the last look found
    acted: list[str] = []
    paid: dict[str, int] = {}  # by wish: wei that is set aside for it, however often it is tried


class Cursor(msgspec.Struct, kw_only=True):
    """How far a watcher has come."""

    chain_id: int
    contract: str
    block: int
    block_hash: str = ""
    spent: int = 0
    posts: dict[str, Seen] = {}
    asker: str = ""  # whose questions were looked for in all blocks up to this one
    asked: list[DisputeState] = []  # its questions that have not ended
    aside: dict[str, int] = {}  # by the wish that ends a dispute: wei that is set aside for it


def read_cursor(path: FilePath, at: Deployment) -> Cursor:
    """Return the cursor in a file, or one before the first block of a deployment."""
    if not os.path.exists(path):
        return Cursor(chain_id=at.chain_id, contract=at.receipts, block=at.first_block - 1)
    try:
        found = msgspec.json.decode(read_bounded(path, RESPONSE_BYTES_MAX), type=Cursor)
    except msgspec.MsgspecError as fault:
        raise PostingError(f"{shown(path)} holds no cursor: {fault}") from None
    if (found.chain_id, found.contract) != (at.chain_id, at.receipts):
        raise PostingError(f"{shown(path)} is the cursor of other contracts")
    return found


def keep_cursor(path: FilePath, cursor: Cursor) -> None:
    """Return when the cursor is on stable storage."""
    write_replace(path, msgspec.json.encode(cursor), 0o600)


def step_back(cursor: Cursor, contracts: Contracts, head: int) -> None:
    """Go back where the chain is no longer the one that the cursor stood in."""
    if not cursor.block_hash:
        return
    found = contracts.node.block_hash(cursor.block)
    if found is not None and found.hex() == cursor.block_hash:
        return
    # A node that told of a head which never was must not hide what came below it.
    first = contracts.at.first_block
    cursor.block = max(first - 1, min(cursor.block, head) - REORG_BLOCKS_MAX)
    cursor.block_hash = ""
    # What was mined in blocks that are gone may be gone, too: it is noted anew, and what was
    # sent is looked for again, under its wish's name.
    cursor.posts = {key: one for key, one in cursor.posts.items() if _is_there(contracts, one)}
    cursor.asker = ""
    for seen in cursor.posts.values():
        seen.acted = [one for one in seen.acted if one == SOUND]
        seen.look_at = 0  # windows may end at other moments, too
        if seen.over_at > cursor.block:
            seen.is_over, seen.over_at = False, 0


def _is_there(contracts: Contracts, seen: Seen) -> bool:
    try:
        contracts.post(bytes.fromhex(seen.receipt_id))
    except NodeError as fault:
        if fault.is_transient:
            raise
        return False
    return True
