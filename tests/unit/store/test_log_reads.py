# SPDX-License-Identifier: Apache-2.0
"""Reading: what contradicts itself is told, not given out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.stores import Place, SqliteLog
from tests.submissions import submission, submissions

from tallystick.errors import StoreCorruptError
from tallystick.limits import READ_PAGE_BYTES_MAX
from tallystick.store.log_reads import salt_of


def changed(path: Path, statement: str) -> SqliteLog:
    """Return a store of three batches after a change by SQL."""
    store = SqliteLog(path, clock_ms=lambda: 7)
    for start in (0, 5, 10):
        store.place(submissions(5, start=start))
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
    return SqliteLog(path, clock_ms=lambda: 7)


def test_tenants_have_salts_of_64_bits() -> None:
    """Each its own."""
    assert salt_of(b"a") != salt_of(b"b")
    assert 0 <= salt_of(b"a") < 2**64


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM batch WHERE start = 5", "belongs to no batch"),
        ("UPDATE batch SET root = zeroblob(32)", "another root than it had"),
        ("UPDATE entry SET leaf_hash = zeroblob(32) WHERE idx = 8", "another root than it had"),
        ("DELETE FROM entry WHERE idx = 8", "have gaps"),
    ],
)
def test_a_promise_is_given_again_only_as_it_was(
    tmp_path: Path, statement: str, fault: str
) -> None:
    """Where a batch no longer gives the root that was signed, no place is given."""

    def ask() -> None:
        store = changed(tmp_path / "db", statement)
        try:
            store.placed("t", submissions(1, start=7)[0].digest)
        finally:
            store.close()

    with pytest.raises(StoreCorruptError, match=fault):
        ask()


def test_a_receipt_without_its_body_is_told(tmp_path: Path) -> None:
    """An entry whose body is gone is no missing receipt but a damaged store."""
    store = changed(tmp_path / "db", "DELETE FROM body WHERE idx = 3")
    with pytest.raises(StoreCorruptError, match="entry 3 has no body"):
        store.by_id("t", "urn:receipt:3")
    store.close()


def test_a_page_of_a_chain_is_bounded_in_bytes(place: Place) -> None:
    """It ends with the receipt that reaches the bound, and the next one goes on from there."""
    store = place.open()
    large = "x" * (READ_PAGE_BYTES_MAX // 2)
    store.place([submission(str(at), sequence=at, note=large) for at in range(5)])
    seen, after = [], (-2, -1)
    while page := store.chain("t", "chain", after=after, limit=32):
        seen.append(len(page))
        after = (page[-1].sequence or 0, page[-1].index)
    assert seen == [2, 2, 1]


def test_leaves_under_an_id_need_no_bodies(place: Place) -> None:
    """They are those of `by_id`, in its order and as many."""
    store = place.open()
    assert store.leaves_under("t", "urn:receipt:a") == ()
    store.place([submission("a", note=str(at)) for at in range(3)])
    leaves = store.leaves_under("t", "urn:receipt:a")
    assert leaves == tuple(one.leaf_hash for one in store.by_id("t", "urn:receipt:a"))
    assert store.leaves_under("t", "urn:receipt:a", limit=2) == leaves[:2]
    assert store.leaves_under("u", "urn:receipt:a") == ()
