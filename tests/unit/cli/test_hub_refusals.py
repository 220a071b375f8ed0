# SPDX-License-Identifier: Apache-2.0
"""Every refusal of the contracts has words, and there are no words for what none says."""

from __future__ import annotations

from tallystick.cli.hub_refusals import MEANING
from tallystick.onchain.artifact import error_names


def test_every_refusal_has_words() -> None:
    """The table has the errors of the three contracts, no more and no fewer, in order."""
    assert set(MEANING) == set(error_names().values())
    assert list(MEANING) == sorted(MEANING)


def test_words_are_one_clause() -> None:
    """They follow a colon in one line: no capital, no full stop, short enough for a terminal."""
    for words in MEANING.values():
        assert words[0].islower()
        assert not words.endswith(".")
        assert "\n" not in words
        assert len(words) <= 100
