# SPDX-License-Identifier: Apache-2.0
"""Memory: what the verifier promises, and what an attacker can make of it.

The promise: at most 150 MB for the first million receipts and 24 bytes for each further one, in
whatever form they come, with any number of workers. `verify_stream.py` verifies streams of several
kinds in a process of its own; what is measured is the highest resident size of that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("verify_stream.py")
PROMISED_BYTES: Final = 150_000_000
PROMISED_BYTES_EACH: Final = 24
# Pages and arenas: how far two equal runs may lie apart.
NOISE_BYTES: Final = 1_500_000


def verified(kind: str, count: int, workers: int = 1) -> dict[str, Any]:
    """Return what one run in a fresh process tells."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), kind, str(count), str(workers)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["receipts"] == count
    return told


def test_each_further_receipt_costs_little() -> None:
    """Between 20 000 and 100 000 receipts, each with an id and a key, memory grows by the promise.

    That is 20 bytes of each, at full size; so few show it only roughly, because of the noise.
    `make soak` looks at millions, and the unit test of fingerprints at the arrays themselves.
    """
    few, many = verified("with_keys", 20_000), verified("with_keys", 100_000)
    growth = many["peak_bytes"] - few["peak_bytes"]
    assert growth <= 80_000 * PROMISED_BYTES_EACH + NOISE_BYTES, growth
    assert few["peak_bytes"] < PROMISED_BYTES / 3
    assert few["verdict"] == many["verdict"] == "unchecked"


# Kind, so many in CI, so many in `make soak`, what the report must say so that the stream is what
# it is meant to be, and how many workers there are.
ATTACKS: Final = [
    ("same_id", 5_000, 1_000_000, "ID_DUPLICATE", 1),
    ("pairs", 21_000, 200_000, "ID_DUPLICATE", 1),
    ("pending", 20_000, 1_000_000, "incomplete_tool_roundtrip", 1),
    ("chains", 10_000, 1_000_000, "KEY_MISSING", 1),
    ("signed_chains", 2_000, 100_000, None, 2),
    ("signed_rotations", 1_000, 150_000, None, 1),
    ("long_chains", 2_000, 50_000, "DELEGATION_DELEGATOR", 1),
    ("growing_chains", 13_000, 200_000, "CHAIN_LINK_BROKEN", 1),
    ("findings", 1_500, 50_000, "FIELD_VALUE", 1),
    ("big", 40, 1_000, "KEY_MISSING", 64),
    ("long_dates", 40, 2_000, "TIMESTAMP_SHAPE", 2),
    ("many_values", 2, 100, "KEY_MISSING", 8),
    ("many_faults", 4, 100, "FIELD_UNKNOWN", 8),
    ("all_at_once", 5_000, 1_000_000, "DELEGATION_DELEGATOR", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "count", "code", "workers"),
    [(kind, few, code, n) for kind, few, _, code, n in ATTACKS],
)
def test_an_attack_stays_within_the_promise(
    kind: str, count: int, code: str | None, workers: int
) -> None:
    """However a stream is made to fill memory, the promise for a million receipts is kept."""
    told = verified(kind, count, workers)
    assert told["peak_bytes"] <= PROMISED_BYTES
    assert code is None or code in told["codes"]
    assert (told["verdict"] == "verified") is (code is None)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["one_chain", "with_keys"])
def test_the_promise_at_full_size(kind: str) -> None:
    """A million receipts take at most 150 MB, and each of the next million 24 bytes."""
    first, second = verified(kind, 1_000_000), verified(kind, 2_000_000)
    assert first["peak_bytes"] <= PROMISED_BYTES
    growth = second["peak_bytes"] - first["peak_bytes"]
    assert growth <= 1_000_000 * PROMISED_BYTES_EACH


@pytest.mark.soak
@pytest.mark.parametrize(
    ("kind", "count", "workers"), [(kind, many, n) for kind, _, many, _, n in ATTACKS]
)
def test_a_large_attack_stays_within_the_promise(kind: str, count: int, workers: int) -> None:
    """So it is at the size at which every bound is reached."""
    assert verified(kind, count, workers)["peak_bytes"] <= PROMISED_BYTES
