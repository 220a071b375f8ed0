# SPDX-License-Identifier: Apache-2.0
"""`tally import-chain`: beside the store, never in it; readable and verifiable there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.command import tally
from tests.stored import RECEIPTS, fill


def foreign(place: Path, lines: list[str]) -> str:
    """Make a store as the protocol's other tools have it: their columns, none of ours."""
    with closing(sqlite3.connect(place / "old.db")) as base:
        base.execute(
            "CREATE TABLE receipts (id TEXT PRIMARY KEY, chain_id TEXT, sequence INTEGER, "
            "receipt_json TEXT NOT NULL)"
        )
        base.executemany(
            "INSERT INTO receipts VALUES (?, 'c', ?, ?)",
            [(str(number), number, line) for number, line in enumerate(lines)],
        )
        base.commit()
    return str(place / "old.db")


def test_a_file_and_a_store_of_others(place: Path) -> None:
    """Both become files beside the store, and are verified with it under their own keys."""
    home = fill(place / "d")
    db, before = str(home.db), home.bodies()
    answer = tally("import-chain", "run.jsonl", "--store", db)
    assert answer.code == 0, answer.err
    assert "there already" in tally("import-chain", "run.jsonl", "--store", db).out
    lines = Path("run.jsonl").read_text().splitlines()
    assert tally("import-chain", foreign(place, lines), "--store", db).code == 0
    assert home.bodies() == before
    assert len(list(Path(f"{db}.imported").iterdir())) == 1
    alone = tally("verify", "--store", db, "--key", str(home.public))
    assert alone.code in (1, 3)
    both = tally("verify", "--store", db, "--key", str(home.public), "--key", "agent.pub")
    assert both.code == 0, both.out
    assert len(before) >= RECEIPTS


def test_what_is_not_imported(place: Path) -> None:
    """Another chain under a known id, a chain of the store itself, what is no receipt, nothing."""
    home = fill(place / "d")
    db = str(home.db)
    assert tally("import-chain", "run.jsonl", "--store", db).code == 0
    Path("half.jsonl").write_text(Path("run.jsonl").read_text().splitlines()[0] + "\n")
    refused = tally("import-chain", "half.jsonl", "--store", db)
    assert refused.code == 1
    assert "none imported" in refused.err
    assert tally("import-chain", db, "--store", db).code == 1
    assert tally("import-chain", "garbage.json", "--store", db).code == 1
    assert tally("import-chain", "empty.jsonl", "--store", db).code == 3
    assert tally("import-chain", "run.jsonl", "--store", "nowhere.db").code == 3


def test_what_can_not_be_read_is_not_refused(place: Path) -> None:
    """Nobody has seen what it is: that ends with 3, and no receipt is named."""
    home = fill(place / "d")
    answer = tally("import-chain", "run.jsonl", "nowhere", "--store", str(home.db))
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "tally: nowhere: No such file or directory; nothing was imported\n"
    assert not Path(f"{home.db}.imported").exists()


def test_all_of_it_or_nothing(place: Path) -> None:
    """One chain whose id is taken keeps the others of the same input out, too."""
    home = fill(place / "d")
    db = str(home.db)
    first = Path("run.jsonl").read_text().splitlines()[0]
    Path("half.jsonl").write_text(f"{first}\n")
    assert tally("import-chain", "half.jsonl", "--store", db).code == 0
    assert tally("import-chain", "answered.jsonl", "run.jsonl", "--store", db).code == 1
    assert len(list(Path(f"{db}.imported").iterdir())) == 1
