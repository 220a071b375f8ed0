# SPDX-License-Identifier: Apache-2.0
"""What a log store promises, on each engine: places, checkpoints, and that they never change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.logs import path_of
from tests.stores import Place, SqliteLog
from tests.submissions import note_of, submission, submissions

from tallystick.crypto.merkle import EMPTY_ROOT, leaf_hash, tree_root, verify_inclusion
from tallystick.errors import StoreCorruptError, StoreError, StoreStoppedError
from tallystick.limits import INDEX_SEGMENT_ENTRIES
from tallystick.model.log_entry import encode_entry
from tallystick.model.submission import Placed
from tallystick.ports import LogStore
from tallystick.store.fsck import check_engine
from tallystick.store.log_store import SqlLogStore


def holds(placed: Placed) -> bool:
    """Whether a place is proven by its own batch."""
    batch = placed.batch
    return leaf_hash(placed.entry) == placed.leaf_hash and verify_inclusion(
        placed.leaf_hash,
        placed.index - batch.start,
        batch.stop - batch.start,
        path_of(placed),
        batch.root,
    )


def sound(store: SqlLogStore) -> bool:
    """Whether fsck finds nothing; otherwise show what."""
    faults = check_engine(store.engine).faults
    assert not faults
    return not faults


def test_a_batch_gets_contiguous_places(place: Place) -> None:
    """New receipts stand side by side, in order, each proven by the batch's own root."""
    store = place.open()
    asked: LogStore = store  # the port, as callers know it
    given = submissions(5)
    first = store.place(given[:2])
    second = store.place(given[2:])
    assert [one.index for one in (*first, *second)] == [0, 1, 2, 3, 4]
    assert [(one.batch.start, one.batch.stop) for one in second] == [(2, 5)] * 3
    assert all(one.is_new and holds(one) for one in (*first, *second))
    assert second[0].batch.root == tree_root([one.leaf_hash for one in second])
    for one, sent in zip((*first, *second), given, strict=True):
        assert one.entry == encode_entry(place.now_ms, sent.digest, sent.id_hash)
    assert store.next_index() == 5
    assert asked.next_index() == 5 and sound(store)


def test_nothing_is_nothing(place: Place) -> None:
    """An empty batch changes nothing; an empty store answers all questions."""
    store = place.open()
    assert store.place([]) == ()
    assert store.next_index() == 0
    assert store.released() is None
    assert store.pending() is None
    assert store.placed("t", bytes(32)) is None
    assert store.by_id("t", "x") == ()
    assert store.by_leaf("t", bytes(32)) is None
    assert store.chains("t", issuer=None, since_ms=None, after=-1, limit=9) == ()
    assert store.chain("t", "chain", after=(-1, -1), limit=9) == ()
    assert store.leaf_hashes(0, 9) == b""
    assert store.entries(0, 9) == ()
    assert store.tile(0, 0, 1) is None
    assert store.tile(1, 0, 1) is None
    assert store.checkpoint_of(0) is None
    store.ping()
    store.probe()
    assert store.size_bytes() > 0
    assert sound(store)


def test_the_same_receipt_keeps_its_place(place: Place) -> None:
    """Sent again, alone, twice in one batch, or after a restart: the first place, to the byte."""
    store = place.open()
    one, two = submissions(2)
    first = store.place([one, two, one])
    assert [(each.index, each.is_new) for each in first] == [(0, True), (1, True), (0, False)]
    again = store.place([two, submission("3"), one])
    assert [(each.index, each.is_new) for each in again] == [(1, False), (2, True), (0, False)]
    store.close()
    place.now_ms += 5000
    later = place.open()
    kept = later.place([one])[0]
    assert (kept.batch, kept.entry, kept.leaf_hash, kept.path_lines, kept.index) == (
        first[0].batch,
        first[0].entry,
        first[0].leaf_hash,
        first[0].path_lines,
        0,
    )
    assert later.placed("t", one.digest) == kept
    assert later.next_index() == 3
    assert sound(later)


def test_uniqueness_is_each_tenant_s_own(place: Place) -> None:
    """Two tenants may send one receipt: each has its own entry, and neither sees the other's."""
    store = place.open()
    mine, theirs = submission("1"), submission("1", tenant="u")
    placed = store.place([mine, theirs])
    assert [one.index for one in placed] == [0, 1]
    assert all(one.is_new and not one.shares_id and not one.shares_position for one in placed)
    assert [one.index for one in store.by_id("t", mine.receipt_id)] == [0]
    assert [one.index for one in store.by_id("u", mine.receipt_id)] == [1]
    assert store.placed("v", mine.digest) is None
    leaf = placed[1].leaf_hash
    found = store.by_leaf("u", leaf)
    assert found is not None
    assert found.index == 1
    assert store.by_leaf("v", leaf) is None
    assert [one.index for one in store.chain("u", "chain", after=(-1, -1), limit=9)] == [1]
    assert store.chain("v", "chain", after=(-1, -1), limit=9) == ()
    assert sound(store)


def test_shared_ids_and_positions_are_stored_and_flagged(place: Place) -> None:
    """Another receipt under a known id, or at a known position, is new and says what it shares."""
    store = place.open()
    first = submission("1", sequence=1)
    same_id = submission("1", sequence=2, note="other")
    fork = submission("2", sequence=1)
    squatter = submission("3", sequence=1, issuer="did:agent:b")
    flags = [
        (one.is_new, one.shares_id, one.shares_position)
        for one in store.place([first, same_id, fork, squatter])
    ]
    assert flags == [
        (True, False, False),
        (True, True, False),
        (True, False, True),
        (True, False, True),
    ]
    later = store.place([submission("1", note="third"), submission("4", sequence=2)])
    assert [(one.shares_id, one.shares_position) for one in later] == [(True, False), (False, True)]
    assert [one.index for one in store.by_id("t", "urn:receipt:1")] == [0, 1, 4]
    assert [one.index for one in store.by_id("t", "urn:receipt:1", limit=2)] == [0, 1]
    assert sound(store)


def test_bodies_come_back_byte_for_byte(place: Place) -> None:
    """What was received is what is given out, whatever it is made of."""
    store = place.open()
    odd = submission(
        "ü\u2028😀", chain_id="ch\u0007ain" + "x" * 5000, issuer="i" * 5000, sequence=7
    )
    index = store.place([odd])[0].index
    found = store.by_id("t", odd.receipt_id)[0]
    assert (found.body, found.receipt_id, found.chain_id, found.sequence, found.index) == (
        odd.body,
        odd.receipt_id,
        odd.chain_id,
        7,
        index,
    )
    assert store.chain("t", odd.chain_id, after=(-1, -1), limit=1) == (found,)
    assert sound(store)


def test_chains_are_summed_up(place: Place) -> None:
    """Length, last sequence, termination and times, each chain of each issuer for itself."""
    store = place.open()
    store.place([submission("1", sequence=1), submission("2", sequence=2)])
    place.now_ms += 1000
    store.place(
        [
            submission("4", sequence=4, terminal="interrupted"),
            submission("3", sequence=3),
            submission("b", issuer="did:agent:b", sequence=1, terminal="complete"),
            submission("c", chain_id="other"),
        ]
    )
    summed = store.chains("t", issuer=None, since_ms=None, after=-1, limit=10)
    assert [
        (one.chain_id, one.issuer, one.length, one.last_sequence, one.termination) for one in summed
    ] == [
        ("chain", "did:agent:a", 4, 4, "interrupted"),
        ("chain", "did:agent:b", 1, 1, "complete"),
        ("other", "did:agent:a", 1, None, "unknown"),
    ]
    assert [(one.first_index, one.last_index) for one in summed] == [(0, 3), (4, 4), (5, 5)]
    assert summed[0].first_time_ms + 1000 == summed[0].last_time_ms == place.now_ms
    assert store.chains("t", issuer="did:agent:b", since_ms=None, after=-1, limit=9) == summed[1:2]
    assert store.chains("t", issuer=None, since_ms=None, after=0, limit=1) == summed[1:2]
    assert store.chains("t", issuer=None, since_ms=place.now_ms + 1, after=-1, limit=9) == ()
    store.place([submission("5", sequence=5)])  # beyond the end: no longer ended
    assert store.chains("t", issuer=None, since_ms=None, after=-1, limit=1)[0].termination == (
        "unknown"
    )
    assert sound(store)


def test_a_chain_is_paged_in_its_order(place: Place) -> None:
    """By sequence, then by index; without a sequence first; over all issuers; page by page."""
    store = place.open()
    sequences = [3, None, 1, 2, 1, None, 2**53 - 1]
    for number, sequence in enumerate(sequences):
        issuer = f"did:agent:{number % 2}"
        store.place([submission(str(number), sequence=sequence, issuer=issuer)])
    expected = sorted(
        (-1 if sequence is None else sequence, number) for number, sequence in enumerate(sequences)
    )
    after, found = (-1, -1), []
    while page := store.chain("t", "chain", after=after, limit=2):
        found += [(-1 if one.sequence is None else one.sequence, one.index) for one in page]
        after = found[-1]
    assert found == expected
    assert sound(store)


def test_checkpoints_are_intents_first(place: Place) -> None:
    """An intent waits until it has its note, which never changes; then the next one comes."""
    store = place.open()
    placed = store.place(submissions(3))
    intent = store.advance()
    assert (intent.number, intent.size, intent.note) == (1, 3, None)
    assert intent.root == tree_root([one.leaf_hash for one in placed])
    assert intent.time_s == place.now_ms // 1000
    store.place(submissions(2, start=3))
    assert store.advance() == store.pending() == intent
    assert store.released() is None
    assert store.checkpoint_of(3) is None
    store.release(1, note_of(intent))
    store.release(1, note_of(intent))
    with pytest.raises(StoreError, match="another note"):
        store.release(1, b"other")
    with pytest.raises(StoreError, match="no checkpoint 2"):
        store.release(2, b"other")
    released = store.released()
    assert released is not None
    assert released.note == note_of(intent)
    assert store.pending() is None
    assert store.checkpoint_of(3) == released
    assert store.checkpoint_of(4) is None
    following = store.advance()
    assert (following.number, following.size) == (2, 5)
    store.close()
    later = place.open()
    assert later.pending() == following
    assert later.released() == released
    assert sound(later)


def test_an_idle_log_signs_the_same_size_again(place: Place) -> None:
    """Without new entries the next checkpoint has the same head and a new time."""
    store = place.open()
    for number in (1, 2):
        intent = store.advance()
        assert (intent.number, intent.size, intent.root) == (number, 0, EMPTY_ROOT)
        store.release(number, note_of(intent))
    store.place(submissions(1))
    roots = set()
    for _ in range(3):
        place.now_ms += 10_000
        intent = store.advance()
        roots.add(intent.root)
        store.release(intent.number, note_of(intent))
    found = store.checkpoint_of(1)
    assert found is not None
    assert (found.number, found.time_s) == (5, place.now_ms // 1000)
    assert len(roots) == 1
    assert sound(store)


def test_time_never_goes_back(place: Place) -> None:
    """The clock jumps back: entries and checkpoints stay at the newest time that was stored."""
    store = place.open()
    store.place([submission("1")])
    intent = store.advance()
    store.release(1, note_of(intent))
    highest = place.now_ms
    place.now_ms -= 60_000
    placed = store.place([submission("2")])[0]
    assert placed.batch.time_ms == highest
    store.close()
    again = place.open()
    intent = again.advance()
    assert intent.time_s == highest // 1000
    place.now_ms = highest + 500
    assert again.place([submission("3")])[0].batch.time_ms == highest + 500
    assert sound(again)


def test_a_fence_holds_for_later_entries(place: Place) -> None:
    """A checkpoint stores its time before it is signed: no later entry is older than it."""
    store = place.open()
    place.now_ms += 10_000
    intent = store.advance()
    place.now_ms -= 9000
    placed = store.place([submission("1")])[0]
    assert placed.batch.time_ms >= 1000 * intent.time_s
    assert sound(store)


@pytest.mark.parametrize("sizes", [(255, 1, 1), (256, 300), (100, 500, 9), (1030,)])
def test_tiles_are_those_of_the_tree(place: Place, sizes: tuple[int, ...]) -> None:
    """Every tile of every width is the one that the leaves make, full ones and beginnings."""
    store = place.open()
    leaves: list[bytes] = []
    for size in sizes:
        given = submissions(size, start=len(leaves))
        for at in range(0, size, 200):
            leaves += [one.leaf_hash for one in store.place(given[at : at + 200])]
        intent = store.advance()
        assert intent.root == tree_root(leaves)
        store.release(intent.number, note_of(intent))
    assert store.leaf_hashes(0, len(leaves)) == b"".join(leaves)
    assert store.leaf_hashes(3, 9) == b"".join(leaves[3:9])
    for number in range(len(leaves) // 256 + 1):
        row = leaves[256 * number : 256 * number + 256]
        for width in {1, len(row) // 2, len(row)} - {0}:
            if width <= len(row):
                assert store.tile(0, number, width) == b"".join(row[:width])
        if len(row) < 256:
            assert store.tile(0, number, len(row) + 1) is None
    roots = [tree_root(leaves[at : at + 256]) for at in range(0, len(leaves) - 255, 256)]
    for width in range(1, len(roots) + 1):
        assert store.tile(1, 0, width) == b"".join(roots[:width])
    assert store.tile(1, 0, len(roots) + 1) is None
    assert sound(store)


def test_entries_have_the_times_of_their_batches(place: Place) -> None:
    """A range over several batches gives each entry as it was promised."""
    store = place.open()
    placed: list[Placed] = []
    for start in range(0, 30, 5):
        place.now_ms += 7
        placed += store.place(submissions(5, start=start))
    for start, stop in ((0, 30), (3, 4), (4, 11), (29, 30), (28, 99)):
        assert store.entries(start, stop) == tuple(one.entry for one in placed[start:stop])


def test_threads_may_place_advance_and_read_at_once(place: Place) -> None:
    """Writers, a checkpointer and readers side by side: one log comes of it."""
    store = place.open()
    failures: list[BaseException] = []
    is_done = threading.Event()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the test shows whatever it is
            failures.append(error)

    def write(base: int) -> None:
        for at in range(base, base + 200, 10):
            for one in store.place(submissions(10, start=at)):
                assert holds(one)

    def sign() -> None:
        while not is_done.is_set():
            intent = store.advance()
            store.release(intent.number, note_of(intent))

    def read() -> None:
        while not is_done.is_set():
            size = store.next_index()
            assert len(store.leaf_hashes(0, size)) == 32 * size
            store.chains("t", issuer=None, since_ms=None, after=-1, limit=5)
            for one in store.by_id("t", "urn:receipt:1"):
                assert store.by_leaf("t", one.leaf_hash) == one

    writers = [
        threading.Thread(target=guarded, args=(partial(write, base),)) for base in (0, 1000, 2000)
    ]
    others = [threading.Thread(target=guarded, args=(work,)) for work in (sign, read)]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join()
    is_done.set()
    for thread in others:
        thread.join()
    assert not failures
    assert store.next_index() == 600
    if store.pending() is None:
        store.advance()
    assert sound(store)


def test_who_waits_is_told_when_the_rows_are_written(place: Place) -> None:
    """Before they are durable; on a server, where all is waiting, before it begins."""
    store = place.open()
    store.place(submissions(2))
    seen: list[int] = []
    placed = store.place(
        submissions(3, start=10), on_written=lambda: seen.append(store.next_index())
    )
    assert len(placed) == 3
    assert seen == [2]
    store.place([], on_written=lambda: seen.append(0))
    assert seen == [2]


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
