# SPDX-License-Identifier: Apache-2.0
"""kill -9, over and over: nothing that the daemon acknowledged is ever missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = int(os.environ.get("TALLY_KILLS", "200"))
SOAK_KILLS = int(os.environ.get("TALLY_KILLS", "5000"))


def loop(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Run the loop in a process of its own: it forks, and pytest has threads."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.daemon_kill_loop", str(folder), str(kills), str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize(
    "kills", [KILLS, pytest.param(SOAK_KILLS, marks=pytest.mark.soak)], ids=["ci", "soak"]
)
def test_killed_daemons_keep_their_word(tmp_path: Path, kills: int) -> None:
    """No acknowledged frame is lost, no chain forks, each start goes on, and all of it verifies."""
    seen = loop(tmp_path / "home", kills, seed=kills)
    assert not seen["wrong"], seen
    # Enough of them died with frames under way, else nothing was tried.
    assert seen["busy"] >= kills // 10, seen
    assert seen["acknowledged"] >= kills, seen
    # And some while another process drafted.
    assert seen["drafted"] >= kills // 40, seen
