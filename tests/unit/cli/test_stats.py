# SPDX-License-Identifier: Apache-2.0
"""`tally stats`: counts that agree with the receipts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command import tally
from tests.stored import AGENT, ROOT, fill


def test_counts_agree(place: Path) -> None:
    """Receipts, chains, sessions and outcomes, as JSON and for people."""
    home = fill(place / "d")
    answer = tally("stats", "--store", str(home.db), "--json")
    told = json.loads(answer.out)
    receipts = home.receipts()
    assert (answer.code, told["receipts"]) == (0, len(receipts))
    assert told["sessions"] == 4
    assert [one["chain_id"] for one in told["chains"]] == [ROOT, AGENT]
    assert all(one["closed"] for one in told["chains"])
    assert sum(told["status"].values()) == sum(told["risk_level"].values()) == len(receipts)
    assert told["tool_name"]["Bash"] == 1
    text = tally("stats", "--store", str(home.db)).out
    assert f"{len(receipts)} receipts, 2 chains, 4 sessions" in text
    assert AGENT in text
