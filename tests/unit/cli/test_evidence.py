# SPDX-License-Identifier: Apache-2.0
"""`tally evidence`: its verbs; the whole dialogue is in `tests/sessions/evidence.txt`."""

from __future__ import annotations

from tests.command import tally


def test_the_verbs_are_listed() -> None:
    """Help names every verb, and a verb that is not there is wrong usage."""
    shown = tally("evidence", "--help").out
    for verb in ("make", "verify", "prove", "show", "extract", "log"):
        assert f"\n  {verb} " in shown
        assert tally("evidence", verb, "--help").code == 0
    assert tally("evidence", "launder").code == 2
