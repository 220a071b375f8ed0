# SPDX-License-Identifier: Apache-2.0
"""The example on chain ends as it says: one post final, one cheat slashed, in time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 15  # on two idle cores it takes a third of that


def test_honest_and_cheating(tmp_path: Path) -> None:
    """The honest post is final, the replay is slashed, the solver jailed; no node was needed."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "on_chain.py"), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^honest +finalized$", done.stdout, re.MULTILINE)
    assert re.search(r"^cheat +slashed$", done.stdout, re.MULTILINE)
    assert "the solver is jailed" in done.stdout
    took = re.search(r"on chain in ([0-9.]+) s", done.stdout)
    assert took is not None
    assert float(took[1]) <= SECONDS_MAX
