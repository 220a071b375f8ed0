# SPDX-License-Identifier: Apache-2.0
"""fsck finds every single change to a store, and names its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.stores import Place, SqliteLog
from tests.submissions import note_of, submission, submissions

from tallystick.limits import FSCK_FAULTS_MAX
from tallystick.store.fsck import check_engine, check_store

CHANGES = {
    "UPDATE entry SET leaf_hash = zeroblob(32) WHERE idx = 3": "entry 3: its leaf hash",
    "UPDATE entry SET digest = zeroblob(32) WHERE idx = 3": "entry 3: its body was changed",
    "UPDATE entry SET id_hash = zeroblob(32) WHERE idx = 3": "entry 3: its id is another",
    "UPDATE entry SET sequence = 99 WHERE idx = 3": "entry 3: stands at another place",
    "UPDATE entry SET terminal = 1 WHERE idx = 3": "entry 3: stands at another place",
    "UPDATE entry SET family = 1 WHERE idx = 3": "entry 3: has no body",
    "UPDATE entry SET chain = 1 WHERE idx = 4": "entry 4: stands in another chain",
    "UPDATE entry SET tenant = x'75' WHERE idx = 4": "entry 4: has no body",
    "DELETE FROM entry WHERE idx = 4": "entry 4: is missing",
    "DELETE FROM entry WHERE idx = 299": "its root is not that of its entries",
    "UPDATE body SET body = CAST(replace(body, 'AAAA', 'AAAB') AS BLOB) "
    "WHERE idx = 3": "entry 3: its body was changed",
    "UPDATE body SET body = x'00' WHERE idx = 3": "entry 3: its body is no receipt",
    "UPDATE body SET receipt_id = x'41' WHERE idx = 3": "entry 3: its id is another",
    "UPDATE body SET receipt_hash = x'41' WHERE idx = 3": "entry 3: other hash",
    "DELETE FROM body WHERE idx = 3": "entry 3: has no body",
    "INSERT INTO body SELECT 999, tenant, family, receipt_id, receipt_hash, body FROM body "
    "WHERE idx = 1": "body: 301 rows",
    "UPDATE batch SET root = zeroblob(32) WHERE start = 100": "batch 100: its root",
    "UPDATE batch SET time_ms = time_ms + 1 WHERE start = 100": "its leaf hash",
    "UPDATE batch SET stop = 99 WHERE start = 0": "batch 100: the one before ends at 99",
    "DELETE FROM batch WHERE start = 100": "batch 200: the one before ends at 100",
    "UPDATE chain SET length = length + 1 WHERE no = 2": "chain 2: its summary",
    "UPDATE chain SET top = 0 WHERE no = 2": "chain 2: its summary",
    "UPDATE chain SET chain_hash = zeroblob(32) WHERE no = 2": "chain 2: its summary",
    "UPDATE chain SET issuer = x'41' WHERE no = 2": "chain 2: its summary",
    "DELETE FROM chain WHERE no = 2": "chain: 3 rows, the entries have 4",
    "UPDATE tile SET hashes = zeroblob(8192)": "tile 0/0: is not that",
    "UPDATE tile SET root = zeroblob(32)": "tile 0/0: is not that",
    "UPDATE tile SET number = 7": "tile 0/0: is not that",
    "INSERT INTO tile SELECT 5, 5, root, hashes FROM tile": "tile: 2 rows",
    "UPDATE tree SET edge = zeroblob(length(edge))": "tree: its edge",
    "UPDATE tree SET size = 256, edge = zeroblob(32)": "tree: its edge",
    "UPDATE tree SET size = 999, edge = zeroblob(256)": "tree: says 999 leaves of 300",
    "UPDATE head SET root = zeroblob(32) WHERE size = 200": "head 200: is not that",
    "INSERT INTO head VALUES (150, zeroblob(32))": "head 150: is not that",
    "INSERT INTO head VALUES (1500, zeroblob(32))": "head: 1 of sizes that the tree has not",
    "UPDATE log_head SET next_index = 299": "log head: says 299 entries, there are 300",
    "UPDATE log_head SET last_ms = 0": "log head: older than the last batch",
    "INSERT INTO run VALUES (0, x'00')": "run: 1 rows",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of 300 receipts, four chains and two checkpoints, without its tripwires."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 1_700_000_000_000)
    for start in (0, 100, 200):
        store.place(submissions(100, start=start))
        if start:
            intent = store.advance()
            store.release(intent.number, note_of(intent))
    assert check_engine(store.engine).faults == []
    with store.engine.writing() as access:
        for (name,) in access.rows("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
            access.run(f"DROP TRIGGER {name}")
    store.close()
    return tmp_path / "db"


@pytest.mark.parametrize("statement", CHANGES)
def test_each_change_is_found(path: Path, statement: str) -> None:
    """One change by SQL, and the report names the place that contradicts the rest."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount >= 1
    report = check_store(str(path))
    faults = [one for one in report.faults if "tripwires" not in one]
    assert any(CHANGES[statement] in one for one in faults), faults


def test_a_sound_store_is_counted(place: Place) -> None:
    """On each engine: no fault, and how much was recomputed; `progress` hears of each batch."""
    store = place.open()
    store.place([*submissions(70), submission("x", tenant="u", terminal="complete", sequence=4)])
    store.place(submissions(3, start=100))
    heard: list[tuple[int, int]] = []
    intent = store.advance()
    report = check_engine(store.engine, progress=lambda done, total: heard.append((done, total)))
    assert (report.faults, report.entries, report.checkpoints) == ([], 74, 1)
    assert heard == [(71, 74), (74, 74)]
    store.release(intent.number, note_of(intent))


def test_faults_are_bounded(path: Path) -> None:
    """Where everything is wrong, enough is listed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE entry SET leaf_hash = zeroblob(32)")
    faults = check_store(str(path)).faults
    assert len(faults) == FSCK_FAULTS_MAX + 1
    assert faults[-1] == "and more: not all are listed"
