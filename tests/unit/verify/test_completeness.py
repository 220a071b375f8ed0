# SPDX-License-Identifier: Apache-2.0
"""Chains that were removed as a whole are missed by those that speak of them.

Cases by hand are vectors (`vectors/input/whole-*`); these here are what a daemon writes.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.ledgers import DAY_MS, Home, chain_of

from tallystick.cli.inputs import opened_sources
from tallystick.daemon.publishing import archived
from tallystick.errors import LogRolledBackError
from tallystick.verify.source import Source
from tallystick.verify.verification import verify_input


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


def found_in(home: Home, *statements: str) -> set[str]:
    """Return what decides the verdict on the store after some statements."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS receipts_update")
        connection.execute("DROP TRIGGER IF EXISTS receipts_delete")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0
    with opened_sources([str(home.db)]) as (sources, _):
        report = verify_input(sources, [home.public.read_text(), *archived(home.public)])
    return {code for code in report.codes() if code.isupper()}


def day_of(receipt: dict[str, Any]) -> str:
    """Return the day of the chain that a receipt stands in."""
    return str(chain_of(receipt)["chain_id"])[:10]


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
        "CHAIN_MISSING"
    }


def test_a_first_day_that_is_missing(home: Home) -> None:
    """The one after it still says that it was not the first."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id LIKE '2026-03-10%'") == {
        "CHAIN_MISSING"
    }


def test_an_agent_that_is_missing(home: Home) -> None:
    """Its root has announced it."""
    assert found_in(home, "DELETE FROM receipts WHERE chain_id = '2026-03-10/agent/b'") == {
        "CHAIN_MISSING"
    }


def test_ends_that_are_missing(home: Home) -> None:
    """A root's end is named by the next root; an agent's can't lack where the root has its own."""
    cut = "DELETE FROM receipts WHERE terminal = 1 AND chain_id ="
    assert found_in(home, f"{cut} '2026-03-11/agent/a'") == {"CHAIN_CUT"}
    assert found_in(home, f"{cut} '2026-03-10'") == {"CHAIN_CUT", "CHAIN_MISSING"}


@pytest.mark.parametrize(
    "gone",
    [
        "chain_id LIKE '2026-03-13%' AND (terminal = 1 OR sequence > 2)",
        "chain_id LIKE '2026-03-13%'",
    ],
)
def test_nothing_in_the_store_speaks_of_the_newest_root(home: Home, gone: str) -> None:
    """Its end, or all of it, is noticed by the daemon, and not by who has the store alone."""
    ledger = home.open()
    ledger.commit([home.frame(), *[home.frame(agent_id="a")] * 3])
    ledger.close()
    assert found_in(home, f"DELETE FROM receipts WHERE {gone}") == set()
    with pytest.raises(LogRolledBackError, match="is behind what was acknowledged"):
        home.open()


def test_a_part_of_a_store_lacks_nothing(home: Home) -> None:
    """Receipts of one day, taken out of the store, are no store that has to be whole."""
    part = [one for one in home.receipts() if day_of(one) == "2026-03-11"]
    assert verify_input([Source(part)], home.public.read_text()).verified


def test_what_was_not_read_may_be_there(home: Home) -> None:
    """Where a source breaks off, nothing is called missing: that it broke off is the finding."""
    rest = [one for one in home.receipts() if day_of(one) != "2026-03-10"]
    lines = [json.dumps(one).encode() for one in rest]
    key = home.public.read_text()
    assert verify_input([Source(lines, whole=True)], key).codes() == ["CHAIN_MISSING"]
    report = verify_input([Source(_Broken(lines), whole=True)], key)
    assert "SOURCE_UNREADABLE" in report.codes()
    assert "CHAIN_MISSING" not in report.codes()


class _Broken:
    """A stream that gives its lines, and then fails."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self._next = iter(lines)

    def seekable(self) -> bool:
        """Say that it can be read again."""
        return True

    def tell(self) -> int:
        """Return the beginning."""
        return 0

    def seek(self, _offset: int) -> int:
        """Go back to the beginning."""
        self._next = iter(self._lines)
        return 0

    def read(self, _size: int) -> bytes:
        """Fail."""
        raise OSError(5, "gone")

    def readline(self, _size: int) -> bytes:
        """Give a line, or fail."""
        line = next(self._next, None)
        if line is None:
            raise OSError(5, "gone")
        return line + b"\n"
