# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of a collector at random moments, under 64 clients, with a clock that jumps.

What was acknowledged is there, byte for byte, at the index that was promised; it is proven to be in
the log; every checkpoint that was ever shown is of one log; a monitor finds nothing wrong, and fsck
recomputes all of it. See log_kill_loop.py. TALLY_LOG_KILLS sets how many kills there are.
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
from tests.postgres_server import running_postgres

LOOP = "tests.faults.log_kill_loop"
KILLS = int(os.environ.get("TALLY_LOG_KILLS", "100"))
KILLS_SOAK = int(os.environ.get("TALLY_LOG_KILLS", "2000"))


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """Return a folder in memory where there is such a place: the kernel survives these kills."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        yield Path(made)


def killed(folder: Path, kills: int, *, seed: int, db: str = "") -> dict[str, Any]:
    """Run the loop, and return what it saw."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.log_kill_loop",
            str(folder),
            str(kills),
            str(seed),
            db,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120 + kills,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-4000:]
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_nothing_acknowledged_is_lost(memory_folder: Path) -> None:
    """Every acknowledged receipt survives every kill, in one log with one past."""
    seen = killed(memory_folder, KILLS, seed=1)
    assert not seen["wrong"], seen
    assert seen["kills"] >= KILLS
    assert seen["acknowledged"] > 10 * KILLS
    assert seen["answered_409"] > 0  # stored before a kill, acknowledged after it
    assert seen["checkpoints"] > KILLS // 4


def test_two_collectors_on_one_database(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on PostgreSQL, where two share the database and one of them is killed each time."""
    monkeypatch.setattr(tempfile, "tempdir", str(memory_folder.parent))
    with running_postgres() as server:
        seen = killed(memory_folder, KILLS, seed=4, db=server.new_database())
    assert not seen["wrong"], seen
    assert seen["acknowledged"] > 2 * KILLS


def test_kills_on_a_disk(tmp_path: Path) -> None:
    """The same where syncs take their time."""
    seen = killed(tmp_path, 10, seed=2)
    assert not seen["wrong"], seen


def test_a_store_that_forgets_is_noticed(memory_folder: Path) -> None:
    """With a store of its own for each collector receipts are lost, and the loop says so."""
    assert "found" in str(killed(memory_folder, 4, seed=3, db="forgetful")["wrong"])


@pytest.mark.soak
def test_many_kills(memory_folder: Path, tmp_path: Path) -> None:
    """The full count, and a tenth of it on a disk."""
    for folder, kills in ((memory_folder, KILLS_SOAK), (tmp_path, KILLS_SOAK // 10)):
        seen = killed(folder, kills, seed=int.from_bytes(os.urandom(4), "big"))
        assert not seen["wrong"], seen
