# SPDX-License-Identifier: Apache-2.0
"""Judges a bundle of evidence: bytes and public keys in, a report out; nothing else is asked.

1. The bundle has its one form, and holds a canonical manifest and the right hash beside it.
2. Every signature over the manifest holds, and one is of a signer that the caller named.
3. The list of artefacts is in order and gives the root that was signed; SHA256SUMS says the same.
4. Intent and policy are those that the manifest names; the decision follows from them.
5. The receipts are whole up to the head that the manifest binds, are this run's and say what was
   decided; they are in the log where asked.
6. The manifest follows the one before it, and its times follow each other.
7. Every artefact is there as listed, and no other: in the bundle, and in a folder where one is
   given.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, BinaryIO

import msgspec

from tallystick.crypto.note import VerifierKey
from tallystick.errors import (
    ArtifactRefused,
    BundleError,
    LimitError,
    ManifestError,
    UnreadableError,
)
from tallystick.model import bundle
from tallystick.model.artifact import ArtifactEntry, sums_line
from tallystick.model.bundle import BundleReader, Member, exactly
from tallystick.model.manifest import Manifest, manifest_sha256, parse_manifest
from tallystick.model.manifest_signature import parse_signatures
from tallystick.model.shapes import is_before
from tallystick.verify.artifacts import ArtifactJudge, judge_list, listed_entries
from tallystick.verify.manifest_signers import Signers, judge_signatures
from tallystick.verify.report import ChainReport, Findings, Report
from tallystick.verify.run_evidence import judge_run


class Predecessor(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest that should come before: by its hash alone, or with what it says."""

    sha256: str
    number: int | None = None
    created_at: str | None = None


class EvidenceQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller wants to know besides; everything has a default that asks for less."""

    # Entries of a live folder, in order; reading them may raise `ArtifactRefused`.
    artifacts: Iterable[ArtifactEntry] | None = None
    previous: Predecessor | None = None
    log_key: VerifierKey | None = None
    now: str | None = None
    # Artefacts and bytes so far.
    progress: Callable[[int, int], None] | None = None


class EvidenceReport(Report, frozen=True, kw_only=True):
    """A report with what the manifest says; None where there was no manifest to read."""

    manifest: Manifest | None
    manifest_sha256: str
    signers: tuple[str, ...]  # the trusted ones that have signed

    def to_dict(self) -> dict[str, Any]:
        """Return what `tally evidence verify --json` prints."""
        told = super().to_dict()
        manifest = self.manifest
        return {
            "verdict": told["verdict"],
            "manifest_sha256": self.manifest_sha256,
            "signers": list(self.signers),
            "origin": manifest and manifest.origin,
            "intent_id": manifest and manifest.intent_id,
            "run_id": manifest and manifest.run_id,
            "artifacts": manifest and manifest.artifact_count,
            "artifacts_root": manifest and manifest.artifacts_root,
        } | {name: told[name] for name in ("chains", "findings", "receipts", "unlisted")}


def verify_evidence(
    data: bytes | BinaryIO, signers: Signers, question: EvidenceQuestion | None = None
) -> EvidenceReport:
    """Return the report on a bundle, given as bytes or as a binary stream; never raises for it."""
    case = _Case(signers, question or EvidenceQuestion())
    signers.trust.report_unusable(case.findings)
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        case.take(BundleReader(exactly(stream.read)))
    except BundleError as fault:
        case.findings.add("EVIDENCE_MALFORMED", fault.where or "bundle", fault.message)
    except OSError as fault:
        why = fault.strerror or type(fault).__name__
        case.findings.add("EVIDENCE_UNREADABLE", "bundle", why)
    except UnreadableError as fault:
        case.findings.add("EVIDENCE_UNREADABLE", "bundle", str(fault))
    return case.report()


def judge_previous(
    manifest: Manifest, previous: Predecessor, findings: Findings, place: str = bundle.MANIFEST
) -> None:
    """Check that a manifest follows the one that should come before; `place` is where it stands."""
    expected = f"sha256:{previous.sha256}"
    if manifest.previous_manifest_hash != expected:
        findings.add(
            "EVIDENCE_PREVIOUS", f"{place}/previousManifestHash",
            "is not the manifest that should come before",
            expected=expected, found=manifest.previous_manifest_hash or "none",
        )  # fmt: skip
    elif previous.number is not None and manifest.number != previous.number + 1:
        findings.add(
            "EVIDENCE_PREVIOUS", f"{place}/number", "does not follow",
            expected=previous.number + 1, found=manifest.number,
        )  # fmt: skip
    elif previous.created_at is not None and is_before(manifest.created_at, previous.created_at):
        findings.add(
            "EVIDENCE_TIMES", f"{place}/createdAt", "is before its predecessor",
            expected=f"{previous.created_at} or later", found=manifest.created_at,
        )  # fmt: skip


class _Case:
    """One bundle on its way to a report."""

    def __init__(self, signers: Signers, question: EvidenceQuestion) -> None:
        self.findings = Findings()
        self._signers = signers
        self._question = question
        self._manifest: Manifest | None = None
        self._sha256 = ""
        self._signed_by: tuple[str, ...] = ()
        self._chains: tuple[ChainReport, ...] = ()
        self._receipts = 0

    def take(self, reader: BundleReader) -> None:
        """Judge all that the bundle holds, in one pass."""
        files: dict[str, bytes] = {}
        member = reader.next()
        while member is not None and not member.is_artifact:
            files[member.name] = reader.content()
            member = reader.next()
        entries = self._judge_files(files)
        self._judge_artifacts(reader, member, entries)
        if entries is not None:
            self._judge_folder(entries)

    def report(self) -> EvidenceReport:
        """Return the report."""
        base = self.findings.report(self._chains, self._receipts)
        return EvidenceReport(
            verdict=base.verdict,
            findings=base.findings,
            chains=base.chains,
            receipts=base.receipts,
            unlisted=base.unlisted,
            decisive=base.decisive,
            manifest=self._manifest,
            manifest_sha256=self._sha256,
            signers=self._signed_by,
        )

    def _judge_files(self, files: dict[str, bytes]) -> tuple[ArtifactEntry, ...] | None:
        """Judge all but the artefacts; return their entries where those can be read."""
        data = files.get(bundle.MANIFEST)
        if data is None:
            raise BundleError("is not there", bundle.MANIFEST)
        # (1)
        canonical = data.removesuffix(b"\n")
        self._sha256 = manifest_sha256(canonical)
        if files.get(bundle.DIGEST) != f"{self._sha256}\n".encode():
            found = files.get(bundle.DIGEST, b"nothing").decode("ascii", "replace").strip()
            message = "is not the hash of the manifest"
            self.findings.add(
                "EVIDENCE_HASH", bundle.DIGEST, message, expected=self._sha256, found=found
            )
        self._judge_signatures(canonical, files.get(bundle.SIGNATURES))
        try:
            if canonical == data:
                raise ManifestError("does not end with a newline")
            manifest = self._manifest = parse_manifest(canonical)
        except ManifestError as fault:
            where = f"{bundle.MANIFEST}{fault.where}"
            self.findings.add("EVIDENCE_MANIFEST", where, fault.message)
            return None
        # (3)
        entries = listed_entries(manifest, files.get(bundle.ARTIFACT_LIST), self.findings)
        if entries is not None:
            judge_list(manifest, entries, self.findings)
            if files.get(bundle.SUMS) != b"".join(map(sums_line, entries)):
                message = "is not there, or not what the manifest says"
                self.findings.add("EVIDENCE_SUMS", bundle.SUMS, message)
        # (4), (5)
        self._chains, self._receipts = judge_run(
            manifest, files, self._signers.trust, self._question.log_key, self.findings
        )
        self._judge_place(manifest)
        return entries

    def _judge_signatures(self, manifest: bytes, file: bytes | None) -> None:
        # (2)
        try:
            signatures = () if file is None else parse_signatures(file)
        except ManifestError as fault:
            where = f"{bundle.SIGNATURES}{fault.where}"
            self.findings.add("EVIDENCE_SIGNATURE", where, fault.message)
            return
        self._signed_by = judge_signatures(manifest, signatures, self._signers, self.findings)

    def _judge_place(self, manifest: Manifest) -> None:
        """Check the link to the manifest before, and the times."""
        # (6)
        previous, where = self._question.previous, f"{bundle.MANIFEST}/previousManifestHash"
        if previous is not None:
            judge_previous(manifest, previous, self.findings)
        elif manifest.previous_manifest_hash is not None:
            message = "names a manifest that was not compared"
            found = manifest.previous_manifest_hash
            self.findings.add("evidence_previous_unseen", where, message, found=found)
        decision, summary = manifest.policy_decision, manifest.execution_summary
        moments = [
            ("policyDecision/decidedAt", decision.decided_at if decision else None),
            ("executionSummary/startedAt", summary.started_at if summary else None),
            ("executionSummary/finishedAt", summary.finished_at if summary else None),
            ("createdAt", manifest.created_at),
        ]
        before: str | None = None
        for name, moment in moments:
            if before is not None and moment is not None and is_before(moment, before):
                self.findings.add(
                    "EVIDENCE_TIMES", f"{bundle.MANIFEST}/{name}", "is before what came before it",
                    expected=f"{before} or later", found=moment,
                )  # fmt: skip
            before = moment or before
        now = self._question.now
        if now is not None and is_before(now, manifest.created_at):
            where = f"{bundle.MANIFEST}/createdAt"
            self.findings.add(
                "evidence_in_future", where, "is later than now",
                expected=f"{now} or earlier", found=manifest.created_at,
            )  # fmt: skip

    def _judge_artifacts(
        self, reader: BundleReader, member: Member | None, entries: tuple[ArtifactEntry, ...] | None
    ) -> None:
        # (7)
        judge = ArtifactJudge(entries or (), self.findings)
        total = 0
        while member is not None:
            digest, end = sha256(), total + member.size
            for chunk in reader.chunks():
                digest.update(chunk)
                total += len(chunk)
                if total < end and self._question.progress is not None:
                    self._question.progress(judge.taken, total)
            if entries is not None:
                judge.take(member.name, digest.hexdigest(), member.size)
            if self._question.progress is not None:
                self._question.progress(judge.taken, total)
            member = reader.next()
        if judge.taken:
            judge.end()
        elif entries and self._question.artifacts is None:
            message = "are not in the bundle, and no folder was given"
            self.findings.add("EVIDENCE_ARTIFACTS_ABSENT", "artifacts", message)

    def _judge_folder(self, entries: tuple[ArtifactEntry, ...]) -> None:
        if self._question.artifacts is None:
            return
        judge, total = ArtifactJudge(entries, self.findings, prefix="folder:"), 0
        try:
            for one in self._question.artifacts:
                judge.take(one.path, one.sha256, one.size)
                total += one.size
                if self._question.progress is not None:
                    self._question.progress(judge.taken, total)
        except ArtifactRefused as fault:
            self.findings.add("EVIDENCE_ARTIFACT_REFUSED", f"folder:{fault.path}", fault.message)
            return
        except (LimitError, UnreadableError, OSError) as fault:
            self.findings.add("EVIDENCE_UNREADABLE", "folder", str(fault))
            return
        judge.end()
