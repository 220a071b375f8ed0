# SPDX-License-Identifier: Apache-2.0
"""The verbs of `tally mcp`."""

from __future__ import annotations

from tests.command import tally


def test_the_verbs() -> None:
    """Each is told of, and has a page of its own."""
    listed = tally("mcp", "--help").out
    for verb in ("run", "check", "approvals", "install"):
        assert f"  {verb} " in listed
        assert tally("mcp", verb, "--help").code == 0
    assert tally("mcp", "fly").code == 2
