# SPDX-License-Identifier: Apache-2.0
"""`tally hub register`, `bond`, `withdraw`, `claim`: usage; tests/sessions/hub.txt has the rest."""

from __future__ import annotations

import pytest
from tests.command import tally

NODE = ("--rpc", "http://127.0.0.1:1")


@pytest.mark.parametrize("given", [(), ("1 ether", "--finish"), ("--finish", "--cancel")])
def test_withdraw_asks_or_finishes(given: tuple[str, ...]) -> None:
    """One of the two, and not both."""
    answer = tally("hub", "withdraw", *given, *NODE)
    assert answer.code == 2
    assert "--finish" in answer.err


def test_amounts_have_units() -> None:
    """A bare number is no amount, and nothing is sent for it."""
    answer = tally("hub", "bond", "1", *NODE)
    assert answer.code == 2
    assert "wanted is a number with its unit, as 1ether" in answer.err


def test_metadata_is_read_first() -> None:
    """A file that is not there is told of before a chain is asked."""
    assert tally("hub", "register", "--metadata", "absent", *NODE).code == 3
