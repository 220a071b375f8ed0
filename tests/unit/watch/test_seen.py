# SPDX-License-Identifier: Apache-2.0
"""What a monitor remembers: written whole, read back strictly, of one log only."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import logs
from tests.served_log import KEYS, SHEET, VKEY, ServedLog

from tallystick.crypto.merkle import Edge
from tallystick.errors import LimitError, UnreadableError
from tallystick.limits import MONITOR_STATE_BYTES_MAX
from tallystick.watch.seen import Seen, load_seen, save_seen
from tallystick.watch.spoken import heard


def remembered(count: int) -> Seen:
    """Return the memory of a log with so many entries."""
    log = ServedLog().fill(count)
    edge = Edge()
    edge.extend(logs.leaf(one) for one in log.entries)
    return Seen(
        sheet=KEYS.sheet,
        spoken=heard(log.release(), VKEY, SHEET),
        edge=edge.hashes,
        last_entry=log.entries[-1] if log.entries else None,
    )


@pytest.mark.parametrize("count", [0, 1, 255, 256, 300])
def test_a_memory_is_read_back(tmp_path: Path, count: int) -> None:
    """What was saved is what is loaded, and its tree can grow on."""
    seen = remembered(count)
    save_seen(tmp_path / "state", VKEY, seen)
    found = load_seen(tmp_path / "state", VKEY)
    assert found == seen
    assert found is not None
    assert found.tree().root() == seen.spoken.root


def test_nothing_is_remembered_at_first(tmp_path: Path) -> None:
    """Without a file there is no memory, and that is no error."""
    assert load_seen(tmp_path / "state", VKEY) is None


def test_the_memory_of_another_log_is_refused(tmp_path: Path) -> None:
    """One file serves one log: a wrong path must not look like a rewritten past."""
    save_seen(tmp_path / "state", VKEY, remembered(3))
    with pytest.raises(UnreadableError, match="another log"):
        load_seen(tmp_path / "state", logs.PROMISE_KEY.verifier)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"tally-monitor/v1"', '"tally-monitor/v2"'),
        ('"edge": [', '"edge": ["AAAA",'),
        ('"last_entry"', '"first_entry"'),
        ("{", "{{"),
        ("\\n3\\n", "\\n4\\n"),
    ],
)
def test_a_damaged_memory_is_refused(tmp_path: Path, old: str, new: str) -> None:
    """Whatever was changed is told: a monitor never begins anew by itself."""
    path = tmp_path / "state"
    save_seen(path, VKEY, remembered(3))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UnreadableError, match="put a copy of it back, or name a new file: then"):
        load_seen(path, VKEY)


def test_another_edge_is_refused(tmp_path: Path) -> None:
    """The edge must lead to the root that the log signed."""
    path = tmp_path / "state"
    seen = remembered(3)
    save_seen(path, VKEY, Seen(sheet=seen.sheet, spoken=seen.spoken,
                               edge=seen.edge[::-1], last_entry=None))  # fmt: skip
    with pytest.raises(UnreadableError, match="contradicts itself"):
        load_seen(path, VKEY)


def test_a_memory_is_bounded(tmp_path: Path) -> None:
    """A file of any size is not read."""
    (tmp_path / "state").write_bytes(bytes(MONITOR_STATE_BYTES_MAX + 1))
    with pytest.raises(LimitError):
        load_seen(tmp_path / "state", VKEY)
