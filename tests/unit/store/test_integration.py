# SPDX-License-Identifier: Apache-2.0
"""The stored tree: its edge, its heads, and what contradicts them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.stores import SqliteLog
from tests.submissions import note_of, submissions

from tallystick.crypto.merkle import Edge
from tallystick.errors import StoreCorruptError, StoreStoppedError
from tallystick.store import log_store
from tallystick.store.integration import edge_of


def test_an_edge_of_another_length_is_refused() -> None:
    """One hash for each 1-bit of the size."""
    edge = Edge()
    edge.extend([bytes([number]) * 32 for number in range(5)])
    assert edge_of(5, b"".join(edge.hashes)).root() == edge.root()
    with pytest.raises(StoreCorruptError):
        edge_of(4, b"".join(edge.hashes))


def test_a_backlog_is_taken_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More leaves than one transaction takes: the same tree in the end."""
    stores = []
    for name, part in (("whole", 10**6), ("parts", 100)):
        monkeypatch.setattr(log_store, "INTEGRATED_LEAVES_MAX", part)
        store = SqliteLog(tmp_path / name, clock_ms=lambda: 7)
        store.place(submissions(700))
        stores.append((store, store.advance()))
    assert stores[0][1] == stores[1][1]
    for number, width in ((0, 256), (1, 256), (2, 188)):
        assert stores[0][0].tile(0, number, width) == stores[1][0].tile(0, number, width)
    for store, _ in stores:
        store.close()


def test_a_size_has_one_head(tmp_path: Path) -> None:
    """A tree that comes out otherwise than it was signed stops the store: no second signature."""
    store = SqliteLog(tmp_path / "db", clock_ms=lambda: 7)
    store.place(submissions(3))
    intent = store.advance()
    store.release(intent.number, note_of(intent))
    with store.engine.writing() as access:
        access.run("DROP TRIGGER head_update")
        access.run("UPDATE head SET root = ?", (bytes(32),))
    with pytest.raises(StoreCorruptError, match="another head"):
        store.advance()
    with pytest.raises(StoreStoppedError):
        store.place(submissions(1, start=9))
    store.close()
