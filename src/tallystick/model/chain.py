# SPDX-License-Identifier: Apache-2.0
"""A receipt's place: its link, the head that the next builds on, and where a chain came from."""

from __future__ import annotations

from typing import Literal

import msgspec

from tallystick.model.fact import Fact
from tallystick.model.shapes import Identifier, ReceiptId, Sequence, Sha256

Termination = Literal["complete", "interrupted", "unknown"]


class Link(Fact, frozen=True, kw_only=True):
    """The receipt's place in its chain (`credentialSubject.chain` on the wire)."""

    chain_id: Identifier
    # The one member that may be null, and then is written: null at the genesis and only there.
    previous_receipt_hash: Sha256 | None
    sequence: Sequence
    status: Literal["complete", "interrupted"] | None = None
    terminal: bool | None = None


class Delegator(Fact, frozen=True, kw_only=True):
    """Who handed the work on: the issuer of the parent chain."""

    id: Identifier


class Delegation(Fact, frozen=True, kw_only=True):
    """Where a delegated chain hangs on its parent."""

    delegator: Delegator
    parent_chain_id: Identifier
    parent_receipt_id: ReceiptId


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Hash and sequence of a chain's last receipt: all that is needed to go on."""

    chain_id: str
    sequence: int = 0
    hash: str | None = None

    def link(
        self, *, terminal: bool = False, status: Literal["complete", "interrupted"] | None = None
    ) -> Link:
        """Return the link of the next receipt; a terminal one closes the chain."""
        return Link(
            chain_id=self.chain_id,
            sequence=self.sequence + 1,
            previous_receipt_hash=self.hash,
            terminal=True if terminal else None,
            status=status,
        )


def is_ordinary(link: Link) -> bool:
    """Whether a link has nothing about it that `link_faults` could object to; a quick check."""
    return (
        (link.sequence == 1) is (link.previous_receipt_hash is None)
        and link.terminal is None
        and link.status is None
    )


def link_faults(link: Link) -> list[tuple[str, str, str]]:
    """Return (code, member, message) for every rule that a link breaks within itself."""
    faults = []
    if link.sequence == 1 and link.previous_receipt_hash is not None:
        faults.append(
            ("CHAIN_GENESIS_HASH", "previous_receipt_hash", "the first receipt has no predecessor")
        )
    if link.sequence != 1 and link.previous_receipt_hash is None:
        faults.append(
            ("CHAIN_LINK_MISSING", "previous_receipt_hash", "null is for the first receipt only")
        )
    if link.terminal is False:
        faults.append(("FIELD_VALUE", "terminal", "may be true or absent, not false"))
    if link.status is not None and link.terminal is not True:
        faults.append(
            ("CHAIN_STATUS_WITHOUT_TERMINAL", "status", "goes with `terminal: true` only")
        )
    return faults
