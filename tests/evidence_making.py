# SPDX-License-Identifier: Apache-2.0
"""Trees of files, runs and bundles for the tests of evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tallystick.crypto.ed25519 import KeyPair
from tallystick.keys.local import LocalSigner
from tallystick.model.decision import ALLOWED
from tallystick.model.intent import parse_intent
from tallystick.model.policy import Policy
from tallystick.solver.bundling import Packed, make_directory_bundle, sign_manifest, write_bundle
from tallystick.solver.evidence import EvidenceFiles, create_evidence_bundle
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of

SOLVER: Final = KeyPair.from_seed(bytes(range(32)))
STRANGER: Final = KeyPair.from_seed(bytes(range(1, 33)))
SIGNERS: Final = Signers(trust=trust_of(SOLVER.public_key))
SOUND: Final = {
    ".tmp-x": b"hidden\n",
    "a-b": b"1",
    "empty": b"",
    "a/b": b"2",
    "report.json": b'{"sum":3}\n',
    "sub/.tmp-y/z": b"deep\n",
    "sub/ü.txt": b"text\n",
}
INTENT: Final = (
    b'{"intentVersion":"1.0.0","requester":"alice","createdAt":"2026-01-02T03:00:00Z",'
    b'"jobType":"SAFE_REPORT","inputs":{"b":1,"10":2,"9":3,"__proto__":4}}'
)
POLICY: Final = Policy(jobTypeAllowlist=("SAFE_REPORT",), maxArtifactMb=5)
CREATED: Final = "2026-01-02T03:00:04.000Z"


def make_tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder, which is made, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {
        os.path.relpath(os.path.join(where, name), folder): Path(where, name).read_bytes()
        for where, _, names in os.walk(folder)
        for name in names
    }


def make_run(run: Path, files: Mapping[str, bytes] = SOUND) -> Path:
    """Make the directory of a run, without its evidence."""
    make_tree(run / "artifacts", files)
    (run / "intent.json").write_bytes(INTENT)
    (run / "policy.json").write_bytes(POLICY.to_json())
    return run


def evidence_of(run: Path, **changes: Any) -> EvidenceFiles:
    """Make the evidence of a run."""
    intent = parse_intent(INTENT)
    told: dict[str, Any] = {
        "run_dir": run,
        "intent_id": intent.intent_id,
        "run_id": "0" * 64,
        "job_type": intent.jobType,
        "policy_decision": ALLOWED,
        "execution_summary": {"status": "SUCCESS", "exitCode": 0},
        "git_commit": None,
        "intent_hash": intent.intent_hash,
        "policy_hash": POLICY.policy_hash,
        "decided_at": "2026-01-02T03:00:01.000Z",
        "started_at": "2026-01-02T03:00:02.000Z",
        "finished_at": "2026-01-02T03:00:03.000Z",
        "created_at": CREATED,
        "chain": None,
        "environment": {"runner": "safe-report"},
    }
    return create_evidence_bundle(**(told | changes))


def bundle_of_run(run: Path, out: Path, **options: Any) -> Packed:
    """Make evidence of a run, sign it, and write its bundle."""
    evidence_of(run)
    sign_manifest(run, LocalSigner(SOLVER))
    return write_bundle(run, out, **options)


def bundle_of_folder(folder: Path, out: Path, signer: KeyPair = SOLVER, **options: Any) -> Packed:
    """Write the bundle of a folder."""
    return make_directory_bundle(
        folder, out, LocalSigner(signer), **({"created_at": CREATED} | options)
    )
