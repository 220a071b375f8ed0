# SPDX-License-Identifier: Apache-2.0
"""The lines of the status; tests/systems/test_daemon_verbs.py compares them with a daemon's."""

from __future__ import annotations

from tallystick.daemon.figures import FIGURES
from tallystick.limits import COMMITS_TIMED_MAX


def test_each_line_is_told_once() -> None:
    """By its name, with a unit and in whole sentences."""
    names = [one.name for one in FIGURES]
    assert len(set(names)) == len(names) > 40
    for one in FIGURES:
        assert one.unit
        assert one.purpose.endswith(".")
        assert one.purpose[0].isupper()


def test_units_stand_in_names() -> None:
    """Where a name ends with a unit, it is that one; and numbers that are bounds are those."""
    units = {"_s": "seconds", "_ms": "milliseconds", "_us.PART": "microseconds"}
    for one in FIGURES:
        for end, unit in units.items():
            if one.name.endswith(end):
                assert one.unit.startswith(unit)
    (recent,) = (one for one in FIGURES if one.name.startswith("commit.recent"))
    assert f"last {COMMITS_TIMED_MAX} commits" in recent.purpose
