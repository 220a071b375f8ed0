# SPDX-License-Identifier: Apache-2.0
"""Runs as bundles, and what a solver would post of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from tests.chains import SOLVER, Chain, signer_of
from tests.evidence_making import SOLVER as SIGNER_PAIR
from tests.evidence_making import evidence_of, make_run

from tallystick.keys.local import LocalSigner
from tallystick.model.post import Commitment, commitment_of
from tallystick.solver.bundling import sign_manifest, write_bundle
from tallystick.solver.evidence import EvidenceFiles

HEAD = {"chainId": "c", "length": 3, "headHash": "sha256:" + "ab" * 32}


def make_bundle(folder: Path, name: str = "run", **changes: Any) -> tuple[Path, EvidenceFiles]:
    """Make a run's bundle, signed by the solver's two keys; return its path and its evidence."""
    run = make_run(folder / name)
    if "chain" not in changes:
        (run / "receipts.jsonl").unlink()  # those are of another chain than HEAD's
    made = evidence_of(run, **({"chain": HEAD} | changes))
    sign_manifest(run, LocalSigner(SIGNER_PAIR), evm_signer=signer_of(SOLVER))
    path = folder / f"{name}.tally"
    write_bundle(run, path)
    return path, made


def committed(chain: Chain, made: EvidenceFiles, **changes: Any) -> Commitment:
    """Return what a solver posts of a run now, or something else."""
    honest = commitment_of(
        made.manifest,
        bytes.fromhex(made.manifest_sha256),
        solver_id=chain.solver_id,
        created_at=chain.node.head()[1],
    )
    return msgspec.structs.replace(honest, **changes)
