# SPDX-License-Identifier: Apache-2.0
"""`tally collector reconcile`: only a word from outside lets a log go on that lost its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.collectors import keys_in, opened, submissions
from tests.command import Answer, tally

from tallystick.collector.guard import GUARD_FILE
from tallystick.collector.service import LogService
from tallystick.model.submission import Intent


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """Leave a log of three receipts behind, whose record is lost; return its newest checkpoint."""
    keys = keys_in(tmp_path)
    record = tmp_path / "log" / GUARD_FILE
    with opened(tmp_path) as store:
        service = LogService(store, keys, record)
        service.start()
        store.place(submissions(3))
        service.drain()
        newest = service.log.newest
    assert newest is not None
    assert newest.note is not None
    record.unlink()
    path = tmp_path / "note"
    path.write_bytes(newest.note)
    return path


def reconciled(folder: Path, *more: str) -> Answer:
    """Run the command over the log of a folder."""
    db, keys = str(folder / "collector.db"), str(folder / "log")
    return tally("collector", "reconcile", "--db", db, "--keys", keys, *more)


def test_a_log_that_has_all_goes_on(tmp_path: Path, note: Path) -> None:
    """With the newest checkpoint that others hold, the record is written and the log starts."""
    done = reconciled(tmp_path, "--checkpoint", str(note))
    assert (done.code, done.out) == (
        0,
        "may go on: collector.example/log1 at 3 receipts, checkpoint 2\n",
    )
    with opened(tmp_path) as store:
        service = LogService(store, keys_in(tmp_path), tmp_path / "log" / GUARD_FILE)
        service.start()
        service.drain()
    assert reconciled(tmp_path).code == 0  # nothing is open any more


def test_without_a_word_it_stays_refused(tmp_path: Path, note: Path) -> None:
    """Nobody inside can know: the command says what to bring."""
    assert note.exists()
    done = reconciled(tmp_path)
    assert done.code == 2
    assert "newest checkpoint" in done.err
    assert not (tmp_path / "log" / GUARD_FILE).exists()


def test_a_log_that_lacks_something_ends(tmp_path: Path, note: Path) -> None:
    """A checkpoint beyond the store means that this origin is over."""
    later = Intent(number=9, time_s=2_000_000_000, size=4, root=bytes(32))
    note.write_bytes(keys_in(tmp_path).checkpoint_note(later))
    done = reconciled(tmp_path, "--checkpoint", str(note))
    assert done.code == 1
    assert "open the next origin" in done.err


def test_what_can_not_be_read_is_told(tmp_path: Path, note: Path) -> None:
    """No file and no keys: neither yes nor no."""
    assert reconciled(tmp_path, "--checkpoint", str(tmp_path / "nothing")).code == 3
    note.write_text("nothing")
    assert reconciled(tmp_path, "--checkpoint", str(note)).code == 1
    (tmp_path / "log" / "log.key").unlink()
    assert reconciled(tmp_path).code == 3
