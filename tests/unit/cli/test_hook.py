# SPDX-License-Identifier: Apache-2.0
"""`tally hook` lists its verbs."""

from __future__ import annotations

from tests.command import tally


def test_the_group_lists_its_verbs() -> None:
    """Help names them, and an unknown one is a fault of usage."""
    answer = tally("hook", "--help")
    assert answer.code == 0
    assert "install" in answer.out
    assert tally("hook", "frobnicate").code == 2
