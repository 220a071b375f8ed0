# SPDX-License-Identifier: Apache-2.0
"""How questions lie in the pipe to a companion: each after its size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

_SIZE_BYTES: Final = 4


def framed(piece: bytes) -> bytes:
    """Return a piece with its size before it."""
    return len(piece).to_bytes(_SIZE_BYTES) + piece


def pieces(questions: BinaryIO) -> Iterator[bytes]:
    """Yield one piece after the other, until there is no whole one any more."""
    while len(size := questions.read(_SIZE_BYTES)) == _SIZE_BYTES:
        count = int.from_bytes(size)
        piece = questions.read(count)
        if len(piece) < count:
            return
        yield piece
