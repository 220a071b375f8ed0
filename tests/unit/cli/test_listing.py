# SPDX-License-Identifier: Apache-2.0
"""`tally list`: newest first, filtered, and never taken for a verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.command import tally
from tests.ledgers import Home
from tests.stored import ROOT, fill


@pytest.fixture(autouse=True)
def _store(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTRECEIPTS_DB", str(fill(place / "d").db))


def listed(*arguments: str) -> list[dict[str, Any]]:
    answer = tally("list", "--json", *arguments)
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_the_newest_come_first() -> None:
    """A table with a last line that says what it is not."""
    answer = tally("list", "--limit", "2")
    assert answer.code == 0
    assert "not verified" in answer.out.splitlines()[-1]
    moments = [one["issuanceDate"] for one in listed()]
    assert moments == sorted(moments, reverse=True)


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (["--tool", "Bash"], 1),
        (["--risk", "critical"], 1),
        (["--status", "failure", "--chain", ROOT], 1),
        (["--session", "s9"], 2),
        (["--text", "no such file"], 1),
        (["--since", "2026-03-10T12:00:02Z", "--until", "2026-03-10T12:00:03Z"], 1),
        (["--session", "s0", "--tool", "Read"], 1),
    ],
)
def test_all_filters_must_hold(filters: list[str], count: int) -> None:
    """Each filter leaves what it names, and several leave what all name."""
    types = [one["credentialSubject"]["action"]["type"] for one in listed(*filters)]
    assert len([one for one in types if not one.startswith("agent_receipts.")]) == count


def test_nothing_like_that() -> None:
    """An empty answer is no success: exit code 3."""
    answer = tally("list", "--tool", "nobody")
    assert answer.code == 3
    assert answer.out == ""


def test_a_store_without_receipts(tmp_path: Path) -> None:
    """No filter is to blame, also where none was given."""
    home = Home(tmp_path)
    home.open().close()
    answer = tally("list", "--store", str(home.db))
    assert (answer.code, answer.err) == (3, "tally: the store holds no receipt yet\n")


def test_names_of_strangers_do_not_reach_the_terminal(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text with escape sequences is shown as what it is."""
    home = fill(place / "e", is_closed=True)
    ledger = home.open()
    ledger.commit([home.frame(session_id="x", target_system="s", target_resource="\x1b[2J\nok")])
    ledger.close()
    monkeypatch.setenv("AGENTRECEIPTS_DB", str(home.db))
    for verb in (["list"], ["tail"], ["stats"], ["show", "--store", str(home.db)]):
        assert "\x1b[2J" not in tally(*verb).out
