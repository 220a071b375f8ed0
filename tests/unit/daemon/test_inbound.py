# SPDX-License-Identifier: Apache-2.0
"""Bytes of a connection, cut into frames."""

from __future__ import annotations

from itertools import pairwise
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.daemon.inbound import Inbound
from tallystick.limits import FRAME_BYTES_MAX


def framed(*bodies: bytes) -> bytes:
    return b"".join(pack(">I", len(body)) + body for body in bodies)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_it_does_not_matter_how_bytes_are_cut(bodies: list[bytes], data: st.DataObject) -> None:
    """The same frames come out, wherever the pieces begin and end."""
    whole = framed(*bodies)
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=10))
    places = [0, *sorted(cuts), len(whole)]
    inbound, found = Inbound(), []
    for start, end in pairwise(places):
        taken, fault = inbound.take(whole[start:end])
        assert fault is None
        found += taken
    assert (found, len(inbound)) == (bodies, 0)


def test_what_is_not_whole_is_counted() -> None:
    """Bytes of an unfinished frame are known, so that they can be bounded."""
    inbound = Inbound()
    assert inbound.take(framed(b"one") + b"\0\0") == ([b"one"], None)
    assert len(inbound) == 2


@pytest.mark.parametrize("size", [0, FRAME_BYTES_MAX + 1, 2**32 - 1])
def test_a_length_that_no_frame_has_ends_it(size: int) -> None:
    """What came before counts; what comes after can't be told apart any more."""
    inbound = Inbound()
    bodies, fault = inbound.take(framed(b"one") + pack(">I", size) + b"rest")
    assert bodies == [b"one"]
    assert fault is not None
    assert fault.code == "FRAME_SIZE"
    assert len(inbound) == 0


def test_the_largest_frame_comes_in_pieces() -> None:
    """A frame of exactly the limit is taken."""
    body = bytes(FRAME_BYTES_MAX)
    whole = framed(body, b"x")
    inbound, found = Inbound(), []
    for start in range(0, len(whole), 65536):
        taken, fault = inbound.take(whole[start : start + 65536])
        assert fault is None
        found += taken
    assert found == [body, b"x"]
