# SPDX-License-Identifier: Apache-2.0
"""`kill -9` at random moments, over and over: every receipt that was kept arrives, once, in order.

The log, the emitter, the socket, the collector and the kills are real; see kill_loop.py for what
counts as a kill. TALLY_KILLS sets how many there are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

KILLS = int(os.environ.get("TALLY_KILLS", "200"))
KILLS_SOAK = int(os.environ.get("TALLY_KILLS", "10000"))


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """Return a folder in memory where there is such a place: the kernel survives these kills."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        yield Path(made)


def killed(folder: Path, kills: int, *, seed: int, log: str = "file") -> dict[str, Any]:
    """Run the loop, and return what it saw."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.kill_loop", str(folder), str(kills), str(seed), log],
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + kills,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_kills_between_append_and_acknowledgement(memory_folder: Path) -> None:
    """What was kept is at the collector exactly once and in order, and every chain verifies."""
    seen = killed(memory_folder, KILLS, seed=1)
    assert not seen["wrong"], seen
    assert seen["counted"] >= KILLS
    assert seen["replayed"] > KILLS // 2  # by the next process, from what the killed one left
    assert seen["repeated"] > 0  # some had come before the kill, and came again


def test_kills_on_a_disk(tmp_path: Path) -> None:
    """The same where syncs take their time."""
    seen = killed(tmp_path, 20, seed=2)
    assert not seen["wrong"], seen


def test_a_log_that_loses_receipts_is_noticed(memory_folder: Path) -> None:
    """With a log in memory receipts are lost, and the loop says so."""
    assert "came" in str(killed(memory_folder, 20, seed=3, log="memory")["wrong"])


@pytest.mark.soak
def test_many_kills(memory_folder: Path, tmp_path: Path) -> None:
    """The full count, and a tenth of it on a disk."""
    for folder, kills in ((memory_folder, KILLS_SOAK), (tmp_path, KILLS_SOAK // 10)):
        seen = killed(folder, kills, seed=int.from_bytes(os.urandom(4), "big"))
        assert not seen["wrong"], seen
