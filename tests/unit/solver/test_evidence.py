# SPDX-License-Identifier: Apache-2.0
"""Evidence of a run: its files, their order, their bounds, and that nobody makes it twice."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from tests.evidence_making import SOUND, evidence_of, make_run, make_tree

from tallystick import limits
from tallystick.crypto.canonical import canonicalize
from tallystick.errors import ArtifactRefused, ManifestError, PathTakenError
from tallystick.model.artifact import artifacts_root
from tallystick.model.manifest import parse_manifest
from tallystick.solver.evidence import directory_manifest, list_artifacts, with_artifacts
from tallystick.solver.hashing import scan_artifacts


def test_the_files_say_what_the_source_says(tmp_path: Path) -> None:
    """Names, forms and hash of the manifest's files, as the source document has them."""
    made = evidence_of(make_run(tmp_path / "run"))
    data = Path(made.manifest_path).read_bytes()
    assert data.endswith(b"\n")
    told = json.loads(data)
    assert canonicalize(told) + b"\n" == data
    assert {
        "manifestVersion", "intentId", "runId", "jobType", "createdAt", "artifacts",
        "policyDecision", "executionSummary", "solver",
    } <= set(told)  # fmt: skip
    assert {"service", "serviceVersion", "gitCommit"} == set(told["solver"])
    assert {"path", "sha256", "bytes", "contentType"} == set(told["artifacts"][0])
    assert made.manifest_sha256 == sha256(data[:-1]).hexdigest()
    digest = (tmp_path / "run/evidence/manifest.sha256").read_text()
    assert digest == made.manifest_sha256 + "\n"
    assert parse_manifest(data[:-1]) == made.manifest


def test_a_second_manifest_is_refused(tmp_path: Path) -> None:
    """Laundering: files changed after the fact don't get evidence anew."""
    run = make_run(tmp_path / "run")
    evidence_of(run)
    before = (run / "evidence/manifest.json").read_bytes()
    (run / "artifacts/report.json").write_bytes(b'{"sum":4}\n')
    with pytest.raises(PathTakenError, match="hashed once"):
        evidence_of(run)
    assert (run / "evidence/manifest.json").read_bytes() == before


def test_what_a_crash_left_without_a_manifest_does_not_count(tmp_path: Path) -> None:
    """The manifest comes last: until then everything may be made again."""
    run = make_run(tmp_path / "run")
    make_tree(run / "evidence", {"SHA256SUMS": b"half", "manifest.sha256": b"half"})
    made = evidence_of(run)
    assert (run / "evidence/manifest.sha256").read_text().strip() == made.manifest_sha256
    assert sorted(os.listdir(run / "evidence")) == [
        "SHA256SUMS",
        "manifest.json",
        "manifest.sha256",
    ]


def test_a_long_list_lies_outside(tmp_path: Path) -> None:
    """The manifest stays within its limit, and commits to the list by number and root."""
    files = {f"{number:04}": b"" for number in range(300)}
    made = evidence_of(make_run(tmp_path / "run", files))
    assert made.manifest.artifacts is None
    assert made.manifest.artifact_count == 300
    lines = (tmp_path / "run/evidence/artifacts.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [f"artifacts/{name}" for name in files]
    entries = list(scan_artifacts(tmp_path / "run/artifacts"))
    assert artifacts_root(entries) == made.manifest.root
    assert Path(made.manifest_path).stat().st_size <= limits.MANIFEST_BYTES_MAX + 1


def test_the_list_lies_inside_while_it_fits(tmp_path: Path) -> None:
    """The step is at the limit itself: as many entries inside as fit, and not one more."""
    inside = []
    for number in range(60, 130):
        entries = make_tree(tmp_path / str(number), {f"{i:04}": b"" for i in range(number)})
        manifest, data = directory_manifest(
            list_artifacts(scan_artifacts(entries)), "2026-01-02T03:00:04.000Z"
        )
        assert len(data) <= limits.MANIFEST_BYTES_MAX
        if manifest.artifacts is not None:
            inside.append((number, len(data)))
    count, size = inside[-1]
    each = size - inside[-2][1]
    assert count < 129
    assert size + each > limits.MANIFEST_BYTES_MAX
    assert [number for number, _ in inside] == list(range(60, count + 1))


def test_a_refusal_that_is_full_of_quotes_fits(tmp_path: Path) -> None:
    """Whatever a requester makes the reasons say, the refusal still gets its manifest."""
    run = make_run(tmp_path / "run", {})
    for letter in ('"', "\\", "\x00", "ü", "\u2028"):
        text = letter * 5000
        decision = {
            "allowed": False,
            "reasons": [text] * limits.REASONS_MAX,
            "codes": ["A" * 64] * limits.REASONS_MAX,
        }
        made = evidence_of(
            run, policy_decision=decision, started_at=None,
            execution_summary={"status": "REFUSED", "error": text},
        )  # fmt: skip
        assert made.manifest.policy_decision is not None
        assert all(reason.endswith("…") for reason in made.manifest.policy_decision.reasons)
        Path(made.manifest_path).unlink()


def test_links_in_the_place_of_artifacts_are_refused(tmp_path: Path) -> None:
    """The folder of artefacts itself may be no link; a link inside is refused, too."""
    run = make_run(tmp_path / "run", SOUND)
    (run / "artifacts/link").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactRefused, match="link"):
        evidence_of(run)
    other = make_run(tmp_path / "other", {})
    (other / "artifacts").rmdir()
    (other / "artifacts").symlink_to(run)
    with pytest.raises(ArtifactRefused, match="artifacts"):
        evidence_of(other)
    assert not (other / "evidence").exists()


def test_values_of_another_kind_are_refused(tmp_path: Path) -> None:
    """What a caller hands over is held to the types of the manifest before anything is written."""
    run = make_run(tmp_path / "run", {})
    for changes in (
        {"execution_summary": {"status": "DONE"}},
        {"execution_summary": {"status": "SUCCESS", "ratio": 0.5}},
        {"intent_id": "A" * 64},
        {"created_at": "2026-01-02"},
        {"created_at": "2026-01-02T03:00:04+01:00"},
        {"environment": {"more": 1}},
        {"number": 2},
        {"previous_manifest": "0" * 64},
    ):
        with pytest.raises(ManifestError):
            evidence_of(run, **changes)
    assert not (run / "evidence/manifest.json").exists()


def test_a_run_without_artifacts_has_a_manifest(tmp_path: Path) -> None:
    """A run that left nothing, not even a folder."""
    (tmp_path / "run").mkdir()
    manifest = evidence_of(tmp_path / "run").manifest
    assert (manifest.artifacts, manifest.artifact_count) == ((), 0)


def test_the_list_stands_as_it_is_told(tmp_path: Path) -> None:
    """`with_artifacts` gives the manifest that holds these entries."""
    made = evidence_of(make_run(tmp_path / "run"))
    found = list_artifacts(scan_artifacts(tmp_path / "run/artifacts"))
    assert with_artifacts(made.manifest, found)[0] == made.manifest
