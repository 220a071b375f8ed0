# SPDX-License-Identifier: Apache-2.0
"""`tally hub watch`: it spends nothing that nobody allowed."""

from __future__ import annotations

import pytest
from tests.command import tally

from tallystick.cli.hub_watch import _go_on
from tallystick.errors import NodeError


def test_spending_wants_a_cap() -> None:
    """--prove and --ask without --spend are refused; --respond wants the bundles."""
    node = ("--rpc", "embedded", "--home", "chain", "--once")
    for options in (("--prove",), ("--ask",), ("--prove", "--spend", "0 ether")):
        answer = tally("hub", "watch", *options, *node)
        assert answer.code == 2
        assert "--spend" in answer.err
    assert tally("hub", "watch", "--respond", *node).code == 2


def test_folders_are_there() -> None:
    """A folder of bundles or signed posts that is not there is told of before a chain is asked."""
    for option in ("--bundles", "--signed"):
        answer = tally("hub", "watch", option, "nowhere", "--rpc", "http://127.0.0.1:1", "--once")
        assert answer.code == 2
        assert "nowhere" in answer.err


def test_a_node_that_fails_ends_a_round_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Who ended a watch by it could lie in peace. With --once there is no next round."""
    fault = NodeError("the node is busy", is_transient=True)
    _go_on(fault, {"once": False})
    assert capsys.readouterr().err == "tally: this round: the node is busy\n"
    with pytest.raises(NodeError):
        _go_on(fault, {"once": True})
