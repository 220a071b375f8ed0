# SPDX-License-Identifier: Apache-2.0
"""`tally hub watch`: it spends nothing that nobody allowed."""

from __future__ import annotations

from tests.command import tally


def test_spending_wants_a_cap() -> None:
    """--prove and --ask without --spend are refused; --respond wants the bundles."""
    node = ("--rpc", "embedded", "--home", "chain", "--once")
    for options in (("--prove",), ("--ask",), ("--prove", "--spend", "0 ether")):
        answer = tally("hub", "watch", *options, *node)
        assert answer.code == 2
        assert "--spend" in answer.err
    assert tally("hub", "watch", "--respond", *node).code == 2
