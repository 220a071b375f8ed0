# SPDX-License-Identifier: Apache-2.0
"""Losses are counted until a receipt says so, and never twice."""

from __future__ import annotations

from tallystick.daemon.losses import Losses, told
from tallystick.limits import JSON_INTEGER_MAX, LOSS_REASONS_MAX


def test_counts_reasons_and_the_time_between() -> None:
    """What is taken is what was noted; then it begins anew."""
    losses = Losses()
    assert not losses
    assert losses.take() is None
    losses.note("A", 50)
    losses.note("B", 10, 3)
    losses.note("A", 30)
    assert losses
    taken = losses.take()
    assert taken == ({"A": 2, "B": 3}, 10, 50)
    assert losses.take() is None
    losses.note("A", 70)
    losses.give_back(taken)
    assert losses.take() == ({"A": 3, "B": 3}, 10, 70)
    losses.give_back(None)
    assert not losses


def test_reasons_are_bounded() -> None:
    """Too many reasons are counted as one; too large numbers stay what JSON holds."""
    losses = Losses()
    for number in range(LOSS_REASONS_MAX + 10):
        losses.note(f"R{number}", 1)
    losses.note("R0", 1, JSON_INTEGER_MAX)
    taken = losses.take()
    assert taken is not None
    assert len(taken[0]) == LOSS_REASONS_MAX + 1
    assert taken[0]["OTHER"] == 10
    count, facts = told(taken)
    assert count == facts.reasons["R0"] == JSON_INTEGER_MAX
    assert facts.since == facts.until == "1970-01-01T00:00:00.001Z"
