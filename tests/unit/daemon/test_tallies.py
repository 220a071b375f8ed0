# SPDX-License-Identifier: Apache-2.0
"""What the daemon counts of itself."""

from __future__ import annotations

from tallystick.daemon.tallies import Tallies
from tallystick.limits import COMMITS_TIMED_MAX


def test_times_of_recent_commits() -> None:
    """Median, last hundredth and longest, over the commits that are remembered."""
    tallies = Tallies()
    assert tallies.commit_us() == {}
    for number in range(1, COMMITS_TIMED_MAX + 101):
        tallies.note_commit(2, number * 1000)
    assert tallies.commit_us() == {"p50": 612, "p99": 1113, "max": 1124}
    assert tallies.receipts == 2248


def test_counts_are_told_by_name() -> None:
    """All numbers, and nothing of the inside."""
    tallies = Tallies()
    tallies.rejected["FRAME_JSON"] += 1
    told = tallies.as_dict()
    assert told["rejected"] == {"FRAME_JSON": 1}
    assert not [name for name in told if name.startswith("_")]
