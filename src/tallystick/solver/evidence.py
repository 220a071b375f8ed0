# SPDX-License-Identifier: Apache-2.0
"""Makes the manifest of a run from what is on disk, and puts it beside the artefacts.

`<run>/evidence/` then holds `artifacts.jsonl` where the list does not fit into the manifest,
`SHA256SUMS` for `sha256sum -c`, `manifest.sha256` and `manifest.json`: the manifest last, and never
over another one. Until it is there nothing counts, and making it again is no harm; once it is
there, nobody makes it again from other files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from tallystick import __version__
from tallystick.chain.issue import default_clock, timestamp
from tallystick.crypto.merkle import Edge, leaf_hash
from tallystick.durable.file import FilePath, make_directory, shown, write_replace
from tallystick.durable.whole import write_whole
from tallystick.errors import ArtifactRefused, LimitError, ManifestError, PathTakenError
from tallystick.limits import (
    ARTIFACT_LIST_BYTES_MAX,
    MANIFEST_BYTES_MAX,
    RUN_ERROR_BYTES_MAX,
)
from tallystick.model.artifact import ArtifactEntry, encode_entry, sums_line
from tallystick.model.manifest import (
    MANIFEST_VERSION,
    Environment,
    ExecutionSummary,
    Manifest,
    PolicyDecision,
    ReceiptBinding,
    Solver,
    encode_manifest,
    fit_text,
    manifest_sha256,
)
from tallystick.model.run_decision import fitted_reasons
from tallystick.solver.hashing import Progress, scan_artifacts

SERVICE: Final = "tallystick-solver"
# Who shares evidence hands on the bundle; what lies in the solver's home is its owner's.
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700


class ToldDecision(Protocol):
    """A decision that gives its members: `allowed`, `reasons` and `codes`."""

    def to_dict(self) -> dict[str, Any]:
        """Return them."""
        ...


class EvidenceFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, and where it is."""

    manifest: Manifest
    manifest_path: str
    manifest_sha256: str


class ArtifactList(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of all artefacts, in order, and what commits to them."""

    entries: tuple[ArtifactEntry, ...]
    lines: bytes  # the canonical entries, a newline after each: `artifacts.jsonl`
    root: bytes

    def sums(self) -> bytes:
        """Return the content of `SHA256SUMS`."""
        return b"".join(map(sums_line, self.entries))


def list_artifacts(entries: Iterable[ArtifactEntry]) -> ArtifactList:
    """Return the list of entries that come in their order."""
    edge, found, lines = Edge(), [], bytearray()
    for entry in entries:
        data = encode_entry(entry)
        edge.append(leaf_hash(data))
        lines += data
        lines += b"\n"
        found.append(entry)
        if len(lines) > ARTIFACT_LIST_BYTES_MAX:
            raise LimitError(f"the list of artefacts is over {ARTIFACT_LIST_BYTES_MAX} bytes")
    return ArtifactList(entries=tuple(found), lines=bytes(lines), root=edge.root())


def scan_run(run_dir: FilePath, *, progress: Progress | None = None) -> ArtifactList:
    """Return the list of what a run left in `<run>/artifacts/`; no folder is an empty list."""
    artifacts = os.path.join(run_dir, "artifacts")
    if os.path.islink(artifacts):
        raise ArtifactRefused("artifacts", "is a symbolic link, and links are not followed")
    if not os.path.lexists(artifacts):
        return list_artifacts(())
    return list_artifacts(scan_artifacts(artifacts, progress=progress))


def create_evidence_bundle(  # noqa: PLR0917  # the source's own seven, in its order
    run_dir: FilePath,
    intent_id: str,
    run_id: str,
    job_type: str,
    policy_decision: Mapping[str, Any] | ToldDecision,
    execution_summary: Mapping[str, Any],
    git_commit: str | None = None,
    *,
    intent_hash: str | None = None,
    policy_hash: str | None = None,
    decided_at: str | None = None,
    started_at: str | UnsetType | None = UNSET,
    finished_at: str | UnsetType | None = UNSET,
    created_at: str | None = None,
    chain: Mapping[str, Any] | UnsetType | None = UNSET,
    environment: Mapping[str, Any] | None = None,
    previous_manifest: str | None = None,
    number: int = 1,
    scanned: ArtifactList | None = None,
    progress: Progress | None = None,
) -> EvidenceFiles:
    """Hash what a run left, and put its manifest into `<run>/evidence/`; never twice.

    The first seven arguments are the source's. What else a manifest says is read from the run's
    directory where it is not told: policy, states and receipts. `scanned` is what `scan_run` gave
    for this run a moment ago, where hashing must not hold up others.
    """
    from tallystick.solver.left_by_run import LeftByRun  # heavy, and folders need none of it

    evidence = os.path.join(run_dir, "evidence")
    _refuse_second(evidence)
    left = LeftByRun(run_dir)
    created_at = created_at or timestamp(default_clock())
    started_at = left.started_at if started_at is UNSET else started_at
    if finished_at is UNSET:
        finished_at = None if started_at is None else created_at
    found = scan_run(run_dir, progress=progress) if scanned is None else scanned
    manifest = Manifest(
        manifest_version=MANIFEST_VERSION,
        origin="run",
        number=number,
        previous_manifest_hash=None if previous_manifest is None else f"sha256:{previous_manifest}",
        intent_id=intent_id,
        intent_hash=intent_hash or f"sha256:{intent_id}",
        run_id=run_id,
        job_type=job_type,
        created_at=created_at,
        artifacts=None,
        artifact_count=len(found.entries),
        artifacts_root=f"sha256:{found.root.hex()}",
        policy_hash=policy_hash or left.policy_hash(),
        policy_decision=_decision(policy_decision, decided_at or left.decided_at or created_at),
        execution_summary=_summary(execution_summary, started_at, finished_at),
        receipt_chain=left.binding() if chain is UNSET else _binding(chain),
        environment=_environment(environment or {}),
        solver=Solver(service=SERVICE, service_version=__version__, git_commit=git_commit),
    )
    manifest, data = with_artifacts(manifest, found)
    digest = manifest_sha256(data)
    _put(evidence, found, digest, data, has_list=manifest.artifacts is None)
    path = os.path.join(evidence, "manifest.json")
    return EvidenceFiles(manifest=manifest, manifest_path=path, manifest_sha256=digest)


def directory_manifest(found: ArtifactList, created_at: str) -> tuple[Manifest, bytes]:
    """Return the manifest of a folder that nobody's run left, and its canonical bytes."""
    manifest = Manifest(
        manifest_version=MANIFEST_VERSION,
        origin="directory",
        number=None,
        previous_manifest_hash=None,
        intent_id=None,
        intent_hash=None,
        run_id=None,
        job_type=None,
        created_at=created_at,
        artifacts=None,
        artifact_count=len(found.entries),
        artifacts_root=f"sha256:{found.root.hex()}",
        policy_hash=None,
        policy_decision=None,
        execution_summary=None,
        receipt_chain=None,
        environment=Environment(tool_version=__version__, runner=None, sandbox={}),
        solver=Solver(service="tallystick", service_version=__version__, git_commit=None),
    )
    return with_artifacts(manifest, found)


def with_artifacts(manifest: Manifest, found: ArtifactList) -> tuple[Manifest, bytes]:
    """Return a manifest with the list of its artefacts, where that fits, and its bytes."""
    data = encode_manifest(manifest)
    count = len(found.entries)
    # `null` gives way to brackets; each newline of the list to a comma, but for the last.
    size = len(data) - len("null") + len("[]") + len(found.lines) - (1 if count else 0)
    if size > MANIFEST_BYTES_MAX:
        return manifest, data
    manifest = msgspec.structs.replace(manifest, artifacts=found.entries)
    return manifest, encode_manifest(manifest)


def _refuse_second(evidence: str) -> None:
    path = os.path.join(evidence, "manifest.json")
    if os.path.lexists(path):
        raise PathTakenError(f"{shown(path)} already exists: what a run left is hashed once")


def _put(
    evidence: str, found: ArtifactList, digest: str, manifest: bytes, *, has_list: bool
) -> None:
    make_directory(evidence, _FOLDER_MODE)
    if has_list:
        write_replace(os.path.join(evidence, "artifacts.jsonl"), found.lines, _MODE)
    write_replace(os.path.join(evidence, "SHA256SUMS"), found.sums(), _MODE)
    write_replace(os.path.join(evidence, "manifest.sha256"), f"{digest}\n".encode(), _MODE)
    write_whole(os.path.join(evidence, "manifest.json"), manifest + b"\n", _MODE)


def _decision(told: Mapping[str, Any] | ToldDecision, decided_at: str) -> PolicyDecision:
    members = told if isinstance(told, Mapping) else told.to_dict()
    return PolicyDecision(
        allowed=members["allowed"],
        reasons=fitted_reasons(members["reasons"]),
        codes=tuple(members.get("codes", ())),
        decided_at=decided_at,
    )


def _summary(
    told: Mapping[str, Any], started_at: str | None, finished_at: str | None
) -> ExecutionSummary:
    error = told.get("error")
    if "status" not in told:
        raise ManifestError("has no status", "/executionSummary")
    return ExecutionSummary(
        status=told["status"],
        error=None if error is None else fit_text(error, RUN_ERROR_BYTES_MAX),
        started_at=started_at,
        finished_at=finished_at,
        details={name: told[name] for name in told if name not in ("status", "error")},
    )


def _binding(told: Mapping[str, Any] | None) -> ReceiptBinding | None:
    if told is None:
        return None
    return ReceiptBinding(chain_id=told["chainId"], length=told["length"], head=told["headHash"])


def _environment(told: Mapping[str, Any]) -> Environment:
    try:
        return msgspec.convert(
            {"toolVersion": __version__, "runner": None, "sandbox": {}, **told}, Environment
        )
    except msgspec.ValidationError as fault:
        raise ManifestError(f"environment: {fault}") from None
