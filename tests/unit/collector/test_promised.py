# SPDX-License-Identifier: Apache-2.0
"""The note of what was last promised: what it holds a store to, and when it counts for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.collectors import ORIGIN, opened, submissions

from tallystick.collector.promised import Promised
from tallystick.errors import StoreError


def promised(folder: Path, origin: str = ORIGIN) -> Promised:
    return Promised(folder / "released", origin)


def test_a_store_that_has_it_is_sound(tmp_path: Path) -> None:
    """The newest note counts; without one nothing is asked for."""
    with opened(tmp_path) as store:
        note = promised(tmp_path)
        assert note.fault(store) is None
        for name in ("a", "b"):
            note.note(store.place(submissions(3, name))[0].batch)
            assert promised(tmp_path).fault(store) is None
        note.close()
        assert Path(note.path).stat().st_mode & 0o777 == 0o600


def test_a_store_that_lacks_it_is_told(tmp_path: Path) -> None:
    """Where it ends before, or holds something else there."""
    (tmp_path / "other").mkdir()
    with opened(tmp_path) as store, opened(tmp_path / "other") as other:
        note = promised(tmp_path)
        note.note(store.place(submissions(3))[0].batch)
        note.close()
        assert note.fault(other) == "lacks the entries 0 to 2 that were already promised"
        other.place(submissions(3, "b"))
        assert note.fault(other) == "lacks the entries 0 to 2 that were already promised"


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 200])
def test_what_a_power_cut_left_counts_for_nothing(tmp_path: Path, damage: bytes) -> None:
    """It was never synced: the store's own fsync is what counts then."""
    with opened(tmp_path) as store:
        note = promised(tmp_path)
        note.note(store.place(submissions(3))[0].batch)
        note.close()
        data = Path(note.path).read_bytes()
        Path(note.path).write_bytes(damage + data[len(damage) :] if damage else data[:50])
        (tmp_path / "other").mkdir()
        with opened(tmp_path / "other") as empty:
            assert promised(tmp_path).fault(empty) is None
            assert promised(tmp_path, "other.example/log").fault(empty) is None


def test_without_a_note_nothing_is_promised(tmp_path: Path) -> None:
    """Where it can't be written, the commit fails."""
    with opened(tmp_path) as store:
        note = promised(tmp_path)
        Path(note.path).mkdir()
        batch = store.place(submissions(1))[0].batch
        with pytest.raises(StoreError, match="could not be written"):
            note.note(batch)
