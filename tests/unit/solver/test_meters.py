# SPDX-License-Identifier: Apache-2.0
"""The table of meters: each with a purpose, in names of Prometheus."""

from __future__ import annotations

import re

from tallystick.serve.metrics import Meters
from tallystick.solver.meters import METERS


def test_names_follow_the_convention() -> None:
    """Counters end in `_total`, times in seconds, and nothing is there twice."""
    names = [one.name for one in METERS]
    assert len(set(names)) == len(names)
    for one in METERS:
        assert re.fullmatch(r"tally_[a-z_]+", one.name)
        assert (one.kind == "counter") is one.name.endswith("_total")
        assert one.kind != "histogram" or one.name.endswith("_seconds")
        assert one.purpose.endswith(".")


def test_all_of_them_are_rendered() -> None:
    """Each meter shows up, also before anything was counted."""
    text = Meters(METERS).render().decode()
    for one in METERS:
        assert f"# HELP {one.name.removesuffix('_total')}" in text
