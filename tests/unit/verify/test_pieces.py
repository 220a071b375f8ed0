# SPDX-License-Identifier: Apache-2.0
"""Pieces in a pipe."""

from __future__ import annotations

from io import BytesIO

import pytest

from tallystick.verify.pieces import framed, pieces, take_pieces


def test_what_was_framed_is_read_back_in_order() -> None:
    """Each piece comes out as it went in, an empty one, too."""
    given = [b"one", b"", bytes(1000)]
    assert list(pieces(BytesIO(b"".join(map(framed, given))))) == given


@pytest.mark.parametrize("cut", [1, 3, 4, 6])
def test_a_piece_that_is_cut_is_none(cut: int) -> None:
    """Whoever writes has gone in the middle of it: the whole ones count."""
    data = framed(b"one")
    assert list(pieces(BytesIO(data + data[:cut]))) == [b"one"]


def test_pieces_are_taken_as_they_come() -> None:
    """Whole ones come out in order; what is there of the next one stays for later."""
    given = [b"one", b"", bytes(1000)]
    received, found = bytearray(), []
    data = b"".join(map(framed, given))
    for at in range(0, len(data), 7):
        received += data[at : at + 7]
        found += take_pieces(received, 1000)
    assert found == given
    assert not received


def test_a_piece_over_the_bound_is_refused_at_its_size() -> None:
    """Nobody waits for gigabytes that a broken process has announced."""
    with pytest.raises(ValueError, match="1001 bytes"):
        take_pieces(bytearray(framed(bytes(1001))[:4]), 1000)
