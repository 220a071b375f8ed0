# SPDX-License-Identifier: Apache-2.0
"""Recomputing a log: any step from any size, and paths without the log's help."""

from __future__ import annotations

import pytest
from tests import logs
from tests.served_log import MAX_DELAY_MS, SHEET, VKEY, ServedLog

from tallystick.crypto.merkle import Edge, verify_inclusion
from tallystick.errors import UnreadableError
from tallystick.watch import growth
from tallystick.watch.growth import Growth, grow
from tallystick.watch.spoken import heard


def grown(log: ServedLog, old: int) -> Growth:
    """Recompute a log from one size to its end."""
    edge = Edge()
    edge.extend(logs.leaf(one) for one in log.entries[:old])
    spoken = heard(log.release(), VKEY, SHEET)
    return grow(log, edge, log.entries[old - 1] if old else None, (None, spoken), MAX_DELAY_MS)


@pytest.mark.parametrize(
    ("old", "new"), [(0, 1), (0, 300), (1, 2), (5, 8), (7, 600), (256, 257), (300, 512)]
)
def test_the_root_is_recomputed(old: int, new: int) -> None:
    """From any edge the entries lead to the log's root, and the last one is remembered."""
    log = ServedLog().fill(new)
    found = grown(log, old)
    assert found.edge.root() == log.root()
    assert found.last_entry == log.entries[-1]
    assert not found.suspects


@pytest.mark.parametrize(("old", "new"), [(0, 7), (5, 8), (7, 600), (256, 257), (300, 520)])
def test_paths_of_new_leaves_need_no_tiles(old: int, new: int) -> None:
    """The old edge and the new leaves are enough, whatever the log hides."""
    log = ServedLog().fill(new)
    found = grown(log, old)
    log.entries.clear()
    root = found.edge.root()
    for index in range(old, new):
        leaf = logs.leaf(ServedLog().fill(new).entries[index]) if index in (old, new - 1) else None
        path = found.tree.inclusion(index)
        assert leaf is None or verify_inclusion(leaf, index, new, path, root)


def test_paths_of_too_many_leaves_come_from_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room for all new leaves, the log's tiles have to do."""
    monkeypatch.setattr(growth, "MONITOR_LEAVES_MAX", 10)
    log = ServedLog().fill(300)
    found = grown(log, 5)
    leaf, path = logs.leaf(log.entries[299]), found.tree.inclusion(299)
    assert verify_inclusion(leaf, 299, 300, path, log.root())


def test_one_suspect_of_each_kind_is_enough() -> None:
    """The first contradiction of a kind is kept; the others would prove no more."""
    log = ServedLog().fill(3)
    for at in range(4):
        log.entries.append(log.entry(f"late{at}", log.now_s - 1 - at))
    assert [one.kind for one in grown(log, 2).suspects] == ["disorder"]


def test_what_is_no_entry_is_told() -> None:
    """A bundle of something else is an error that names the index."""
    log = ServedLog().fill(3)
    log.entries.append(bytes(87))
    with pytest.raises(UnreadableError, match="entry 3"):
        grown(log, 1)
