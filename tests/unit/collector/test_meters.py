# SPDX-License-Identifier: Apache-2.0
"""The table of what a collector counts."""

from __future__ import annotations

from tallystick.collector.meters import METERS
from tallystick.serve.metrics import Meters


def test_names_follow_the_convention() -> None:
    """One prefix, units last, counters end in _total, and each says what it is."""
    for meter in METERS:
        assert meter.name.startswith("tally_")
        assert meter.name.endswith("_total") is (meter.kind == "counter")
        assert meter.purpose.endswith(".")
    assert len({meter.name for meter in METERS}) == len(METERS)


def test_all_can_be_made() -> None:
    """And are rendered before anything was counted."""
    text = Meters(METERS).render().decode()
    assert all(f"# HELP {meter.name.removesuffix('_total')}" in text for meter in METERS)
