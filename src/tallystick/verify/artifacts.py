# SPDX-License-Identifier: Apache-2.0
"""Holds files against the list that a manifest commits to: missing, extra, changed or renamed.

List and files both come in the bytewise order of their paths, so they are merged and not looked up.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallystick.errors import ManifestError
from tallystick.model.artifact import (
    ArtifactEntry,
    artifacts_root,
    file_and_folder,
    out_of_order,
    parse_entries,
    path_key,
)
from tallystick.model.bundle import ARTIFACT_LIST, MANIFEST
from tallystick.model.manifest import Manifest
from tallystick.verify.report import Findings


def listed_entries(
    manifest: Manifest, lines: bytes | None, findings: Findings
) -> tuple[ArtifactEntry, ...] | None:
    """Return the entries of a manifest, or of the list beside it; None where there is none."""
    if manifest.artifacts is not None:
        if lines is not None:
            findings.add(
                "EVIDENCE_MALFORMED", ARTIFACT_LIST, "stands beside a list in the manifest"
            )
        return manifest.artifacts
    if lines is None:
        findings.add("EVIDENCE_MALFORMED", ARTIFACT_LIST, "is not there, nor in the manifest")
        return None
    try:
        return tuple(parse_entries(lines, ARTIFACT_LIST))
    except ManifestError as fault:
        findings.add("EVIDENCE_MANIFEST", fault.where, fault.message)
        return None


def judge_list(manifest: Manifest, entries: Sequence[ArtifactEntry], findings: Findings) -> None:
    """Check order, number and root of the entries, and that they can lie in one folder."""
    where = MANIFEST if manifest.artifacts is not None else ARTIFACT_LIST
    late = out_of_order(entries)
    if late is not None:
        message = "names a path that does not come after the one before it"
        findings.add("EVIDENCE_ARTIFACT_ORDER", where, message, found=late)
    twofold = file_and_folder(entries)
    if twofold is not None:
        message = "names a path as a file and as a folder: no run can have left both"
        findings.add("EVIDENCE_MANIFEST", where, message, found=twofold)
    root = artifacts_root(entries)
    if len(entries) != manifest.artifact_count:
        findings.add(
            "EVIDENCE_ROOT", where, "has another number of entries than the manifest says",
            expected=manifest.artifact_count, found=len(entries),
        )  # fmt: skip
    elif root != manifest.root:
        findings.add(
            "EVIDENCE_ROOT", where, "does not give the root that the manifest says",
            expected=manifest.artifacts_root, found=f"sha256:{root.hex()}",
        )  # fmt: skip


class ArtifactJudge:
    """Takes files in the order of their paths and compares them with the entries."""

    def __init__(
        self, entries: Sequence[ArtifactEntry], findings: Findings, *, prefix: str = ""
    ) -> None:
        """Compare with these entries; `prefix` tells in findings where the files are."""
        self._entries = sorted(entries, key=path_key)
        self._findings = findings
        self._prefix = prefix
        self._at = 0
        self._missing: list[ArtifactEntry] = []
        self._extra: dict[tuple[str, int], str] = {}
        self.taken = 0

    def take(self, path: str, sha256: str, size: int) -> None:
        """Compare one file."""
        self.taken += 1
        key, entries = path.encode(), self._entries
        while self._at < len(entries) and path_key(entries[self._at]) < key:
            self._missing.append(entries[self._at])
            self._at += 1
        if self._at == len(entries) or entries[self._at].path != path:
            if (sha256, size) in self._extra:
                self._add_extra(path)
            else:
                self._extra[sha256, size] = path
            return
        entry = entries[self._at]
        self._at += 1
        if (entry.sha256, entry.size) != (sha256, size):
            self._findings.add(
                "EVIDENCE_ARTIFACT_CHANGED", self._prefix + path, "is not the file that was listed",
                expected=f"{entry.size} bytes, sha256 {entry.sha256}",
                found=f"{size} bytes, sha256 {sha256}",
            )  # fmt: skip

    def end(self) -> None:
        """Say what was missing, and what was there without being listed."""
        self._missing += self._entries[self._at :]
        self._at = len(self._entries)
        for entry in self._missing:
            renamed = self._extra.pop((entry.sha256, entry.size), None)
            if renamed is None:
                message = "is listed, and not there"
                self._findings.add("EVIDENCE_ARTIFACT_MISSING", self._prefix + entry.path, message)
            else:
                self._findings.add(
                    "EVIDENCE_ARTIFACT_RENAMED", self._prefix + renamed, "is listed elsewhere",
                    expected=entry.path, found=renamed,
                )  # fmt: skip
        for path in self._extra.values():
            self._add_extra(path)

    def _add_extra(self, path: str) -> None:
        self._findings.add(
            "EVIDENCE_ARTIFACT_EXTRA", self._prefix + path, "is there, and not listed"
        )
