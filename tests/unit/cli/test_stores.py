# SPDX-License-Identifier: Apache-2.0
"""Where the store is, and what a filter means."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import click
import msgspec
import pytest
from tests.command import tally
from tests.ledgers import Home
from tests.privileges import unprivileged
from tests.stored import fill
from tests.stores import loosened

from tallystick.cli.output import Exit, Stop
from tallystick.cli.stores import filter_of, opened, row_of, store_path
from tallystick.store.ledger_reads import Filter

NOW = 1_773_144_000_000_000_000  # 2026-03-10T12:00:00Z
NOTHING = dict.fromkeys(Filter.__struct_fields__)
COLUMNS = (
    "id",
    "chain_id",
    "sequence",
    "action_type",
    "tool_name",
    "risk_level",
    "status",
    "timestamp",
    "issuer_id",
    "principal_id",
    "receipt_json",
    "receipt_hash",
    "previous_receipt_hash",
    "created_at",
    "session_id",
    "terminal",
)
STRANGE = (
    "NULL",
    "''",
    "x'ff'",
    "-1",
    "1e300",
    "9223372036854775807",
    f"'{'9' * 100_000}'",
    "CAST(x'ff' AS TEXT)",
    "char(27) || char(10)",
)
# No receipt says when its row was made; a row closes its chain whatever its number, but 0.
UNTOLD = ("created_at", "terminal")
# What these columns hold of a receipt that closes a chain.
POSSIBLE = (("tool_name", "''"), ("session_id", "''"))


def test_where_the_store_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As told, else as the environment says, else where daemons keep it."""
    monkeypatch.setenv("AGENTRECEIPTS_DB", "/x/y.db")
    assert store_path("/a.db") == "/a.db"
    assert store_path(None) == "/x/y.db"
    monkeypatch.delenv("AGENTRECEIPTS_DB")
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    with pytest.raises(Stop, match="--store"):
        store_path(None)
    (place / "agent-receipts").mkdir()
    (place / "agent-receipts" / "receipts.db").touch()
    assert store_path(None) == str(place / "agent-receipts" / "receipts.db")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00.123456+01:00", "2026-01-31T11:00:00.123Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("90s", "2026-03-10T11:58:30.000Z"),
        ("2h", "2026-03-10T10:00:00.000Z"),
        ("1w", "2026-03-03T12:00:00.000Z"),
    ],
)
def test_times_and_ages(given: str, told: str) -> None:
    """Each time becomes what receipts have, so that texts compare as times do."""
    assert filter_of(NOTHING | {"since": given}, NOW).since == told


@pytest.mark.parametrize("given", ["yesterday", "2026-13-01T00:00:00Z", "5y", "", "2026-02-30"])
def test_what_is_no_time(given: str) -> None:
    """It is a fault of usage."""
    with pytest.raises(click.UsageError):
        filter_of(NOTHING | {"until": given}, NOW)


def test_what_can_not_be_opened(place: Path) -> None:
    """Missing is exit code 3, no store of a daemon is 1."""
    with pytest.raises(Stop) as caught:
        opened("nowhere.db").__enter__()
    assert caught.value.code == 3
    with pytest.raises(Stop) as caught:
        opened("run.jsonl").__enter__()
    assert caught.value.code == 1
    with opened(str(fill(place / "d").db)) as reader:
        assert reader.count() > 0


def test_a_denied_action_is_told_from_one_that_failed(place: Path) -> None:
    """Both are failures to the protocol; a list says which of them was not let happen."""
    home = Home(place)
    ledger = home.open()
    ledger.commit([home.frame(decision="denied", error="by a rule"), home.frame(error="no")])
    ledger.close()
    with opened(str(home.db)) as reader:
        rows = [row_of(one)[-1] for one in reader.newest(Filter(), limit=3)]
    assert rows == ["success, closes", "failure", "failure, denied"]


@pytest.mark.parametrize(
    "body", [b'x"decision":"denied"', b'["decision":"denied"', b'{"issuer":{"decision":"denied"}}']
)
def test_what_a_store_holds_may_be_no_receipt(place: Path, body: bytes) -> None:
    """A damaged row is listed all the same."""
    with opened(str(fill(place / "d").db)) as reader:
        (one,) = reader.newest(Filter(), limit=1)
    assert row_of(msgspec.structs.replace(one, body=body))[-1] == "success, closes"


@pytest.mark.parametrize("column", COLUMNS)
def test_whatever_a_column_holds_each_verb_ends(place: Path, column: str) -> None:
    """On a store that somebody has written into nothing crashes, and `verify` tells."""
    home = fill(place / "d")
    given, newest = str(home.db), home.receipts()[-1]["id"]
    loosened(home.db)
    sound = home.db.read_bytes()
    for strange in STRANGE:
        home.db.write_bytes(sound)
        with closing(sqlite3.connect(home.db)) as connection, connection:
            last = "SELECT max(rowid) FROM receipts"
            connection.execute(f"UPDATE receipts SET {column} = {strange} WHERE rowid = ({last})")
        for verb in (
            ("list", "--store", given),
            ("list", "--store", given, "--json"),
            ("tail", "--store", given),
            ("show", "--store", given, newest),
            ("show", "--store", given, "1"),
            ("stats", "--store", given),
            ("stats", "--store", given, "--json"),
            ("export", "--store", given),
            ("daemon", "doctor", "--db", given, "--key", str(home.key)),
        ):
            answer = tally(*verb)
            assert answer.code in {0, 1, 2, 3}, (verb, strange[:30], answer.err)
            assert "bug of ours" not in answer.err, (verb, strange[:30], answer.err)
        answer = tally("verify", "--store", given, "--key", str(home.public))
        is_told = (column, strange) not in POSSIBLE and column not in UNTOLD
        assert not is_told or answer.code in {1, 3}, (strange[:30], answer.out)
        assert "bug of ours" not in answer.err, (strange[:30], answer.err)


def test_a_store_that_is_out_of_sight_may_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is not in the readers' group, or not logged in anew, is not told that there is none."""
    monkeypatch.delenv("AGENTRECEIPTS_DB", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "agent-receipts"
    fill(folder)
    assert store_path(None) == str(folder / "receipts.db")
    folder.chmod(0 if os.geteuid() else 0o700)
    try:
        with unprivileged(), pytest.raises(Stop) as caught:
            store_path(None)
    finally:
        folder.chmod(0o700)
    assert caught.value.code is Exit.UNCHECKED
    assert f"may not see whether a store is at {folder}/receipts.db" in caught.value.line
    assert "add the user to the readers' group, and log in anew, or name" in caught.value.line
