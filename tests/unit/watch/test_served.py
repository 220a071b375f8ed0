# SPDX-License-Identifier: Apache-2.0
"""A tree out of tiles: right where the tiles are, and an error where they are missing or short."""

from __future__ import annotations

import pytest
from tests import logs
from tests.served_log import ServedLog

from tallystick.crypto.merkle import verify_consistency, verify_inclusion
from tallystick.errors import UnreadableError
from tallystick.watch.served import ServedTree, served_entries


@pytest.fixture(scope="module")
def log() -> ServedLog:
    """Return a log of 600 entries."""
    return ServedLog().fill(600)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 600])
def test_roots_and_paths_are_those_of_the_log(log: ServedLog, size: int) -> None:
    """Out of tiles of any size come its root, its paths, and the beginnings in it."""
    tree = ServedTree(log, size)
    root = log.root(size)
    assert tree.root() == root
    for index in {0, size // 3, size - 1}:
        assert tree.leaf(index) == logs.leaf(log.entries[index])
        assert verify_inclusion(tree.leaf(index), index, size, tree.inclusion(index), root)
    for old in {1, size // 2 or 1, size}:
        assert tree.root(old) == log.root(old)
        assert verify_consistency(old, size, log.root(old), root, tree.consistency(old))


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (0, 1), (0, 600), (255, 257), (256, 512), (300, 301), (599, 600)]
)
def test_entries_come_in_order(log: ServedLog, start: int, stop: int) -> None:
    """Bundle by bundle, exactly those that were asked for."""
    assert list(served_entries(log, start, stop)) == log.entries[start:stop]


def test_a_whole_tile_stands_for_its_parts(log: ServedLog) -> None:
    """A log may drop a partial tile or bundle once the whole one is there."""
    thin = log.copy()
    thin.missing = {"tile/0/000.p/100", "tile/entries/000.p/100"}
    assert ServedTree(thin, 100).root() == log.root(100)
    assert list(served_entries(thin, 20, 100)) == log.entries[20:100]


@pytest.mark.parametrize("path", ["tile/0/000.p/100", "tile/entries/000.p/100"])
def test_what_is_missing_is_told(log: ServedLog, path: str) -> None:
    """What a checkpoint implies and the log does not serve is an error with its name."""
    thin = log.copy()
    thin.missing = {path, path.partition(".p")[0]}
    with pytest.raises(UnreadableError, match="does not serve"):
        list(served_entries(thin, 0, 100)) and ServedTree(thin, 100).root()


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\x57", bytes(100 * 89)])
def test_what_is_no_bundle_is_told(log: ServedLog, data: bytes) -> None:
    """Entries that can't be read are an error, not an empty log."""
    odd = log.copy()
    odd.instead = {"tile/entries/000.p/100": data}
    with pytest.raises(UnreadableError, match="bundle"):
        list(served_entries(odd, 0, 100))


def test_a_short_tile_is_told(log: ServedLog) -> None:
    """A tile with fewer hashes than its name says is an error."""
    odd = log.copy()
    odd.instead = {"tile/0/000.p/100": bytes(99 * 32)}
    with pytest.raises(UnreadableError, match="too short"):
        ServedTree(odd, 100).root()
