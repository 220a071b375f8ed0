# SPDX-License-Identifier: Apache-2.0
"""Pieces in a pipe."""

from __future__ import annotations

from io import BytesIO

import pytest

from tallystick.verify.pieces import framed, pieces


def test_what_was_framed_is_read_back_in_order() -> None:
    """Each piece comes out as it went in, an empty one, too."""
    given = [b"one", b"", bytes(1000)]
    assert list(pieces(BytesIO(b"".join(map(framed, given))))) == given


@pytest.mark.parametrize("cut", [1, 3, 4, 6])
def test_a_piece_that_is_cut_is_none(cut: int) -> None:
    """Whoever writes has gone in the middle of it: the whole ones count."""
    data = framed(b"one")
    assert list(pieces(BytesIO(data + data[:cut]))) == [b"one"]
