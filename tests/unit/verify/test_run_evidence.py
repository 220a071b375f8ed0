# SPDX-License-Identifier: Apache-2.0
"""A run's own papers. Most cases are vectors: `tests/vectors/test_bundle_vectors.py`."""

from __future__ import annotations

from pathlib import Path

from tests.evidence_making import SIGNERS, bundle_of_run, make_run

from tallystick.model import bundle
from tallystick.model.manifest import parse_manifest
from tallystick.verify.evidence import verify_evidence
from tallystick.verify.report import Findings
from tallystick.verify.run_evidence import judge_run
from tallystick.verify.trust import Trust


def test_what_is_absent_is_not_wrong(tmp_path: Path) -> None:
    """Without intent and policy the rest still holds, and the verdict is `unchecked`."""
    run = make_run(tmp_path / "run")
    (run / "intent.json").unlink()
    (run / "policy.json").unlink()
    bundle_of_run(run, tmp_path / "out")
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS)
    assert report.verdict == "unchecked"
    assert report.codes() == ["EVIDENCE_INTENT_ABSENT", "EVIDENCE_POLICY_ABSENT"]


def test_a_folder_has_no_papers() -> None:
    """What would tell of a run does not belong into the bundle of a folder."""
    from tests.unit.model.test_manifest import sample

    findings = Findings()
    files = {bundle.RECEIPTS: b"", bundle.LOG_SHEET: b""}
    judge_run(parse_manifest(sample("folder")), files, Trust(), None, findings)
    codes = [one.code for one in findings.report((), 0).findings]
    assert codes == ["evidence_no_decision", "EVIDENCE_MALFORMED", "EVIDENCE_MALFORMED"]
