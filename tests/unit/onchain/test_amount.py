# SPDX-License-Identifier: Apache-2.0
"""Amounts and durations as people write them, exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.errors import PostingError
from tallystick.onchain.amount import parse_amount, parse_duration, shown_amount


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("1 ether", 10**18),
        ("0.1ether", 10**17),
        ("0.000000000000000001 eth", 1),
        ("30 gwei", 30 * 10**9),
        ("5wei", 5),
        ("0 ether", 0),
    ],
)
def test_amounts(text: str, wei: int) -> None:
    """Each unit, with and without a space; no float is in between."""
    assert parse_amount(text) == wei


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.5", "-1 ether", "1,5 ether", "1e3 wei", "0.5 wei", "1. ether", "1  ether",
     "0.0000000001 gwei", "99999999999999 ether", "1 Ether", "\u0661 ether"],
)  # fmt: skip
def test_texts_that_are_no_amount(text: str) -> None:
    """A number without a unit is refused: nobody should guess whether it was wei."""
    with pytest.raises(PostingError):
        parse_amount(text)


@given(st.integers(min_value=0, max_value=(1 << 96) - 1))
def test_what_is_shown_is_read_back(wei: int) -> None:
    """No amount loses a wei on its way to people and back."""
    assert parse_amount(shown_amount(wei)) == wei


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("7d", 604800)]
)
def test_durations(text: str, seconds: int) -> None:
    """Seconds, minutes, hours and days; nothing else."""
    assert parse_duration(text) == seconds
    with pytest.raises(PostingError):
        parse_duration(text[:-1])
