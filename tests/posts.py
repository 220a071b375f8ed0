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
from tallystick.model.artifact import artifacts_root
from tallystick.model.bundle import END, MANIFEST, BundleReader, exactly, member_header, padding
from tallystick.model.manifest import encode_manifest, manifest_sha256
from tallystick.model.post import Commitment, commitment_of
from tallystick.solver.bundling import sign_manifest, write_bundle
from tallystick.solver.evidence import EvidenceFiles

HEAD = {"chainId": "c", "length": 3, "headHash": "sha256:" + "ab" * 32}


def make_bundle(
    folder: Path, name: str = "run", *, signs_evm: bool = True, **changes: Any
) -> tuple[Path, EvidenceFiles]:
    """Make a run's bundle, signed by the solver's two keys; return its path and its evidence."""
    run = make_run(folder / name)
    if "chain" not in changes:
        (run / "receipts.jsonl").unlink()  # those are of another chain than HEAD's
    made = evidence_of(run, **({"chain": HEAD} | changes))
    sign_manifest(
        run, LocalSigner(SIGNER_PAIR), evm_signer=signer_of(SOLVER) if signs_evm else None
    )
    path = folder / f"{name}.tally"
    write_bundle(run, path)
    return path, made


def lying_bundle(path: Path, made: EvidenceFiles) -> EvidenceFiles:
    """Make a bundle's first entry name a size that its bytes have not; no packer of ours does."""
    entries = made.manifest.artifacts or ()
    wrong = msgspec.structs.replace(entries[0], size=entries[0].size + 1)
    lying = (wrong, *entries[1:])
    root = f"sha256:{artifacts_root(lying).hex()}"
    manifest = msgspec.structs.replace(made.manifest, artifacts=lying, artifacts_root=root)
    data = encode_manifest(manifest)
    with path.open("rb") as stream:
        reader = BundleReader(exactly(stream.read))
        members = {}
        while (member := reader.next()) is not None:
            members[member.name] = reader.content()
    members[MANIFEST] = data + b"\n"
    packed = b"".join(
        member_header(name, len(one)) + one + padding(len(one)) for name, one in members.items()
    )
    path.write_bytes(packed + END)
    return msgspec.structs.replace(made, manifest=manifest, manifest_sha256=manifest_sha256(data))


def committed(chain: Chain, made: EvidenceFiles, **changes: Any) -> Commitment:
    """Return what a solver posts of a run now, or something else."""
    honest = commitment_of(
        made.manifest,
        bytes.fromhex(made.manifest_sha256),
        solver_id=chain.solver_id,
        created_at=chain.node.head()[1],
    )
    return msgspec.structs.replace(honest, **changes)
