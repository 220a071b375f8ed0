# SPDX-License-Identifier: Apache-2.0
"""fsck on checkpoints: their order, their notes, and the signatures on those."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tests.stores import SqliteLog
from tests.submissions import ORIGIN, note_of, submission, submissions

from tallystick.crypto.note import NoteKey, private_key_text, sign_note
from tallystick.limits import FSCK_FAULTS_MAX
from tallystick.model.checkpoint import Checkpoint
from tallystick.model.submission import Intent
from tallystick.store.fsck import check_engine
from tallystick.store.fsck_heads import StoreReport, TooManyFaults
from tallystick.store.sqlite import SqliteEngine

LOG = NoteKey.parse(private_key_text(ORIGIN, 1, bytes(range(32))))
TIME = NoteKey.parse(private_key_text(ORIGIN, 4, bytes(range(32, 64))))
KEYS = (LOG.verifier, TIME.verifier)


def signed(intent: Intent, *, later_s: int = 0) -> bytes:
    """Return the note that a log signs."""
    text = Checkpoint(origin=ORIGIN, size=intent.size, root=intent.root).encode()
    return sign_note(text, [LOG, TIME], time_s=intent.time_s + later_s)


@pytest.fixture
def store(tmp_path: Path) -> SqliteLog:
    """A store with two signed checkpoints, without the tripwires on them."""
    one = SqliteLog(tmp_path / "db", clock_ms=lambda: 1_700_000_000_000)
    for start in (0, 5):
        one.place(submissions(5, start=start))
        intent = one.advance()
        one.release(intent.number, signed(intent))
    assert check_engine(one.engine, keys=KEYS).faults == []
    with one.engine.writing() as access:
        for name in ("update", "delete", "insert"):
            access.run(f"DROP TRIGGER checkpoint_{name}")
    return one


def test_so_many_faults_are_enough() -> None:
    """The last one that is noted ends the search; what holds is none."""
    report = StoreReport()
    for number in range(FSCK_FAULTS_MAX - 1):
        report.expect(is_true=True, fault="none")
        report.expect(is_true=False, fault=f"fault {number}")
    with pytest.raises(TooManyFaults):
        report.expect(is_true=False, fault="one more")
    assert len(report.faults) == FSCK_FAULTS_MAX
    assert report.faults[-1] == "one more"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM checkpoint WHERE number = 1", "checkpoint 2: the one before it is 0"),
        ("UPDATE checkpoint SET time_s = 1 WHERE number = 2", "checkpoint 2: goes back"),
        ("UPDATE checkpoint SET size = 15 - size", "checkpoint 2: goes back"),
        ("UPDATE checkpoint SET note = NULL WHERE number = 1", "without a note, not only the last"),
        ("UPDATE checkpoint SET size = 5 WHERE number = 2", "note speaks of another head"),
        ("UPDATE checkpoint SET note = x'00' WHERE number = 2", "its note is not one"),
        ("UPDATE checkpoint SET time_s = time_s + 1", "signed for another time"),
        (
            "INSERT INTO checkpoint SELECT -1, time_s, size, note FROM checkpoint WHERE number = 1",
            "checkpoint: 3 rows, 2 are numbered",
        ),
    ],
)
def test_each_change_is_found(store: SqliteLog, statement: str, fault: str) -> None:
    """One change, and the report says what contradicts what."""
    with store.engine.writing() as access:
        assert access.run(statement) >= 1
    found = check_engine(store.engine, keys=KEYS).faults
    store.close()
    assert any(fault in one for one in found), found


def test_signatures_count_where_the_keys_are_given(tmp_path: Path) -> None:
    """A note that nobody signed passes without keys, and is a fault with them."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 1_700_000_000_000)
    intent = store.advance()
    store.release(intent.number, note_of(intent))
    assert check_engine(store.engine).faults == []
    (fault,) = check_engine(store.engine, keys=KEYS).faults
    assert fault.startswith("checkpoint 1: its note is not one")
    store.close()


def test_one_log_has_one_origin(store: SqliteLog) -> None:
    """Notes of two origins in one store are a fault."""
    intent = store.advance()
    other = note_of(intent).replace(b"log1\n", b"log2\n", 1)
    assert base64.b64encode(intent.root) in other
    store.release(intent.number, other)
    assert "checkpoint: notes of more than one origin" in check_engine(store.engine).faults
    store.close()


def test_one_receipt_at_two_places_is_found(tmp_path: Path) -> None:
    """Of one tenant; two that have the same receipt have one each."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 1_700_000_000_000)
    for tenant in ("t", "other"):
        store.place([submission(f"{at}", tenant=tenant, sequence=at + 1) for at in range(3)])
    assert check_engine(store.engine).faults == []
    with store.engine.writing() as access:
        access.run("DROP TRIGGER entry_update")
        access.run(
            "UPDATE entry SET digest = (SELECT digest FROM entry WHERE idx = 1) WHERE idx = 2"
        )
    faults = check_engine(store.engine).faults
    assert [one for one in faults if "stored again" in one] == [
        "entry 1: its receipt is stored again"
    ]
    store.close()


def test_a_checkpoint_of_no_head_is_found(store: SqliteLog) -> None:
    """Its note speaks of a root that the store does not know."""
    assert isinstance(store.engine, SqliteEngine)
    store.engine._connection.execute("PRAGMA foreign_keys = OFF")
    with store.engine.writing() as access:
        access.run("UPDATE checkpoint SET size = 7 WHERE number = 2")
    assert check_engine(store.engine, keys=KEYS).faults[-1] == "checkpoint 2: has no head"
    store.close()
