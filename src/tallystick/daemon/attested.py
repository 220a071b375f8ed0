# SPDX-License-Identifier: Apache-2.0
"""A frame with what is known of who sent it, and when: what the ledger makes receipts of."""

from __future__ import annotations

import msgspec

from tallystick.daemon.peer import Attestation
from tallystick.model.frame import Frame


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
