# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of a peer, as a value: the same on each system."""

from __future__ import annotations

from typing import Literal

import msgspec

from tallystick.limits import FRAME_RESOURCE_BYTES_MAX
from tallystick.model.action import PeerCredential
from tallystick.model.extension import Peer

# Whether the program is known; else it is gone, or we may not look, or it is not shown to us.
Status = Literal["ok", "gone", "denied", "hidden"]


class Attestation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The five facts that the protocol has a place for, and ours beside them."""

    credential: PeerCredential
    peer: Peer


def text_of_path(path: bytes) -> str:
    """Return a path as text that JSON can hold: bytes that are no UTF-8 are spelled out."""
    return path[:FRAME_RESOURCE_BYTES_MAX].decode("utf-8", "backslashreplace")
