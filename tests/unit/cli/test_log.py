# SPDX-License-Identifier: Apache-2.0
"""`tally log`."""

from __future__ import annotations

from tests.command import tally


def test_three_verbs() -> None:
    """The group names what it can do; each has help with examples."""
    told = tally("log", "--help").out
    for verb in ("verify", "monitor", "judge"):
        assert verb in told
        text = tally("log", verb, "--help").out
        assert "Examples" in text
        assert "Exit codes" in text
