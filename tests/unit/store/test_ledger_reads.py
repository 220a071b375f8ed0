# SPDX-License-Identifier: Apache-2.0
"""Reading a ledger without its daemon: while it writes, after it stopped, after it was killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.daemon.ledger import Ledger
from tallystick.errors import StoreCorruptError, StoreError
from tallystick.model.frame import Tool
from tallystick.store.ledger_reads import Filter, LedgerReader, column_faults

READER = """
import os, sys
from tallystick.store.ledger_reads import LedgerReader

# The interpreter itself may lie where only root finds it.
os.setgroups([int(one) for one in sys.argv[2:]])
os.setgid(65534)
os.setuid(65534)
with LedgerReader(sys.argv[1]) as reader:
    print(reader.count(), len(list(reader.receipts())), reader._still is not None)
try:
    open(sys.argv[1], "ab")
    print("may write")
except PermissionError:
    print("may not write")
"""
KILLED = """
import os, sys
from pathlib import Path
from tests.ledgers import Home

home = Home(Path(sys.argv[1]), with_key=False)
ledger = home.open()
ledger.commit([home.frame(), home.frame()])
os.kill(os.getpid(), 9)
"""
READERS = 54321


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


@pytest.fixture
def open_home() -> Iterator[Home]:
    """The same, in a folder that other users may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Home(folder)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the path of this one."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_asked_for_is_found(home: Home) -> None:
    """Filters, ids, places, pages and marks, on a store that is being written."""
    ledger = home.open()
    read = home.frame(session_id="s1", tool=Tool(name="Read"), input={"path": "/etc/motd"})
    answers = ledger.commit(
        [
            read,
            home.frame(session_id="s2", tool=Tool(name="Bash"), input={"command": "rm -rf /x"}),
            home.frame(agent_id="a", decision="denied", session_id="s2"),
            home.frame(correlation_id="look-for-me"),
        ]
    )
    with LedgerReader(home.db) as reader:
        assert reader._still is None
        assert reader.count() == reader.mark() == 5
        assert [one.sequence for one in reader.newest(limit=2)] == [4, 1]
        older = reader.newest(limit=9, before=reader.newest(limit=2)[-1].mark)
        assert [one.mark for one in older] == [3, 2, 1]
        assert answers[0].ok
        found = reader.by_id(answers[0].id)
        assert found is not None
        assert (found.chain_id, found.sequence, found.hash) == ("2026-03-10", 1, answers[0].hash)
        assert reader.at("2026-03-10", 1) == found
        assert reader.by_id("urn:receipt:none") is None
        for wanted, marks in (
            (Filter(session_id="s2"), [2, 4]),
            (Filter(tool_name="Bash"), [2]),
            (Filter(chain_id="2026-03-10/agent/a"), [4]),
            (Filter(status="failure"), [4]),
            (Filter(text="look-for-me"), [5]),
            (Filter(since="2026-03-10T12:00:00.000Z"), [1, 2, 3, 4, 5]),
            (Filter(until="2026-03-10T12:00:00.000Z"), []),
            (Filter(session_id="s2", tool_name="Bash"), [2]),
        ):
            assert [one.mark for one in reader.receipts(wanted)] == marks, wanted
        assert reader.counts("status") == {"success": 4, "failure": 1}
        mark = reader.mark()
        ledger.commit([home.frame()])
        assert [one.mark for one in reader.behind(mark)] == [6]
        assert [(one.chain_id, one.length) for one in reader.chains()] == [
            ("2026-03-10", 5), ("2026-03-10/agent/a", 1),
        ]  # fmt: skip
    ledger.close()


def test_a_reader_follows_a_daemon_that_comes_and_goes(home: Home) -> None:
    """The same reader answers right before, while and after the daemon runs."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    with LedgerReader(home.db) as reader:
        assert reader._still is not None
        assert reader.count() == 2
        ledger = home.open()
        ledger.commit([home.frame()])
        assert reader.count() == 3
        ledger.close()
        assert reader.count() == 4
    with LedgerReader(home.db) as reader:
        assert reader.count() == 4


def test_an_answer_of_a_file_that_moved_meanwhile_does_not_count(home: Home) -> None:
    """A daemon that starts between the question and its answer is seen, and asked as one."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    started: list[Ledger] = []

    def start(_statement: str) -> None:
        if not started:
            started.append(home.open())
            started[0].commit([home.frame()])

    with LedgerReader(home.db) as reader:
        assert reader._connection is not None
        reader._connection.set_trace_callback(start)  # comes when SQLite begins to answer
        assert reader.count() == 3
    started[0].close()


def test_what_is_not_there_and_what_is_out_of_reach_differ(tmp_path: Path) -> None:
    """A store that this user can't get at is not said to be missing."""
    with pytest.raises(StoreError, match="does not exist"):
        LedgerReader(tmp_path / "receipts.db")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="could not be opened: Not a directory"):
        LedgerReader(tmp_path / "file" / "receipts.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user")
@pytest.mark.parametrize("state", ["up", "stopped", "killed"])
def test_another_user_of_the_readers_group_reads(open_home: Home, state: str) -> None:
    """With the daemon up, stopped and killed; without the right to write anything there."""
    folder = open_home.folder
    os.chown(folder, 0, READERS)
    folder.chmod(0o2750)
    count = 3
    if state == "killed":
        assert python(KILLED, str(folder)).returncode == -9
        count, ledger = 2, None
    else:
        ledger = open_home.open()
        ledger.commit([open_home.frame(), open_home.frame()])
        if state == "stopped":
            ledger.close()
        else:
            count = 2
    for one in folder.glob("receipts.db*"):
        if not one.name.endswith(".lock"):
            assert one.stat().st_mode & 0o777 == 0o640
            assert one.stat().st_gid == READERS
    done = python(READER, str(open_home.db), str(READERS))
    assert done.stdout.splitlines() == [f"{count} {count} {state == 'stopped'}", "may not write"]
    assert python(READER, str(open_home.db)).returncode == 1
    if state == "up":
        assert ledger is not None
        ledger.close()


def test_a_killed_daemon_leaves_what_it_acknowledged(home: Home) -> None:
    """What is only in the write-ahead log is read from there."""
    assert python(KILLED, str(home.folder)).returncode == -9
    with LedgerReader(home.db) as reader:
        assert reader.count() == 2


def test_edited_columns_are_told(home: Home) -> None:
    """A column that says something else than the receipt is named."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        connection.execute("UPDATE receipts SET risk_level = 'low', tool_name = 'Other'")
        connection.execute("UPDATE receipts SET receipt_json = 'x' WHERE sequence = 2")
    with LedgerReader(home.db) as reader:
        first, second = reader.receipts()
        assert column_faults(first) == ["tool_name"] or "tool_name" in column_faults(first)
        assert column_faults(second) == ["receipt_json"]


def test_what_is_no_ledger_is_told(tmp_path: Path) -> None:
    """Nothing, garbage and another database: an error that says so, and nothing is made."""
    with pytest.raises(StoreError, match="does not exist"):
        LedgerReader(tmp_path / "db")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "db").write_bytes(b"x" * 5000)
    with pytest.raises(StoreCorruptError):
        LedgerReader(tmp_path / "db")
    with closing(sqlite3.connect(tmp_path / "other")) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreCorruptError, match="no ledger"):
        LedgerReader(tmp_path / "other")


def _spoiled(home: Home, script: str) -> Path:
    """Return a store with one receipt on which someone who may write it ran a script."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    with closing(sqlite3.connect(home.db)) as connection:
        connection.executescript(script)
    return home.db


_FORGED = """
INSERT INTO receipts (rowid, id, chain_id, sequence, action_type, risk_level, status, timestamp,
  issuer_id, receipt_json, receipt_hash)
SELECT {mark}, 'urn:receipt:forged', chain_id, 99, 'com.example.forged', 'low', status, timestamp,
  issuer_id, receipt_json, receipt_hash FROM receipts LIMIT 1;
"""


@pytest.mark.parametrize(
    "script",
    [
        _FORGED.format(mark=-5),
        _FORGED.format(mark=0),
        "ALTER TABLE receipts RENAME TO r; CREATE VIEW receipts AS SELECT rowid, * FROM r;",
        "CREATE TABLE r AS SELECT 'x' || rowid AS rowid, * FROM receipts; DROP TABLE receipts; "
        "ALTER TABLE r RENAME TO receipts;",
    ],
)
def test_no_row_is_listed_that_a_walk_over_all_does_not_meet(home: Home, script: str) -> None:
    """Rows before the first, or a table that is none: `verify` must see what `list` shows."""
    path = _spoiled(home, script)
    with pytest.raises(StoreCorruptError):
        LedgerReader(path)


def test_the_column_of_the_hash_before_is_compared(home: Home) -> None:
    """The protocol's other tools read it: what it says has to be what the receipt says."""
    path = _spoiled(
        home,
        "DROP TRIGGER receipts_update; UPDATE receipts SET previous_receipt_hash = 'sha256:00';",
    )
    with LedgerReader(path) as reader:
        first, *_ = reader.receipts()
        assert column_faults(first) == ["previous_receipt_hash"]
        assert column_faults(first, is_judged=True) == ["previous_receipt_hash"]


def test_what_is_no_text_is_shown_as_sql_spells_it(home: Home) -> None:
    """A row that somebody has written into is read, and its columns are told apart."""
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    with closing(sqlite3.connect(home.db)) as connection, connection:
        connection.execute("DROP TRIGGER receipts_update")
        connection.execute(
            "UPDATE receipts SET chain_id = x'ff', sequence = 'one', timestamp = x'00' "
            "WHERE rowid = (SELECT max(rowid) FROM receipts)"
        )
    with LedgerReader(home.db) as reader:
        (last,) = reader.newest(limit=1)
        assert (last.chain_id, last.sequence, last.timestamp) == ("x'ff'", -1, "x'00'")
        assert column_faults(last) == ["chain_id", "sequence", "timestamp"]
        assert [one.chain_id for one in reader.chains()] == ["2026-03-10", "x'ff'"]
        assert reader.at("2026-03-10", 1 << 70) is None
