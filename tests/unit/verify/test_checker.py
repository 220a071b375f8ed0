# SPDX-License-Identifier: Apache-2.0
"""The program of a checker process."""

from __future__ import annotations

import io

import pytest

from tallystick.crypto.checking import pack
from tallystick.crypto.ed25519 import SigningKey
from tallystick.verify.checker import serve
from tallystick.verify.pieces import framed

KEY = SigningKey.from_seed(bytes(32))
GOOD = (KEY.sign(b"m"), b"m", KEY.public_key)
BAD = (KEY.sign(b"m"), b"n", KEY.public_key)


def answers_to(data: bytes) -> bytes:
    answers = io.BytesIO()
    serve(io.BytesIO(data), answers)
    return answers.getvalue()


def test_each_piece_is_answered() -> None:
    """Pieces come one after another, and a byte goes out for each question."""
    data = framed(pack([GOOD, BAD])) + framed(b"") + framed(pack([GOOD]))
    assert answers_to(data) == b"\x01\x00\x01"


@pytest.mark.parametrize("cut", [1, 3, 4, 50])
def test_it_ends_where_its_input_is_cut(cut: int) -> None:
    """What was given in whole is answered; half a piece is not."""
    data = framed(pack([BAD]))
    assert answers_to(data + data[:cut]) == b"\x00"
