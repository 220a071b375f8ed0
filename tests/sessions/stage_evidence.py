# SPDX-License-Identifier: Apache-2.0
"""Bundles for the sessions: some of our vectors, with their solver's key."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tallystick.crypto.ed25519 import public_key_from, public_key_pem
from tallystick.model.bundle import RECEIPTS, BundleReader
from tallystick.model.bundle_head import read_head

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "bundle"

_STAGED = {
    "solved.tally": "run",
    "second.tally": "second",
    "listed.tally": "run-listed",
    "detached.tally": "detached",
    "changed.tally": "artifact-changed",
    "stranger.tally": "signer-a-stranger",
    "twice-signed.tally": "signed-twice",
    "logged.tally": "logged",
    "refusal.tally": "refusal",
    "escaping.tally": "archive-escaping-member",
}
RESULTS = {"results/.hidden": b"also counts\n", "results/report.md": b"# Report\n"}


def expected(case: str) -> Any:
    """Return what a vector expects."""
    return json.loads((VECTORS / case / "expect.json").read_bytes())


def last_receipt(data: bytes) -> bytes:
    """Return the last receipt in a bundle."""
    reader = BundleReader(io.BytesIO(data).read)
    return read_head(reader).files[RECEIPTS].splitlines()[-1]


def evidence_files() -> Mapping[str, bytes]:
    """Return name and content of each file."""
    key = public_key_from(expected("run")["keys"][0])
    return {
        **{name: (VECTORS / case / "input.tally").read_bytes() for name, case in _STAGED.items()},
        **RESULTS,
        "solver.pub": public_key_pem(key).encode(),
        "solver.address": expected("signed-by-an-account")["keys"][0].encode(),
        "solver.vkey": (expected("logged")["vkey"] + "\n").encode(),
        "second.previous": expected("second-after-its-first")["previous"].encode(),
    }
