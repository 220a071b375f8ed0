# SPDX-License-Identifier: Apache-2.0
"""Chains that were removed as a whole are missed by those that speak of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import DAY_MS, Home

from tallystick.daemon.completeness import absences
from tallystick.store.ledger_reads import LedgerReader


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a store of three days, each with two agents, and a rotation."""
    home = Home(tmp_path)
    for _ in range(3):
        ledger = home.open()
        ledger.commit([home.frame(), home.frame(agent_id="a"), home.frame(agent_id="b")])
        home.now_ms += DAY_MS
        ledger.tick()
        ledger.close()
    return home


def found_in(home: Home, *statements: str) -> set[tuple[str, str]]:
    """Return codes and places of what is absent after some statements."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS receipts_update")
        connection.execute("DROP TRIGGER IF EXISTS receipts_delete")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    with LedgerReader(home.db) as reader:
        return {(one.code, one.where) for one in absences(reader)}


def test_nothing_is_absent_from_a_whole_store(home: Home) -> None:
    """Days, stops, rotations and an open chain at the end: all that is spoken of is there."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id="c")])
    ledger.rotate()
    ledger.commit([home.frame(agent_id="c")])
    assert found_in(home) == set()
    ledger.close()
    assert found_in(home) == set()


def test_a_day_that_is_missing(home: Home) -> None:
    """The next day names it, also where all of its chains are gone."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id LIKE '2026-03-11%'") == {
        ("CHAIN_MISSING", "2026-03-12")
    }


def test_a_first_day_that_is_missing(home: Home) -> None:
    """The one after it still says that it was not the first."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id LIKE '2026-03-10%'") == {
        ("CHAIN_MISSING", "2026-03-11")
    }


def test_an_agent_that_is_missing(home: Home) -> None:
    """Its root has announced it."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id = '2026-03-10/agent/b'") == {
        ("CHAIN_MISSING", "2026-03-10/agent/b")
    }


def test_ends_that_are_missing(home: Home) -> None:
    """A root's end is named by the next root; an agent's can't lack where the root has its own."""
    cut = "DELETE FROM receipts WHERE terminal = 1 AND chain_id ="
    assert found_in(home, f"{cut} '2026-03-10'", f"{cut} '2026-03-11/agent/a'") == {
        ("CHAIN_MISSING", "2026-03-11"),
        ("CHAIN_CUT", "2026-03-11/agent/a"),
    }


def test_a_chain_that_was_put_in_another_ones_place(home: Home) -> None:
    """The head that the next root names has a hash; a chain that nobody announced is told."""
    body = (
        "UPDATE receipts SET receipt_json = replace(receipt_json, 'complete', 'interrupted') "
        "WHERE chain_id = '2026-03-10' AND terminal = 1"
    )
    renamed = (
        "UPDATE receipts SET chain_id = '2026-03-10/agent/x' WHERE chain_id = '2026-03-10/agent/a'"
    )
    assert found_in(home, body, renamed) >= {
        ("CHAIN_REPLACED", "2026-03-11"),
        ("CHAIN_UNANNOUNCED", "2026-03-10/agent/x"),
        ("CHAIN_MISSING", "2026-03-10/agent/a"),
    }
