# SPDX-License-Identifier: Apache-2.0
"""A frame with what is known of who sent it, and when: what the ledger makes receipts of."""

from __future__ import annotations

import msgspec

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.portion import Portion, Statement
from tallystick.model.frame import Frame, parse_frame


class AttestedFrame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One frame as it arrived. Only the frame is the emitter's word."""

    frame: Frame
    peer: Attestation
    # Nanoseconds since 1970, when the frame was whole.
    received_ns: int
    # Sent later than it was made, from an emitter's spool.
    late: bool = False
    # Whether `parse_frame` made the frame: then all of its texts keep their bounds.
    is_parsed: bool = False

    @property
    def drop_count(self) -> int:
        """How many frames its emitter lost before it."""
        return self.frame.drop_count


class StatedFrame(msgspec.Struct, frozen=True, gc=False):
    """One that was stated ahead: a usual one, of which no other was lost before."""

    statement: Statement
    portion: Portion
    body: bytes
    received_ns: int

    @property
    def drop_count(self) -> int:
        """As above."""
        return 0

    def attested(self) -> AttestedFrame:
        """Return it as it arrived: it does not fit where it was stated for."""
        portion = self.portion
        return AttestedFrame(
            frame=parse_frame(self.body),
            peer=Attestation(credential=portion.credential, peer=portion.peer),
            received_ns=self.received_ns,
            is_parsed=True,
        )


ArrivedFrame = AttestedFrame | StatedFrame


def as_attested(one: ArrivedFrame) -> AttestedFrame:
    """Return a frame as it arrived, to be stated anew."""
    return one.attested() if isinstance(one, StatedFrame) else one
