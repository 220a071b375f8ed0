# SPDX-License-Identifier: Apache-2.0
"""A collector's log from start to end: what it refuses to start on, and what it leaves behind."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import pytest
from tests.collectors import ORIGIN, Clock, keys_in, opened, serving, submission, submissions
from tests.posting import Bodies
from tests.stores import SqliteLog

from tallystick.collector.guard import Guard
from tallystick.collector.log_keys import create_log_keys
from tallystick.collector.service import LogService, reconcile
from tallystick.errors import LogRolledBackError, NoteSignatureError, SettingError, StoreError
from tallystick.model.submission import Intent, Placed, Submission


def lived(
    folder: Path, given: list[Submission], clock: Clock | None = None
) -> tuple[list[Placed], Intent]:
    """Run a service over some receipts, to an orderly end."""
    with opened(folder, clock) as store:
        service = LogService(store, keys_in(folder), folder / "released")
        service.start()
        placed = asyncio.run(service.sequencer.place_all(given))
        service.drain()
        assert service.fault is None
        newest = service.log.newest
        assert newest is not None
        return placed, newest


def test_an_orderly_end_covers_everything(tmp_path: Path) -> None:
    """After a drain, each receipt is under a released checkpoint, and nothing more is taken."""
    placed, newest = lived(tmp_path, submissions(7))
    assert newest.size == len(placed) == 7
    with opened(tmp_path) as store:
        released = store.released()
        assert released is not None
        assert released.size == 7
        assert store.pending() is None


def test_a_log_has_a_checkpoint_from_the_start(tmp_path: Path) -> None:
    """An empty log signs its emptiness, so that a monitor can begin with it."""
    _, newest = lived(tmp_path, [])
    assert (newest.number, newest.size) == (1, 0)


def test_a_store_stays_with_its_keys(tmp_path: Path) -> None:
    """Keys of another log sign nothing in this store, also where that log has begun, empty."""
    there, other = tmp_path / "there", tmp_path / "other"
    there.mkdir()
    other.mkdir()
    lived(there, submissions(3))
    keys = create_log_keys(tmp_path / "keys", "localhost/other")
    with opened(other) as fresh:
        service = LogService(fresh, keys, tmp_path / "released")
        service.start()
        service.drain()
    with opened(there) as store:
        with pytest.raises(SettingError, match="the keys of 'localhost/other', and the store"):
            LogService(store, keys, tmp_path / "released").start()
        with pytest.raises(SettingError, match="under other keys"):
            reconcile(store, keys, tmp_path / "released")
        assert store.pending() is None
    lived(there, [])


def test_a_restart_finishes_what_was_begun(tmp_path: Path) -> None:
    """Entries and intents that a crash left are under a checkpoint before a receipt is taken."""
    lived(tmp_path, submissions(2))
    with opened(tmp_path) as store:
        store.place(submissions(3, "b"))
        begun = store.advance()
        store.place(submissions(4, "c"))
    with opened(tmp_path) as store:
        service = LogService(store, keys_in(tmp_path), tmp_path / "released")
        service.start()
        newest = service.log.newest
        assert newest is not None
        assert (newest.number, newest.size) == (begun.number, 5)
        service.drain()
        assert service.log.size == 9


def test_a_restored_backup_does_not_start(tmp_path: Path) -> None:
    """Nothing is signed over a store that forgot what was said."""
    lived(tmp_path, submissions(2))
    shutil.copy(tmp_path / "collector.db", tmp_path / "backup")
    lived(tmp_path, submissions(2, "b"))
    for one in tmp_path.glob("collector.db*"):
        one.unlink()
    shutil.move(tmp_path / "backup", tmp_path / "collector.db")
    with opened(tmp_path) as store:
        service = LogService(store, keys_in(tmp_path), tmp_path / "released")
        before = store.released()
        with pytest.raises(LogRolledBackError, match="already given out"):
            service.start()
        service.close()
        assert store.released() == before
        assert store.pending() is None
        with pytest.raises(LogRolledBackError):
            reconcile(store, keys_in(tmp_path), tmp_path / "released")


def test_a_clock_that_jumped_back_starts(tmp_path: Path) -> None:
    """A machine whose clock was wrong goes on with the log's own time line."""
    clock = Clock()
    _, before = lived(tmp_path, submissions(2), clock)
    clock.passes(-7200)
    placed, after = lived(tmp_path, submissions(2, "b"), clock)
    assert after.time_s >= before.time_s
    assert placed[0].batch.time_ms >= 1000 * before.time_s


def test_it_tells_of_commits_and_releases(tmp_path: Path) -> None:
    """Metrics hear of each commit, and of how long the oldest new entry had to wait."""
    commits: list[int] = []
    releases: list[tuple[int, float]] = []
    clock = Clock()
    with opened(tmp_path, clock) as store:
        service = LogService(
            store,
            keys_in(tmp_path),
            tmp_path / "released",
            on_commit=lambda count, _seconds: commits.append(count),
            on_release=lambda size, delay_s, _seconds: releases.append((size, delay_s)),
            clock_s=lambda: clock.now_ms / 1000,
        )
        service.start()
        asyncio.run(service.sequencer.place_all(submissions(3)))
        clock.passes(1.5)
        service.drain()
    assert commits == [3]
    assert releases == [(0, 0.0), (3, 1.5)]


def test_a_fault_is_told_and_ends_the_log(tmp_path: Path) -> None:
    """Once the store fails, the service says why, takes no more, and signs no more."""
    with opened(tmp_path) as store:
        service = LogService(store, keys_in(tmp_path), tmp_path / "released", growing_s=0.01)
        service.start()
        store.close()
        with pytest.raises(StoreError):
            asyncio.run(service.sequencer.place(submission("a")))
        assert service.fault is not None
        service.drain()


def closed_log(folder: Path) -> Intent:
    """Leave a log behind whose guard is lost."""
    _, newest = lived(folder, submissions(3))
    (folder / "released").unlink()
    return newest


def test_reconciling_needs_a_word_from_outside(tmp_path: Path) -> None:
    """Without the guard, only a checkpoint that somebody else holds lets the log go on."""
    newest = closed_log(tmp_path)
    keys = keys_in(tmp_path)
    with opened(tmp_path) as store:
        with pytest.raises(LogRolledBackError, match="reconcile"):
            LogService(store, keys, tmp_path / "released").start()
        with pytest.raises(SettingError, match="newest checkpoint"):
            reconcile(store, keys, tmp_path / "released")
        assert reconcile(store, keys, tmp_path / "released", newest.note).size == 3
    assert lived(tmp_path, submissions(2, "b"))[1].size == 5


def test_an_older_word_from_outside_is_enough(tmp_path: Path) -> None:
    """A store that has what others were shown, and more, may go on."""
    _, older = lived(tmp_path, submissions(3))
    lived(tmp_path, submissions(4, "b"))
    (tmp_path / "released").unlink()
    with opened(tmp_path) as store:
        found = reconcile(store, keys_in(tmp_path), tmp_path / "released", older.note)
        assert found.size == 7


def test_a_later_word_from_outside_is_the_end(tmp_path: Path) -> None:
    """A store that lacks what others were shown never signs again under this origin."""
    newest = closed_log(tmp_path)
    keys = keys_in(tmp_path)
    said = [
        Intent(number=9, time_s=newest.time_s, size=4, root=bytes(32)),
        Intent(number=9, time_s=newest.time_s + 60, size=3, root=newest.root),
        Intent(number=9, time_s=newest.time_s, size=3, root=bytes(32)),
        Intent(number=9, time_s=newest.time_s, size=2, root=bytes(32)),
    ]
    with opened(tmp_path) as store:
        for one in said:
            with pytest.raises(LogRolledBackError, match="next origin"):
                reconcile(store, keys, tmp_path / "released", keys.checkpoint_note(one))
    assert not (tmp_path / "released").exists()


def test_an_emptied_store_is_the_end(tmp_path: Path) -> None:
    """A new, empty store under the keys of a log that has spoken is refused."""
    newest = closed_log(tmp_path)
    for one in tmp_path.glob("collector.db*"):
        one.unlink()
    with opened(tmp_path) as store, pytest.raises(LogRolledBackError, match="nothing"):
        reconcile(store, keys_in(tmp_path), tmp_path / "released", newest.note)


def test_the_word_of_strangers_does_not_count(tmp_path: Path) -> None:
    """Only a checkpoint that this log signed says how far it was."""
    closed_log(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, theirs = lived(other, submissions(3))
    with opened(tmp_path) as store, pytest.raises(NoteSignatureError):
        reconcile(store, keys_in(tmp_path), tmp_path / "released", theirs.note)


def test_it_serves(tmp_path: Path) -> None:
    """Behind its application, a receipt that is posted is in the log soon after."""
    bodies = Bodies("chain:a")
    with serving(tmp_path) as running:
        assert [running.post(bodies.body(at))[0] for at in (1, 2, 2)] == [201, 201, 409]
    with opened(tmp_path) as store:
        assert isinstance(store, SqliteLog)
        released = store.released()
        assert released is not None
        assert released.size == 2


def test_a_store_that_lacks_a_promise_does_not_start(tmp_path: Path) -> None:
    """A backup of the same second has all that was signed: the promises since are known, too."""
    lived(tmp_path, submissions(2))

    def crashed() -> Placed:
        with opened(tmp_path) as store:
            service = LogService(store, keys_in(tmp_path), tmp_path / "released", growing_s=60)
            service.start()
            shutil.copy(tmp_path / "collector.db", tmp_path / "backup.db")
            shutil.copy(tmp_path / "collector.db-wal", tmp_path / "backup.db-wal")
            (placed,) = asyncio.run(service.sequencer.place_all(submissions(1, "promised")))
            service.close()
            return placed

    assert crashed().index == 2
    shutil.copy(tmp_path / "collector.db", tmp_path / "whole.db")
    for one in tmp_path.glob("collector.db*"):
        one.unlink()
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"backup.db{suffix}", tmp_path / f"collector.db{suffix}")
    with opened(tmp_path) as store:
        assert store.next_index() == 2
        Guard(tmp_path / "released", ORIGIN).check(store)  # it has all that was signed
        with pytest.raises(LogRolledBackError, match="2 to 2 that were already promised"):
            LogService(store, keys_in(tmp_path), tmp_path / "released").start()
        with pytest.raises(LogRolledBackError, match="already promised"):
            reconcile(store, keys_in(tmp_path), tmp_path / "released")
        # Nor does another receipt in that place stand for it.
        store.place(submissions(1, "other"))
        with pytest.raises(LogRolledBackError, match="already promised"):
            LogService(store, keys_in(tmp_path), tmp_path / "released").start()
    for one in tmp_path.glob("collector.db*"):
        one.unlink()
    shutil.copy(tmp_path / "whole.db", tmp_path / "collector.db")
    lived(tmp_path, [])


def test_a_store_that_changes_under_it_ends_the_log(tmp_path: Path) -> None:
    """What was promised is looked for before each checkpoint, not only at the start."""
    with opened(tmp_path) as store:
        service = LogService(
            store, keys_in(tmp_path), tmp_path / "released", growing_s=0.01, idle_s=0.01
        )
        service.start()
        asyncio.run(service.sequencer.place_all(submissions(2)))
        inner = store.leaf_hashes
        store.leaf_hashes = lambda start, stop: bytes(32 * (stop - start))  # type: ignore[method-assign]
        end = time.monotonic() + 10
        while service.fault is None and time.monotonic() < end:
            time.sleep(0.01)
        assert "already promised" in str(service.fault)
        store.leaf_hashes = inner  # type: ignore[method-assign]
        service.close()


def test_a_store_of_other_keys_does_not_start(tmp_path: Path) -> None:
    """Also where these keys have not said a word yet: two logs in one store are one too many."""
    lived(tmp_path, submissions(2))
    (tmp_path / "other").mkdir()
    other = keys_in(tmp_path / "other")
    guard = tmp_path / "other" / "released"
    with opened(tmp_path / "other") as empty:
        Guard(guard, other.origin).check(empty)
    with opened(tmp_path) as store:
        before = store.released()
        with pytest.raises(SettingError, match="under other keys"):
            LogService(store, other, guard).start()
        assert store.released() == before
