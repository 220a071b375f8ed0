# SPDX-License-Identifier: Apache-2.0
"""What is to be seen of a log: no more than the newest released checkpoint implies."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests import logs
from tests.collectors import keys_in, opened, submissions
from tests.stores import SqliteLog

from tallystick.collector.log_keys import LogKeys
from tallystick.collector.log_view import LogView, encoded
from tallystick.crypto.merkle import leaf_hash, verify_consistency, verify_inclusion
from tallystick.model.checkpoint import open_checkpoint
from tallystick.model.log_proof import parse_log_proof
from tallystick.model.tile import new_tiles, parse_bundle

SIZES = (1, 3, 256, 300, 600)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteLog, LogKeys]]:
    """Return a store with a checkpoint at each of the sizes, and entries beyond the last."""
    folder = tmp_path_factory.mktemp("log")
    keys = keys_in(folder)
    with opened(folder) as store:
        for size in SIZES:
            store.place(submissions(size - store.next_index(), f"to{size}."))
            intent = store.advance()
            store.release(intent.number, keys.checkpoint_note(intent))
        store.place(submissions(5, "beyond"))
        yield store, keys


@pytest.fixture
def view(grown: tuple[SqliteLog, LogKeys]) -> LogView:
    """Return a view that shows the newest checkpoint."""
    store, keys = grown
    shown = LogView(store, keys)
    released = store.released()
    assert released is not None
    shown.publish(released)
    return shown


def test_nothing_is_shown_before_the_first_checkpoint(grown: tuple[SqliteLog, LogKeys]) -> None:
    """Entries without a checkpoint are not to be seen."""
    shown = LogView(*grown)
    assert shown.size == 0
    assert shown.newest is None
    assert shown.bundle(0, 1) is None
    assert shown.tile(0, 0, 1) is None
    assert shown.proof_file(0) is None


def test_an_older_checkpoint_is_not_shown_again(view: LogView) -> None:
    """Size and time of what is shown never decrease, in whatever order it comes."""
    newest = view.newest
    older = view._store.checkpoint_of(3)
    assert older is not None
    view.publish(older)
    assert view.newest is newest


def test_every_tile_of_every_size_is_served(view: LogView) -> None:
    """What a client of any checkpoint may ask for is there, partial tiles too, and is right."""
    leaves = [leaf_hash(one) for one in view._store.entries(0, 600)]
    wanted = [tile for old in SIZES for new in SIZES if old < new for tile in new_tiles(old, new)]
    for tile in wanted:
        assert tile.level is not None
        data = view.tile(tile.level, tile.number, tile.width)
        row = leaves
        for _ in range(tile.level):
            row = [
                logs.root_by_definition(row[at : at + 256]) for at in range(0, len(row) - 255, 256)
            ]
        start = 256 * tile.number
        assert data == b"".join(row[start : start + tile.width]), tile


@pytest.mark.parametrize(
    ("level", "number", "width"), [(0, 2, 89), (0, 3, 1), (1, 0, 3), (2, 0, 1), (63, 0, 1)]
)
def test_no_other_tile_is_served(view: LogView, level: int, number: int, width: int) -> None:
    """What no checkpoint implies is missing, also where the store has it already."""
    assert view.tile(level, number, width) is None
    if level == 0:
        assert view.bundle(number, width) is None


def test_bundles_hold_the_entries(view: LogView) -> None:
    """A bundle is the entries of its tile, byte for byte."""
    data = view.bundle(2, 88)
    assert data is not None
    assert tuple(parse_bundle(data, 88)) == view._store.entries(512, 600)


@pytest.mark.parametrize("size", SIZES)
def test_proofs_hold(view: LogView, size: int) -> None:
    """Every leaf is proven under every size, and each size begins with each smaller one."""
    root = view.root(size)
    for index in {0, size // 2, size - 1}:
        assert verify_inclusion(view.leaf(index), index, size, view.inclusion(index, size), root)
    for old in SIZES:
        if old <= size:
            path = view.consistency(old, size)
            assert verify_consistency(old, size, view.root(old), root, path)


@pytest.mark.parametrize("size", [None, 300, 600])
def test_a_proof_file_stands_alone(
    view: LogView, grown: tuple[SqliteLog, LogKeys], size: int | None
) -> None:
    """A `.tlog-proof` holds entry, path and checkpoint: nothing else is needed to check it."""
    data = view.proof_file(299, size)
    assert data is not None
    proof = parse_log_proof(data)
    keys = grown[1]
    signed = open_checkpoint(proof.note, keys.log.verifier, keys.time.verifier)
    assert signed.size == (size or 600)
    assert proof.extra is not None
    assert proof.includes(proof.extra, signed.checkpoint)


@pytest.mark.parametrize(("index", "size"), [(600, None), (300, 300), (0, 299), (0, 601)])
def test_no_proof_without_its_checkpoint(view: LogView, index: int, size: int | None) -> None:
    """There is no proof file under a size that was never signed, or that does not cover it."""
    assert view.proof_file(index, size) is None


def test_hashes_are_encoded_for_json() -> None:
    """Base64, as in all other files of a log."""
    assert encoded([bytes(3)]) == ["AAAA"]


def test_what_another_process_has_shown_is_found_here(grown: tuple[SqliteLog, LogKeys]) -> None:
    """Asked for the checkpoint, or for what only a newer one covers, it looks; else it does not."""
    store, keys = grown
    looks: list[int] = []
    released = store.released()
    assert released is not None

    def catch_up() -> None:
        looks.append(shown.size)
        if len(looks) == 2:
            shown.publish(released)

    shown = LogView(store, keys, catch_up=catch_up)
    assert shown.current() is None
    assert shown.tile(0, 2, 88) is not None
    assert shown.bundle(2, 88) is not None
    assert shown.proof_file(599) is not None
    assert len(looks) == 2
    assert shown.tile(0, 2, 89) is None
    assert shown.tile(1, 0, 2) is not None
    assert shown.tile(1, 0, 3) is None
    assert shown.tile(2, 0, 1) is None
    assert shown.bundle(2, 89) is None
    assert not shown.reaches(601)
    assert len(looks) == 7
