# SPDX-License-Identifier: Apache-2.0
"""A transaction that is signed and not yet stored, and what the ledger needs to make one."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.batch import Draft
from tallystick.daemon.losses import Taken
from tallystick.daemon.turn import Standing
from tallystick.model.chain import Head
from tallystick.model.frame import Acknowledgement, Refusal
from tallystick.store.sql import Row

Answer = Acknowledgement | Refusal


class Drafting(Protocol):
    """Turns frames into the arguments of `create_receipt`; `Drafter` is the daemon's own."""

    def receipt(self, one: AttestedFrame, /) -> Draft:
        """Return what the receipt of a frame states."""
        ...

    def drops(self, one: AttestedFrame, /) -> Draft:
        """Return what is stated of the frames that its emitter lost before it."""
        ...


class Drafted(NamedTuple):
    """One transaction; the answers are true when it is on stable storage."""

    # Which one it is: they are written in their order.
    number: int
    answers: list[Answer]
    rows: list[Row]
    heads: list[Head]
    # The chains that it ends.
    closed: list[str]
    # Where things stand behind it.
    standing: Standing
    # What it says was lost; to be said again where it can't be written.
    losses: Taken | None
