# SPDX-License-Identifier: Apache-2.0
"""Trees of files, runs and bundles for the tests of evidence."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from tests.material import uuid

from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.crypto.ed25519 import KeyPair
from tallystick.deliver.memory import InMemoryEmitter
from tallystick.keys.local import LocalSigner
from tallystick.model import bundle
from tallystick.model.artifact import ArtifactEntry
from tallystick.model.decision import ALLOWED
from tallystick.model.intent import parse_intent
from tallystick.model.manifest import encode_manifest, manifest_sha256
from tallystick.model.manifest_signature import encode_signatures
from tallystick.model.policy import Policy
from tallystick.model.run_decision import DECIDE, decided_on, decided_what
from tallystick.solver.bundling import (
    Packed,
    make_directory_bundle,
    sign_manifest,
    signatures_of,
    write_bundle,
)
from tallystick.solver.evidence import (
    EvidenceFiles,
    create_evidence_bundle,
    directory_manifest,
    list_artifacts,
)
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
RUN_ID: Final = "0" * 64


def receipts_of_run() -> tuple[bytes, dict[str, Any]]:
    """Return the receipts of the run, and what its manifest says of them."""
    kept = InMemoryEmitter()
    ids = iter(range(1, 1000))
    chain = ReceiptChain(
        signer=LocalSigner(SOLVER),
        issuer={"id": "did:agent:solver"},
        principal={"id": "alice"},
        emitter=kept,
        chain_id="run",
        clock=lambda: 1_767_322_801_000_000_000,
        ids=lambda: uuid(next(ids)),
    )
    chain.emit(
        {"type": DECIDE, "target": {"system": "solver"}},
        {"status": "success"},
        parameters=decided_on(parse_intent(INTENT).intent_hash, RUN_ID),
        response=decided_what(ALLOWED.to_dict()),
    )
    chain.close("complete")
    head = chain.head
    told = {"chainId": head.chain_id, "length": head.sequence, "headHash": head.hash}
    return b"".join(one.to_json() + b"\n" for one in kept.receipts), told


RECEIPTS, CHAIN = receipts_of_run()


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
    (run / "receipts.jsonl").write_bytes(RECEIPTS)
    return run


def evidence_of(run: Path, **changes: Any) -> EvidenceFiles:
    """Make the evidence of a run."""
    intent = parse_intent(INTENT)
    told: dict[str, Any] = {
        "run_dir": run,
        "intent_id": intent.intent_id,
        "run_id": RUN_ID,
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
        "chain": CHAIN,
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


def bundle_of_list(
    entries: Sequence[ArtifactEntry], files: Mapping[str, bytes], **changes: Any
) -> bytes:
    """Return a bundle whose manifest lists what its signer wants, whether or not that can be."""
    found = list_artifacts(entries)
    manifest = msgspec.structs.replace(directory_manifest(found, CREATED)[0], **changes)
    data = encode_manifest(manifest)
    named = {
        bundle.MANIFEST: data + b"\n",
        bundle.DIGEST: manifest_sha256(data).encode() + b"\n",
        bundle.SIGNATURES: encode_signatures(signatures_of(data, LocalSigner(SOLVER), None)),
        bundle.SUMS: found.sums(),
    }
    parts = [*bundle.named_members(named)]
    for name, content in files.items():
        header = bundle.member_header(f"artifacts/{name}", len(content))
        parts.append(header + content + bundle.padding(len(content)))
    return b"".join((*parts, bundle.END))


def listed(path: str, content: bytes) -> ArtifactEntry:
    """Return the entry of a file."""
    digest = sha256(content).hexdigest()
    path = f"artifacts/{path}"
    return ArtifactEntry(size=len(content), content_type="text/plain", path=path, sha256=digest)
