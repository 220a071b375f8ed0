# SPDX-License-Identifier: Apache-2.0
"""A daemon's store with a few receipts in it, for the verbs that read stores."""

from __future__ import annotations

from pathlib import Path

from tests.ledgers import DAY_MS, Home

from tallystick.model.frame import Tool

# Written: 3 of the root, 2 of the sub-agent with its beginning in the root, and the closing ones.
RECEIPTS = 8
ROOT = "2026-03-10"
AGENT = f"{ROOT}/agent/a1"


def fill(folder: Path, *, is_closed: bool = True) -> Home:
    """Make a store in a new folder: three actions, two of a sub-agent, then the end of the day."""
    folder.mkdir(exist_ok=True)
    home = Home(folder)
    ledger = home.open()
    for number in range(3):
        home.now_ms += 1000
        tool = Tool(name=("Read", "Bash", "Read")[number])
        ledger.commit(
            [
                home.frame(
                    tool=tool,
                    input={"command": "rm -rf /"} if number == 1 else {"n": number},
                    error="no such file" if number == 2 else None,
                    session_id=f"s{number}",
                )
            ]
        )
    for _ in range(2):
        ledger.commit([home.frame(agent_id="a1", session_id="s9")])
    if is_closed:
        ledger.close()
    return home


def another_day(home: Home) -> None:
    """Let the daemon work on the next day, too."""
    home.now_ms += DAY_MS
    ledger = home.open()
    ledger.commit([home.frame(session_id="s10")])
    ledger.close()
