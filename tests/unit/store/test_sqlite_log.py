# SPDX-License-Identifier: Apache-2.0
"""A SQLite store as a whole, over more entries than one index segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.submissions import note_of, submissions

from tallystick.errors import StoreCorruptError, StoreError, StoreStoppedError
from tallystick.limits import INDEX_SEGMENT_ENTRIES
from tallystick.store.sqlite_log import SqliteLog


def test_a_closed_segment_answers_as_before(tmp_path: Path) -> None:
    """Entries whose keys went to a run are found by digest, id and leaf, also after a restart."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 7)
    sent = submissions(INDEX_SEGMENT_ENTRIES + 100)
    placed = [one for at in range(0, len(sent), 1000) for one in store.place(sent[at : at + 1000])]
    for opening in range(3):
        for at in (0, 17, INDEX_SEGMENT_ENTRIES - 1, INDEX_SEGMENT_ENTRIES, len(sent) - 1):
            found = store.placed("t", sent[at].digest)
            assert found is not None
            assert (found.index, found.path_lines) == (at, placed[at].path_lines)
            assert [one.index for one in store.by_id("t", sent[at].receipt_id)] == [at]
            stored = store.by_leaf("t", placed[at].leaf_hash)
            assert stored is not None
            assert stored.body == sent[at].body
            assert [one.is_new for one in store.place([sent[at]])] == [False]
        assert store.index.closed == (1 if opening else 0)
        intent = store.advance()
        store.release(intent.number, note_of(intent))
        if opening:
            store.close()
            store = SqliteLog(tmp_path / "db", clock_ms=lambda: 7)
    store.close()


@pytest.mark.parametrize("asks", ["place", "advance"])
def test_a_file_that_goes_back_is_noticed(tmp_path: Path, asks: str) -> None:
    """Put back under us from a copy: no place is given out twice, and no smaller tree is signed."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 7)
    store.place(submissions(3))
    store.place(submissions(2, start=3))
    with store.engine.writing() as access:
        for name in ("entry_delete", "body_delete", "batch_delete", "log_head_update"):
            access.run(f"DROP TRIGGER {name}")
        access.run("DELETE FROM body WHERE idx >= 3")
        access.run("DELETE FROM entry WHERE idx >= 3")
        access.run("DELETE FROM batch WHERE start >= 3")
        access.run("UPDATE log_head SET next_index = 3")
    with pytest.raises(StoreCorruptError, match="has gone back"):
        store.advance() if asks == "advance" else store.place(submissions(1, start=9))
    with pytest.raises(StoreStoppedError, match="has gone back"):
        store.place(submissions(1, start=9))
    with pytest.raises(StoreStoppedError, match="has gone back"):
        store.advance()
    assert store.next_index() == 3
    assert store.pending() is None
    store.close()


def test_what_can_not_be_opened_leaves_no_lock(tmp_path: Path) -> None:
    """After a refused opening the file can be opened once its fault is gone."""
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        SqliteLog(tmp_path / "db", clock_ms=lambda: 7)
    (tmp_path / "db").unlink()
    SqliteLog(tmp_path / "db", clock_ms=lambda: 7).close()
