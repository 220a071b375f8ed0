# SPDX-License-Identifier: Apache-2.0
"""A frame with what is known of its sender."""

from __future__ import annotations

import pytest
from tests.ledgers import PEER, frame

from tallystick.daemon.attested import AttestedFrame


def test_it_is_a_plain_fact() -> None:
    """It holds what it was given, on time unless it says otherwise, and can't be changed."""
    one = AttestedFrame(frame=frame(), peer=PEER, received_ns=5)
    assert (one.frame, one.peer, one.received_ns, one.late) == (frame(), PEER, 5, False)
    with pytest.raises(AttributeError):
        one.late = True  # type: ignore[misc]  # that is the point
