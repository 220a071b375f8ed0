# SPDX-License-Identifier: Apache-2.0
"""The guard: a store goes on only where it has what its log has said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.collectors import ORIGIN, opened, submissions

from tallystick.collector.guard import Guard
from tallystick.errors import DurableError, LogRolledBackError, StoreCorruptError
from tallystick.model.submission import Intent
from tallystick.ports import LogStore


def guard_at(folder: Path) -> Guard:
    """Return the guard of a test."""
    return Guard(folder / "released", ORIGIN)


def said(store: LogStore, guard: Guard, count: int = 3, name: str = "a") -> Intent:
    """Take receipts, and say so as the service does."""
    store.place(submissions(count, name))
    intent = store.advance()
    guard.record(intent)
    store.release(intent.number, b"note %d" % intent.number)
    return intent


def test_a_first_start_is_recorded(tmp_path: Path) -> None:
    """An empty store that was never spoken for may start, and is spoken for from then on."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        word = guard.read()
    assert word is not None
    assert (word.number, word.size) == (0, 0)


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    """The file holds number, time, size and root of what was said last."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        intent = said(store, guard)
        guard.check(store)
    word = guard.read()
    assert word is not None
    assert (word.number, word.time_s, word.size, word.root) == (
        intent.number,
        intent.time_s,
        intent.size,
        intent.root,
    )


def test_a_store_may_be_ahead(tmp_path: Path) -> None:
    """A store that has more than the guard knows is no rollback: another process wrote it."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        said(store, guard)
        said(store, Guard(tmp_path / "other", ORIGIN), name="b")
        said(store, Guard(tmp_path / "other", ORIGIN), count=0)
        guard.check(store)


def test_a_crash_between_guard_and_store_is_no_rollback(tmp_path: Path) -> None:
    """The guard may know a checkpoint whose note the store does not have yet: it has the intent."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        said(store, guard)
        store.place(submissions(2, "b"))
        guard.record(store.advance())
    with opened(tmp_path) as store:
        guard.check(store)


@pytest.mark.parametrize("backup_after", [0, 1])
def test_a_restored_backup_is_refused(tmp_path: Path, backup_after: int) -> None:
    """A store that forgot a checkpoint does not start, whether it was empty or only older."""
    guard = guard_at(tmp_path)
    backup = tmp_path / "backup.db"
    with opened(tmp_path) as store:
        guard.check(store)
        if backup_after:
            said(store, guard)
    shutil.copy(tmp_path / "collector.db", backup)
    with opened(tmp_path) as store:
        said(store, guard, name="b")
    for one in tmp_path.glob("collector.db*"):
        one.unlink()
    shutil.copy(backup, tmp_path / "collector.db")
    with opened(tmp_path) as store, pytest.raises(LogRolledBackError, match="already given out"):
        guard.check(store)


def test_another_past_is_refused(tmp_path: Path) -> None:
    """A store of the same length with other receipts is another log."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        said(store, guard)
    other = tmp_path / "other"
    other.mkdir()
    with opened(other) as store:
        said(store, guard_at(other), name="other")
        said(store, guard_at(other), name="more")
        with pytest.raises(LogRolledBackError, match="another tree"):
            guard.check(store)


def test_another_time_is_refused(tmp_path: Path) -> None:
    """The same checkpoint with another time would be a second word about it."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        intent = said(store, guard)
        (tmp_path / "released").unlink()
        guard.record(
            Intent(
                number=intent.number,
                time_s=intent.time_s + 1,
                size=intent.size,
                root=intent.root,
            )
        )
        with pytest.raises(LogRolledBackError, match="another time"):
            guard.check(store)


def test_the_record_does_not_go_back(tmp_path: Path) -> None:
    """Two processes of one machine share the file: the slower one leaves the newer word alone."""
    with opened(tmp_path) as store:
        guard_at(tmp_path).check(store)
        older = said(store, guard_at(tmp_path))
        newer = said(store, guard_at(tmp_path), name="b")
        guard_at(tmp_path).record(older)
    word = guard_at(tmp_path).read()
    assert word is not None
    assert word.number == newer.number


def test_a_log_without_its_guard_is_refused(tmp_path: Path) -> None:
    """Where nobody knows what was said last, somebody has to say so: reconcile."""
    with opened(tmp_path) as store:
        said(store, guard_at(tmp_path))
        (tmp_path / "released").unlink()
        with pytest.raises(LogRolledBackError, match="reconcile"):
            guard_at(tmp_path).check(store)


def test_the_guard_of_another_log_is_refused(tmp_path: Path) -> None:
    """Keys and guard belong together."""
    with opened(tmp_path) as store:
        guard_at(tmp_path).check(store)
        with pytest.raises(LogRolledBackError, match="belongs to the log"):
            Guard(tmp_path / "released", "other.example/log").check(store)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tally-released/v1", "tally-released/v2"),
        ("size 0", "size 00"),
        ("size 0", "size 9999999999999999999"),
        ("root AAAA", "root AA=="),
        ("number 0\n", ""),
    ],
)
def test_a_damaged_guard_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Whatever is not exactly what was written is told, and never taken for a first start."""
    guard = guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard.check(store)
        text = (tmp_path / "released").read_text()
        assert old in text
        (tmp_path / "released").write_text(text.replace(old, new))
        with pytest.raises(StoreCorruptError):
            guard.check(store)


def test_what_is_not_on_stable_storage_is_not_said(tmp_path: Path) -> None:
    """A failed fsync of the guard is an error, and the old word stands."""
    guard_at(tmp_path)
    with opened(tmp_path) as store:
        guard_at(tmp_path).check(store)
        store.place(submissions(1))
        intent = store.advance()

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(DurableError):
        Guard(tmp_path / "released", ORIGIN, fsync=broken).record(intent)
    word = guard_at(tmp_path).read()
    assert word is not None
    assert word.number == 0
