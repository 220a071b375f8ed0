# SPDX-License-Identifier: Apache-2.0
"""How questions lie in the pipe to a companion: each after its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

_SIZE_BYTES: Final = 4


def framed(piece: bytes) -> bytes:
    """Return a piece with its size before it."""
    return size_mark(len(piece)) + piece


def size_mark(size: int) -> bytes:
    """Return what stands before a piece of so many bytes."""
    return size.to_bytes(_SIZE_BYTES)


def take_pieces(received: bytearray, size_max: int) -> list[bytes]:
    """Take the pieces out that are whole; raises `ValueError` where one is larger than any is."""
    found: list[bytes] = []
    start = 0
    while len(received) - start >= _SIZE_BYTES:
        begin = start + _SIZE_BYTES
        size = int.from_bytes(received[start:begin])
        if size > size_max:
            raise ValueError(f"a piece of {size} bytes")
        if len(received) - begin < size:
            break
        start = begin + size
        found.append(bytes(received[begin:start]))
    del received[:start]
    return found


def pieces(questions: BinaryIO) -> Iterator[bytes]:
    """Yield one piece after the other, until there is no whole one any more."""
    while len(size := questions.read(_SIZE_BYTES)) == _SIZE_BYTES:
        count = int.from_bytes(size)
        piece = questions.read(count)
        if len(piece) < count:
            return
        yield piece
