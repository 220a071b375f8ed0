# SPDX-License-Identifier: Apache-2.0
"""Going on where the store ends, and refusing to where that end is not the one that we left."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import DAY_MS, Home, chain_of

from tallystick.errors import (
    KeyFileError,
    LogRolledBackError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
)

ROOT = "2026-03-10"

KILLED = """
import os, sys
from pathlib import Path
from tests.ledgers import Home

home = Home(Path(sys.argv[1]), with_key=False)
home.now_ms += int(sys.argv[2])
ledger = home.open()
ledger.commit([home.frame(), home.frame(agent_id="a"), home.frame(agent_id="b")])
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def killed(home: Home, later_ms: int = 0) -> None:
    """Let a daemon write three frames, and kill it."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.folder), str(later_ms)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert done.returncode == -9


def edit(home: Home, *statements: str) -> None:
    """Change the store as only who means it does."""
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS receipts_update")
        connection.execute("DROP TRIGGER IF EXISTS receipts_delete")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


def test_a_killed_daemon_goes_on_in_the_same_chains(home: Home) -> None:
    """No gap, no fork, no second announcement; all of it verifies."""
    for _ in range(3):
        killed(home)
    ledger = home.open()
    ledger.commit([home.frame(agent_id="a")])
    ledger.close()
    report = home.verify()
    assert report.verdict == "verified", report.findings
    assert [one.chain_id for one in report.chains] == [ROOT, f"{ROOT}/agent/a", f"{ROOT}/agent/b"]


def test_a_chain_of_another_day_is_closed_as_interrupted(home: Home) -> None:
    """Killed yesterday: the chains end as interrupted, and today's root names that end."""
    killed(home)
    home.now_ms += DAY_MS
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    ends = [chain_of(one) for one in home.receipts() if chain_of(one).get("terminal")]
    assert [(one["chain_id"], one["status"]) for one in ends[:3]] == [
        (ROOT, "interrupted"),
        (f"{ROOT}/agent/a", "interrupted"),
        (f"{ROOT}/agent/b", "interrupted"),
    ]
    first = next(one for one in home.receipts() if chain_of(one)["chain_id"] == "2026-03-11")
    assert first["issuer"]["runtime"]["tallystick"]["previous_chain"]["chain_id"] == ROOT
    assert home.verify().verdict == "verified"


def test_an_orderly_stop_begins_a_new_chain(home: Home) -> None:
    """Each start after a stop takes the next name of the day, and names the one before."""
    for _ in range(4):
        ledger = home.open()
        ledger.commit([home.frame()])
        ledger.close()
    firsts = [one for one in home.receipts() if chain_of(one)["sequence"] == 1]
    assert [chain_of(one)["chain_id"] for one in firsts] == [
        ROOT, f"{ROOT}-2", f"{ROOT}-3", f"{ROOT}-4",
    ]  # fmt: skip
    named = [
        one["issuer"]["runtime"]["tallystick"].get("previous_chain", {}).get("chain_id")
        for one in firsts
    ]
    assert named == [None, ROOT, f"{ROOT}-2", f"{ROOT}-3"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "UPDATE receipts SET receipt_json = replace(receipt_json, 'success', 'failure')",
            "hash is not that of its bytes",
        ),
        (f"UPDATE receipts SET receipt_json = '{{}}' WHERE chain_id = '{ROOT}'", "no receipt"),
        ("UPDATE receipts SET terminal = 1 WHERE sequence = 3", "whether it closes"),
        (
            "UPDATE receipts SET receipt_json = (SELECT receipt_json FROM receipts AS o WHERE "
            f"o.sequence = 1 AND o.chain_id = '{ROOT}') WHERE chain_id = '{ROOT}/agent/a'",
            "another place",
        ),
    ],
)
def test_a_tampered_end_is_refused(home: Home, statement: str, words: str) -> None:
    """What was changed in the last receipt of an open chain stops the start; nothing is written."""
    killed(home)
    edit(home, statement)
    for _ in range(2):
        with pytest.raises(StoreCorruptError, match=words):
            home.open()
    assert len(home.bodies()) == 5


def test_the_newest_receipt_is_looked_at_also_behind_a_closed_root(home: Home) -> None:
    """An agent's end is written behind its root's: what goes on is dated by it."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id="a")])
    ledger.close()
    edit(
        home,
        "UPDATE receipts SET receipt_json = replace(receipt_json, 'success', 'failure') "
        f"WHERE chain_id = '{ROOT}/agent/a' AND terminal = 1",
    )
    with pytest.raises(StoreCorruptError, match="hash is not that of its bytes"):
        home.open()


def test_a_closed_agent_below_an_open_root_is_refused(home: Home) -> None:
    """A root ends first: somebody has taken its end away, and the file of heads along with it."""
    ledger = home.open()
    ledger.commit([home.frame(agent_id="a")])
    ledger.close()
    edit(home, f"DELETE FROM receipts WHERE chain_id = '{ROOT}' AND terminal = 1")
    home.heads.unlink()
    with pytest.raises(StoreCorruptError, match="it is closed, and its root is open"):
        home.open()


def test_a_consistent_forgery_is_refused(home: Home) -> None:
    """A changed receipt with a matching hash still lacks the signature, and the kept head."""
    from tallystick.chain.issue import hash_receipt

    killed(home)
    body = home.bodies()[-1].replace("success", "failure")
    digest = hash_receipt(body.encode())
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        connection.execute(
            "UPDATE receipts SET receipt_json = ?, receipt_hash = ? WHERE rowid = 5", (body, digest)
        )
    with pytest.raises(LogRolledBackError, match="another hash"):
        home.open()
    home.heads.unlink()
    with pytest.raises(StoreCorruptError, match="signature"):
        home.open()


def test_an_older_store_is_refused(home: Home) -> None:
    """A copy from before the last acknowledgement is a rollback; so is an empty file."""
    killed(home)
    for name in ("receipts.db", "receipts.db-wal"):
        shutil.copy(home.folder / name, home.folder / f"old-{name}")
    killed(home)
    for name in ("receipts.db", "receipts.db-wal"):
        shutil.copy(home.folder / f"old-{name}", home.folder / name)
    (home.folder / "receipts.db-shm").unlink()
    with pytest.raises(LogRolledBackError, match="behind what was acknowledged"):
        home.open()
    for one in home.folder.glob("receipts.db*"):
        one.unlink()
    with pytest.raises(LogRolledBackError):
        home.open()


@pytest.mark.parametrize("chain", [ROOT, f"{ROOT}/agent/a"])
def test_a_cut_end_is_refused(home: Home, chain: str) -> None:
    """Last receipts that were deleted are missed, in the root and in an agent's chain."""
    killed(home)
    edit(home, f"DELETE FROM receipts WHERE chain_id = '{chain}' AND sequence = "
         f"(SELECT max(sequence) FROM receipts WHERE chain_id = '{chain}')")  # fmt: skip
    with pytest.raises(LogRolledBackError, match="is not there"):
        home.open()


def test_a_store_ahead_of_the_heads_is_fine(home: Home) -> None:
    """After a power cut the file of heads may be older than the store: that is no rollback."""
    killed(home)
    shutil.copy(home.heads, home.folder / "old")
    killed(home)
    shutil.copy(home.folder / "old", home.heads)
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    assert home.verify().verdict == "verified"


def test_a_second_daemon_is_refused(home: Home) -> None:
    """The store has one writer, whatever else is different about the second."""
    ledger = home.open()
    ledger.commit([home.frame()])
    with pytest.raises(StoreLockedError, match="in use by process"):
        home.open(chain_id="other")
    ledger.commit([home.frame()])
    ledger.close()
    assert home.verify().verdict == "verified"


def test_another_key_is_refused(home: Home) -> None:
    """A key that does not fit the published one, or the store, starts nothing."""
    killed(home)
    other = Home(home.folder / "..", with_key=False)
    other.folder = home.folder
    (home.folder / "away").mkdir()
    stranger = Home(home.folder / "away")
    shutil.copy(stranger.key, home.key)
    with pytest.raises(KeyFileError, match="another public key"):
        home.open()
    home.public.unlink()
    with pytest.raises(StoreCorruptError, match="signature does not fit"):
        home.open()


def test_planted_files_are_refused(home: Home) -> None:
    """A link where the store, its log or the heads should be is not followed."""
    target = home.folder / "target"
    for name in ("receipts.db", "receipts.db-wal", "receipts.db-shm", "signing.key.heads"):
        path = home.folder / name
        path.symlink_to(target)
        with pytest.raises(StoreError):
            home.open()
        assert not target.exists()
        path.unlink()
    home.open().close()
