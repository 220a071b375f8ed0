# SPDX-License-Identifier: Apache-2.0
"""What a drafted transaction holds: enough to store it, to answer, and to take it back."""

from __future__ import annotations

from pathlib import Path

from tests.ledgers import Home

from tallystick.model.frame import Acknowledgement


def test_a_draft_says_what_will_be_written(tmp_path: Path) -> None:
    """A row for each receipt, the heads behind them, and what was lost."""
    home = Home(tmp_path)
    ledger = home.open()
    ledger.losses.note("FRAME_JSON", home.now_ms)
    drafted = ledger.draft([home.frame(), home.frame(agent_id="a")])
    assert home.receipts() == []
    assert [one[1] for one in drafted.rows] == [
        "2026-03-10",
        "2026-03-10",
        "2026-03-10/agent/a",
        "2026-03-10",
    ]
    assert {one.chain_id: one.sequence for one in drafted.heads} == {
        "2026-03-10": 3,
        "2026-03-10/agent/a": 1,
    }
    assert drafted.closed == []
    assert drafted.losses is not None and drafted.losses[0] == {"FRAME_JSON": 1}
    assert all(isinstance(one, Acknowledgement) for one in drafted.answers)
    assert ledger.write(drafted) == drafted.answers
    assert len(home.receipts()) == 4
    ledger.close()
