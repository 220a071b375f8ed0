# SPDX-License-Identifier: Apache-2.0
"""Keys to entries: open segments, closed runs and restarts answer alike."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tallystick.limits import INDEX_SEGMENT_ENTRIES
from tallystick.store.key_filter import KEYS_AT_ONCE
from tallystick.store.key_index import DIGEST, LEAF, RECEIPT_ID, KeyIndex, key_of
from tallystick.store.sqlite import SqliteEngine

COUNT = 2 * INDEX_SEGMENT_ENTRIES + 1000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    """A database with a table for runs."""
    one = SqliteEngine(tmp_path / "db", clock_ms=lambda: 0)
    yield one
    one.close()


def test_keys_are_set_apart_by_tenant() -> None:
    """One digest under two salts has two keys of 64 bits."""
    digest = sha256(b"x").digest()
    assert key_of(1, digest) != key_of(2, digest)
    assert key_of(2**64 - 1, b"\xff" * 32) == 0


def test_every_key_is_found_wherever_it_is(engine: SqliteEngine) -> None:
    """In memory, in runs, after a restart, and in segments that are still open beside closed ones;
    ids that repeat give all their entries, oldest first; strange keys give none."""
    dice = random.Random(3)
    keys = [(dice.getrandbits(64), dice.getrandbits(64)) for _ in range(COUNT)]
    repeated = [5, 6, 40_000, INDEX_SEGMENT_ENTRIES * 2 + 3]
    for at in repeated:
        keys[at] = (keys[at][0], 77)
    leaves = [sha256(str(number).encode()).digest() for number in range(COUNT)]
    index = KeyIndex()
    for start in range(0, COUNT, 1000):
        index.add(start, keys[start : start + 1000])
    index.add(0, keys)  # known already: nothing
    assert index.known == COUNT
    some = [dice.randrange(COUNT) for _ in range(500)]

    def holds(one: KeyIndex) -> None:
        with engine.reading() as access:
            for at in some:
                digest, receipt_id = keys[at]
                assert list(one.find(access, DIGEST, digest)) == [at]
                assert list(one.find(access, DIGEST, digest, receipt_id=receipt_id)) == [at]
                assert list(one.find(access, RECEIPT_ID, receipt_id)) in ([at], repeated)
                assert one.possible([receipt_id]) == {receipt_id}
                strange = dice.getrandbits(64)
                assert list(one.find(access, RECEIPT_ID, strange)) == []
                assert list(one.find(access, DIGEST, strange, receipt_id=receipt_id)) == []
                assert one.possible([strange]) <= {strange}
            assert list(one.find(access, RECEIPT_ID, 77)) == repeated
            assert list(one.find(access, RECEIPT_ID, 77, receipt_id=77)) == repeated

    holds(index)
    rests: list[int] = []
    while (segment := index.full_segment()) is not None:
        base = segment * INDEX_SEGMENT_ENTRIES
        with engine.writing() as access:
            access.insert(
                "INSERT INTO run (slot, words)",
                index.runs_of(
                    segment, leaves[base : base + INDEX_SEGMENT_ENTRIES], lambda: rests.append(1)
                ),
            )
        index.close(segment)
        holds(index)
    assert index.closed == 2
    # Of each segment: ids for the filter, and three kinds of runs.
    assert len(rests) == 2 * 4 * INDEX_SEGMENT_ENTRIES // KEYS_AT_ONCE
    again = KeyIndex()
    with engine.reading() as access:
        again.load(access)
        assert again.known == 2 * INDEX_SEGMENT_ENTRIES
        again.add(again.known, keys[again.known :])
        for at in some:
            key = int.from_bytes(leaves[at][:8])
            closed = at < 2 * INDEX_SEGMENT_ENTRIES
            assert list(again.find(access, LEAF, key)) == ([at] if closed else [])
    holds(again)
