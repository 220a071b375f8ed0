# SPDX-License-Identifier: Apache-2.0
"""A SQLite store as a whole, over more entries than one index segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.submissions import note_of, submissions

from tallystick.errors import StoreError
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


def test_what_can_not_be_opened_leaves_no_lock(tmp_path: Path) -> None:
    """After a refused opening the file can be opened once its fault is gone."""
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError):
        SqliteLog(tmp_path / "db", clock_ms=lambda: 7)
    (tmp_path / "db").unlink()
    SqliteLog(tmp_path / "db", clock_ms=lambda: 7).close()
