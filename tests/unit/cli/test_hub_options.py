# SPDX-License-Identifier: Apache-2.0
"""What all verbs of `tally hub` share; tests/sessions/hub.txt shows them at work."""

from __future__ import annotations

import click
import pytest

from tallystick.cli.hub_options import address, exits, word
from tallystick.cli.output import Exit, Stop
from tallystick.errors import NodeError, PostingError, RevertError, SpendRefused, UnminedError


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RevertError("x"), Exit.REFUSED),
        (SpendRefused("x"), Exit.REFUSED),
        (UnminedError("x"), Exit.UNCHECKED),
        (NodeError("x", is_transient=True), Exit.UNCHECKED),
        (PostingError("x"), Exit.USAGE),
    ],
)
def test_faults_have_exit_codes(fault: Exception, code: Exit) -> None:
    """Refused by a contract or a cap: 1. Wrong usage: 2. Not possible now: 3."""
    with pytest.raises(Stop) as caught, exits():
        raise fault
    assert caught.value.code is code


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "1" * 63, "g" * 64, "0x" + "1" * 65, " " + "1" * 63]
)
def test_identifiers_that_are_none(text: str) -> None:
    """32 bytes in hexadecimal digits."""
    assert word("0x" + "1f" * 32, "an id") == word("1f" * 32, "an id") == b"\x1f" * 32
    with pytest.raises(click.BadParameter, match="an id is 0x"):
        word(text, "an id")


def test_addresses() -> None:
    """Written with their checksum; a typing error ends the command."""
    good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert address(good.lower()) == good
    with pytest.raises(Stop, match="typing error"):
        address("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
