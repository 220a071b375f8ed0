# SPDX-License-Identifier: Apache-2.0
"""How fast evidence is made, checked and decided on, beside the floor of the same run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
# What a busy machine may spoil once is measured again.
ATTEMPTS = 3


def measure(program: str, *options: object) -> str:
    """Run rows of `make bench` until all are met, and return what they said."""
    command = [sys.executable, str(BENCH / program), *map(str, options)]
    said = ""
    for _ in range(ATTEMPTS):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        said = done.stdout
        if done.returncode == 0:
            return said
        assert done.returncode == 1, done.stderr
    pytest.fail(said)


@pytest.mark.parametrize(
    ("files", "size", "rounds"),
    [(20_000, 50_000, 2), pytest.param(100_000, 100_000, 1, marks=pytest.mark.soak)],
    ids=["1GB", "10GB"],
)
def test_a_large_tree_is_hashed_at_the_rate_of_hashlib(files: int, size: int, rounds: int) -> None:
    """Manifest, memory and verifying stay within their bounds for a tree of that size."""
    told = measure("evidence.py", "--files", files, "--bytes", size, "--rounds", rounds)
    assert told.count(" met ") == 3


def test_the_gate_decides_fast_enough() -> None:
    """Tens of thousands of decisions a second, with no reason and with five."""
    assert measure("gate.py", "--decisions", 20_000, "--rounds", 3).count(" met ") == 2
