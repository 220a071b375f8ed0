# SPDX-License-Identifier: Apache-2.0
"""A store is input like a file: the same on each pass, and judged for what no receipt shows."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.command import tally
from tests.ledgers import Home
from tests.stored import ROOT, another_day, fill

from tallystick.cli.ledger_input import LedgerInput, is_store, with_imported
from tallystick.daemon.publishing import archive, published


def edit(path: Path, statement: str, *values: object) -> None:
    """Write into a store as somebody would who owns the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        names = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        for (name,) in base.execute(names).fetchall():
            base.execute(f'DROP TRIGGER "{name}"')
        assert base.execute(statement, values).rowcount


def verify(place: Path, *more: str) -> tuple[int, str]:
    key = str(place / "signing.key.pub")
    answer = tally("verify", "--store", str(place / "receipts.db"), "--key", key, *more)
    return answer.code, answer.out + answer.err


def test_stores_are_told_by_their_first_bytes(place: Path) -> None:
    """A file of receipts is none, nor a pipe, nor what is not there."""
    home = fill(place / "d")
    os.mkfifo(place / "pipe")
    assert is_store(str(home.db))
    assert not any(map(is_store, ("run.jsonl", "pipe", "nowhere", ".", "a\0b")))


def test_each_pass_is_the_same(place: Path) -> None:
    """What comes after the first pass has begun is not read by the second."""
    home = fill(place / "d")
    read = LedgerInput(str(home.db))
    first = list(read)
    another_day(home)
    assert list(read) == first
    assert read.bytes_read == 2 * sum(len(one) for one in first if isinstance(one, bytes))
    assert read.size() > 0
    read.close()


def test_all_chains_are_verified_by_default(place: Path) -> None:
    """Every chain of every day; with the path alone, too."""
    home = fill(place / "d")
    another_day(home)
    code, text = verify(place / "d")
    assert code == 0
    assert text.count("\nchain ") + text.startswith("chain ") >= 3
    assert tally("verify", str(home.db), "--key", str(home.public)).code == 0


def test_a_day_that_was_removed_is_missed(place: Path) -> None:
    """The first receipt of the next day names the chain before it: a gap is refused."""
    home = fill(place / "d")
    another_day(home)
    edit(home.db, "DELETE FROM receipts WHERE chain_id LIKE ?", f"{ROOT}%")
    code, text = verify(place / "d")
    assert code == 1
    assert "CHAIN_MISSING" in text


def test_columns_that_lie_are_refused(place: Path) -> None:
    """An edited column fools a list, and not the verifier."""
    home = fill(place / "d")
    edit(home.db, "UPDATE receipts SET risk_level = 'low' WHERE risk_level <> 'low'")
    code, text = verify(place / "d")
    assert code == 1
    assert "STORE_COLUMN" in text
    assert "risk_level" in text


def test_a_column_that_lies_is_the_fault_of_its_own_receipt(place: Path) -> None:
    """It is told at its place, is no receipt of its own, and moves none behind it."""
    home = fill(place / "d")
    count = len(home.bodies())
    edit(home.db, "UPDATE receipts SET tool_name = 'x' WHERE sequence IN (2, 3)")
    report = json.loads(verify(place / "d", "--json")[1].splitlines()[0])
    lying = [one for one in report["findings"] if one["code"] == "STORE_COLUMN"]
    places = [one["where"].rpartition(":")[2] for one in lying]
    with closing(sqlite3.connect(home.db)) as base:
        rows = base.execute("SELECT sequence FROM receipts ORDER BY rowid").fetchall()
    assert places == [f"receipt[{at}]" for at, (number,) in enumerate(rows) if number in (2, 3)]
    assert report["receipts"] == count
    assert lying[0]["message"] == "the store says something else in column tool_name"
    for verb in ("show", "hash", "export"):
        answer = tally(verb, str(home.db))
        assert answer.code == 1
        assert f"{places[0]}: the store says something else" in answer.err
    assert len(tally("export", str(home.db)).out.splitlines()) == count
    assert len(tally("hash", str(home.db)).out.splitlines()) == count


def test_an_empty_store_is_not_verified(place: Path) -> None:
    """Nothing to verify is not verified."""
    home = fill(place / "d")
    edit(home.db, "DELETE FROM receipts")
    assert verify(place / "d")[0] == 3


def test_imported_chains_stand_beside(place: Path) -> None:
    """Only files of receipts count, in the order of their names."""
    (place / "s.imported").mkdir()
    for name in ("b.jsonl", "a.jsonl", "x.tmp"):
        (place / "s.imported" / name).touch()
    assert with_imported("s") == ["s", "s.imported/a.jsonl", "s.imported/b.jsonl"]
    assert with_imported("t") == ["t"]


def test_a_store_with_forty_rotations(place: Path) -> None:
    """The published key vouches for all before it: none has to be named, and none is too many."""
    home = fill(place / "d")
    for _ in range(40):
        home.now_ms += 1000
        ledger = home.open()
        ledger.commit([home.frame(), home.frame(agent_id="a1")])
        ledger.rotate()
        ledger.close()
    code, text = verify(place / "d")
    assert code == 0, text
    assert text.count("\nchain ") > 80
    assert len(list((place / "d").glob("*.rotated-*"))) == 40


def test_a_key_that_somebody_put_there_counts_for_nothing(place: Path) -> None:
    """Whoever may write beside the key and into the store adds no chain that verifies."""
    home = fill(place / "d")
    ledger = home.open()
    ledger.rotate()
    ledger.close()
    assert verify(place / "d")[0] == 0
    (place / "e").mkdir()
    forged = Home(place / "e")
    forger = forged.open(chain_id="forged")
    forger.commit([forged.frame()])
    forger.close()
    raw = published(forged.public)
    assert raw is not None
    archive(home.public, raw)
    rows = forged.rows()
    with closing(sqlite3.connect(home.db)) as base, base:
        marks = ", ".join("?" * len(rows[0]))
        base.executemany(f"INSERT INTO receipts VALUES ({marks})", rows)
    code, text = verify(place / "d")
    assert code == 1
    assert "SIGNATURE_INVALID" in text
    # Asked for by name, as one that the reader trusts, it counts: that is what --key is for.
    more = ("--key", str(forged.public))
    assert "SIGNATURE_INVALID" not in verify(place / "d", *more)[1]


def test_an_earlier_key_signs_nothing_new(place: Path) -> None:
    """Who gets hold of a key after it was handed over adds no chain that verifies."""
    home = fill(place / "d")
    old_key = home.key.read_bytes()
    ledger = home.open()
    ledger.rotate()
    ledger.close()
    (place / "e").mkdir()
    forged = Home(place / "e", with_key=False)
    forged.key.write_bytes(old_key)
    forged.key.chmod(0o600)
    forged.now_ms = home.now_ms + 1
    forger = forged.open(chain_id="forged")
    forger.commit([forged.frame()])
    forger.close()
    rows = forged.rows()
    with closing(sqlite3.connect(home.db)) as base, base:
        marks = ", ".join("?" * len(rows[0]))
        base.executemany(f"INSERT INTO receipts VALUES ({marks})", rows)
    code, text = verify(place / "d")
    assert code == 1
    assert "KEY_NOT_VALID_THEN" in text


def test_bytes_that_are_not_canonical_are_refused(place: Path) -> None:
    """The columns are compared with bytes that the verifier itself judges: both have to hold."""
    home = fill(place / "d")
    edit(home.db, "UPDATE receipts SET receipt_json = replace(receipt_json, ',\"', ', \"')")
    code, text = verify(place / "d")
    assert code == 1
    assert "verified" not in text
