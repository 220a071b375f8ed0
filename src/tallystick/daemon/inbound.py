# SPDX-License-Identifier: Apache-2.0
"""Bytes of one connection, cut into the bodies of frames: a length in four bytes, then the body."""

from __future__ import annotations

from struct import Struct
from typing import Final

from tallystick.errors import FrameRefused
from tallystick.limits import FRAME_BYTES_MAX

_HEADER: Final = Struct(">I")
_HEADER_BYTES: Final = _HEADER.size


class Inbound:
    """What has come in on one connection and is no whole frame yet."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest: bytes | bytearray = b""

    def __len__(self) -> int:
        """Return how many bytes of an unfinished frame are here."""
        return len(self._rest)

    def take(self, data: bytes) -> tuple[list[bytes], FrameRefused | None]:
        """Return the bodies that are whole now; with a fault, nothing after them can be read."""
        rest = self._rest
        if rest:
            # A large frame arrives in many pieces: each is appended once.
            whole = rest if isinstance(rest, bytearray) else bytearray(rest)
            whole += data
        else:
            whole = data  # type: ignore[assignment]  # both are sliced alike
        bodies: list[bytes] = []
        start, end = 0, len(whole)
        fault = None
        while end - start >= _HEADER_BYTES:
            (size,) = _HEADER.unpack_from(whole, start)
            if not 0 < size <= FRAME_BYTES_MAX:
                fault = FrameRefused(
                    "FRAME_SIZE", f"a frame of {size} bytes; from 1 to {FRAME_BYTES_MAX} are taken"
                )
                break
            stop = start + _HEADER_BYTES + size
            if stop > end:
                break
            bodies.append(bytes(whole[start + _HEADER_BYTES : stop]))
            start = stop
        if start == end or fault is not None:
            self._rest = b""
        elif start:
            self._rest = whole[start:]
        else:
            self._rest = whole
        return bodies, fault
