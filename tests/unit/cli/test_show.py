# SPDX-License-Identifier: Apache-2.0
"""`tally show`."""

from __future__ import annotations

from tests.command import tally


def test_it_says_that_nothing_was_verified() -> None:
    """A table is no verdict."""
    answer = tally("show", "run.jsonl")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1].startswith("shown, not verified")
    assert "verifies nothing" in tally("--help").out


def test_exit_codes() -> None:
    """Shown, no receipt, wrong usage, unreadable."""
    paths = ("run.jsonl", "garbage.json", "nowhere", "empty.jsonl")
    assert [tally("show", path).code for path in paths] == [0, 1, 3, 3]
    assert tally("show").code == 2
