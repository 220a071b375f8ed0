# SPDX-License-Identifier: Apache-2.0
"""A frame with what is known of its sender."""

from __future__ import annotations

import pytest
from tests.frames import body
from tests.ledgers import NOON_MS, PEER, frame
from tests.portions import plain_frame, stated_frame

from tallystick.daemon.attested import AttestedFrame


def test_it_is_a_plain_fact() -> None:
    """It holds what it was given, on time unless it says otherwise, and can't be changed."""
    one = AttestedFrame(frame=frame(), peer=PEER, received_ns=5)
    assert (one.frame, one.peer, one.received_ns, one.late) == (frame(), PEER, 5, False)
    with pytest.raises(AttributeError):
        one.late = True  # type: ignore[misc]  # that is the point


def test_one_that_was_stated_ahead_is_known_as_it_arrived() -> None:
    """Where its statement does not fit, all that is needed to state it anew is there."""
    one = body(ack=True, error="no such file")
    stated = stated_frame(one, NOON_MS + 5, stated_ms=NOON_MS)
    assert stated.attested() == plain_frame(one, NOON_MS + 5)
    assert stated.attested().is_parsed


def test_losses_before_a_frame_are_told() -> None:
    """By its emitter; where there are any it is not stated ahead."""
    assert plain_frame(body(drop_count=3)).drop_count == 3
    assert plain_frame(body()).drop_count == stated_frame(body()).drop_count == 0
