# SPDX-License-Identifier: Apache-2.0
"""`tally hub owner`: usage; tests/sessions/hub_panel.txt has the rest."""

from __future__ import annotations

import pytest
from tests.command import tally

NODE = ("--rpc", "http://127.0.0.1:1", "--signer", "absent.json")


@pytest.mark.parametrize(
    "given",
    [(), ("offer",), ("offer", "0x12"), ("window",), ("accept", "me"), ("pause", "7d")],
)
def test_what_is_wrong_is_told_first(given: tuple[str, ...]) -> None:
    """A missing verb, address or duration ends a command before a chain is asked."""
    assert tally("hub", "owner", *given, *(NODE if given else ())).code == 2


def test_no_node() -> None:
    """A node that does not answer: 3."""
    assert tally("hub", "owner", "show", *NODE[:2]).code == 3
