# SPDX-License-Identifier: Apache-2.0
"""Imported chains: one file each, written once, never changed."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.errors import LimitError, StoreCorruptError, StoreError
from tallystick.store import imported
from tallystick.store.imported import imported_chains, is_taken, keep_chain, stored_receipts


def test_written_once(tmp_path: Path) -> None:
    """The same again changes nothing, another one is refused; readers of the group may read."""
    store = str(tmp_path / "receipts.db")
    path, is_new = keep_chain(store, "c", [b"{}", b"[]"])
    assert (is_new, Path(path).read_bytes()) == (True, b"{}\n[]\n")
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o640
    assert keep_chain(store, "c", [b"{}", b"[]"]) == (path, False)
    with pytest.raises(StoreError, match="another chain"):
        keep_chain(store, "c", [b"{}"])
    assert keep_chain(store, "../../etc/passwd", [b"{}"])[0].startswith(f"{store}.imported/")


def test_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain over the limit is refused before anything is written."""
    monkeypatch.setattr(imported, "IMPORTED_CHAIN_BYTES_MAX", 3)
    with pytest.raises(LimitError):
        keep_chain(str(tmp_path / "s"), "c", [b"{}", b"{}"])
    assert not list(tmp_path.iterdir())
    assert [keep_chain(str(tmp_path / "s"), "c", [b"{}"])[1] for _ in range(2)] == [True, False]


def test_what_is_kept_is_found(tmp_path: Path) -> None:
    """In one order, and nothing else that lies there; whether an id is taken, by another chain."""
    store = str(tmp_path / "receipts.db")
    assert imported_chains(store) == []
    assert not is_taken(store, "c", [b"{}"])
    kept = [keep_chain(store, name, [b"{}"])[0] for name in ("c", "d", "e")]
    Path(f"{store}.imported/.part.tmp").write_bytes(b"{")
    assert imported_chains(store) == sorted(kept)
    assert not is_taken(store, "c", [b"{}"])
    assert is_taken(store, "c", [b"{}", b"{}"])


def test_receipts_of_a_store(tmp_path: Path) -> None:
    """Chain by chain, bytes as they are; what is no store is told."""
    home = Home(tmp_path)
    ledger = home.open()
    ledger.commit([home.frame(), home.frame(agent_id="a"), home.frame()])
    ledger.close()
    bodies = [one.decode() for one in stored_receipts(str(home.db))]
    assert sorted(bodies) == sorted(home.bodies())
    (tmp_path / "x").write_text("no store at all, but long enough to be looked at")
    for path, fault in (("x", StoreCorruptError), ("nowhere", StoreError)):
        with pytest.raises(StoreError) as caught:
            list(stored_receipts(str(tmp_path / path)))
        assert type(caught.value) is fault


def test_receipts_of_another_tools_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As text or as bytes, each on one line; one that no receipt can be is damage."""
    monkeypatch.setattr(imported, "RECEIPT_BYTES_MAX", 4)
    path = str(tmp_path / "theirs.db")
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE receipts (chain_id, sequence, receipt_json)")
        rows = [("b", 1, "{}"), ("a", 2, b"[\r]"), ("a", 1, "[\n\r]")]
        theirs.executemany("INSERT INTO receipts VALUES (?, ?, ?)", rows)
        theirs.commit()
        assert [*stored_receipts(path)] == [b"[  ]", b"[ ]", b"{}"]
        theirs.execute("INSERT INTO receipts VALUES ('c', 1, '12345')")
        theirs.commit()
    with pytest.raises(StoreCorruptError, match="over the limit"):
        list(stored_receipts(path))


def test_who_is_killed_on_the_way_keeps_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a chain would be taken for another one, and could never be completed."""
    store = str(tmp_path / "receipts.db")
    child = os.fork()
    if not child:  # it ends at its first byte
        monkeypatch.setattr(os, "write", lambda *_: os._exit(9))
        keep_chain(store, "c", [b"{}", b"[]"])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    path, is_new = keep_chain(store, "c", [b"{}", b"[]"])
    assert (is_new, Path(path).read_bytes()) == (True, b"{}\n[]\n")
