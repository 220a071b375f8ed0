# SPDX-License-Identifier: Apache-2.0
"""The program of a checker process: pieces of packed signatures come in, answers go out.

It ends with its input, and so with the process that began it.
"""

from __future__ import annotations

from typing import BinaryIO

from tallystick.crypto.checking import check_packed
from tallystick.verify.pieces import pieces


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer each piece, until there are no more."""
    for piece in pieces(questions):
        answers.write(check_packed(piece))
        answers.flush()
