# SPDX-License-Identifier: Apache-2.0
"""Statements with a gap where their place in the chain goes, made before that place is known.

Whoever states may so be another than whoever links and signs: the place is filled in at the end,
and all other bytes stay as they are.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.chain.straight import bounded
from tallystick.crypto.digest import sha256_tagged
from tallystick.model.chain import Link

# As in the statement itself: members are declared in RFC 8785's order.
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode


class Gap:
    """What stands where the link goes."""

    def __init__(self, name: str) -> None:
        """Take a name that nobody who writes into a statement can guess."""
        self.link = Link(chain_id=name, previous_receipt_hash=None, sequence=1)
        self._mark = _ENCODE(self.link)

    def cut(self, statement: bytes) -> tuple[bytes, bytes]:
        """Return what stands before and behind the gap."""
        before, mark, after = statement.partition(self._mark)
        if not mark or self._mark in after:
            raise ValueError("the statement has another place than one")
        return before, after


def filled(before: bytes, link: Link, after: bytes) -> tuple[bytes, str]:
    """Return the statement at a place of its chain, and its hash."""
    statement = bounded(b"".join((before, _ENCODE(link), after)))
    return statement, sha256_tagged(statement)
