# SPDX-License-Identifier: Apache-2.0
"""The program of a checker process: pieces of packed signatures come in, answers go out.

It ends with its input, and so with the process that began it.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from tallystick.crypto.checking import check_packed

SIZE_BYTES: Final = 4


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer each piece, which its size precedes, until there are no more."""
    while len(size := questions.read(SIZE_BYTES)) == SIZE_BYTES:
        count = int.from_bytes(size)
        piece = questions.read(count)
        if len(piece) < count:
            return
        answers.write(check_packed(piece))
        answers.flush()
