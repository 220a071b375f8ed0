# SPDX-License-Identifier: Apache-2.0
"""Judges a proof that one artefact is in a signed manifest: the proof and public keys, no more.

Root and count come from the manifest whose signature holds; the leaf is computed from the entry.
"""

from __future__ import annotations

from typing import Any

from tallystick.crypto.merkle import verify_inclusion
from tallystick.crypto.note import VerifierKey
from tallystick.errors import ManifestError
from tallystick.model.artifact import ArtifactEntry, entry_leaf
from tallystick.model.artifact_proof import ArtifactProof, parse_proof
from tallystick.model.manifest import Manifest, manifest_sha256, parse_manifest
from tallystick.model.manifest_signature import parse_signatures
from tallystick.verify.artifacts import judge_list
from tallystick.verify.evidence import EvidenceReport, Predecessor, judge_previous
from tallystick.verify.manifest_signers import Signers, judge_signatures
from tallystick.verify.report import Findings


class ProofReport(EvidenceReport, frozen=True, kw_only=True):
    """A report on one artefact; `entry` is what the proof says of it."""

    entry: ArtifactEntry | None

    def to_dict(self) -> dict[str, Any]:
        """Return what `tally evidence verify --json` prints."""
        told = super().to_dict()
        entry = self.entry
        told["artifact"] = entry and {
            "path": entry.path, "sha256": entry.sha256, "bytes": entry.size,
        }  # fmt: skip
        return told


def verify_artifact_proof(
    data: bytes,
    signers: Signers,
    *,
    found: tuple[str, int] | None = None,
    previous: Predecessor | None = None,
    log_key: VerifierKey | None = None,
) -> ProofReport:
    """Return the report on a proof; `found` is the sha256 and size of the file to compare.

    `previous` is the manifest that should come before. Whether a log has the run's receipts, no
    proof shows: with a `log_key` that could not be checked.
    """
    findings = Findings()
    signers.trust.report_unusable(findings)
    proof: ArtifactProof | None = None
    manifest: Manifest | None = None
    signed_by: tuple[str, ...] = ()
    digest = ""
    try:
        proof = parse_proof(data)
        canonical = proof.manifest.encode()
        digest = manifest_sha256(canonical)
        file = proof.signature_file()
        signatures = () if file is None else parse_signatures(file)
        signed_by = judge_signatures(canonical, signatures, signers, findings)
        manifest = parse_manifest(canonical)
    except ManifestError as fault:
        findings.add("EVIDENCE_MANIFEST", f"proof{fault.where}", fault.message)
    else:
        _judge(proof, manifest, found, findings)
        if previous is not None:
            judge_previous(manifest, previous, findings, "proof/manifest")
        if log_key is not None:
            message = "is about receipts, and the proof of an artefact has none"
            findings.add("LOG_PROOF_MISSING", "proof", message)
    base = findings.report((), 0)
    return ProofReport(
        verdict=base.verdict,
        findings=base.findings,
        chains=(),
        receipts=0,
        unlisted=base.unlisted,
        decisive=base.decisive,
        manifest=manifest,
        manifest_sha256=digest,
        signers=signed_by,
        entry=None if proof is None else proof.entry,
    )


def _judge(
    proof: ArtifactProof, manifest: Manifest, found: tuple[str, int] | None, findings: Findings
) -> None:
    leaf = entry_leaf(proof.entry)
    count, path = manifest.artifact_count, proof.hashes()
    if not verify_inclusion(leaf, proof.index, count, path, manifest.root):
        findings.add(
            "EVIDENCE_PROOF", "proof/path", "does not lead to the root of the manifest",
            expected=f"index {proof.index} of {count}",
        )  # fmt: skip
    elif found is not None and found != (proof.entry.sha256, proof.entry.size):
        findings.add(
            "EVIDENCE_ARTIFACT_CHANGED", proof.entry.path, "is not the file that was listed",
            expected=f"{proof.entry.size} bytes, sha256 {proof.entry.sha256}",
            found=f"{found[1]} bytes, sha256 {found[0]}",
        )  # fmt: skip
    if manifest.artifacts is not None:
        # Where the manifest has the list, it must not say something else than its root.
        judge_list(manifest, manifest.artifacts, findings)
    if manifest.origin == "directory":
        message = "nothing was asked, decided or run: somebody made this of a folder"
        findings.add("evidence_no_decision", "proof/manifest/origin", message)
