# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any point ends as evidence, and its intent is executed at most once."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests import material
from tests.command import environment, tally
from tests.faults.solver_victim import POINTS, victim
from tests.solving import Members, body, codes, manifest_of, receipts_of

from tallystick.solver.hashing import scan_artifacts
from tallystick.solver.resume import resume_run, unfinished
from tallystick.solver.run import RunOutcome, run_intent
from tallystick.solver.states import RunStates
from tallystick.verify.evidence import EvidenceQuestion, verify_evidence
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of
from tallystick.verify.verification import verify_chain

_ROOT = Path(__file__).resolve().parent.parent.parent
_UNREACHED = "never"


def _kill(folder: Path, point: str, verb: str = "run") -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.solver_victim", str(folder), point, verb],
        cwd=_ROOT,
        env=environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def _executions(folder: Path) -> int:
    path = folder / "executions"
    return path.stat().st_size if path.exists() else 0


def _resume(folder: Path) -> list[RunOutcome]:
    made = victim(folder, _UNREACHED)
    return [resume_run(made, run_id) for run_id in unfinished(made.home)]


def _check_evidence(folder: Path, run_id: str) -> Members:
    made = victim(folder, _UNREACHED)
    path = made.home.run(run_id)
    manifest = manifest_of(path)
    receipts = receipts_of(path)
    report = verify_chain((Path(path) / "receipts.jsonl").read_bytes(), material.PUBLIC)
    assert report.verdict == "verified", report
    assert manifest["receiptChain"]["length"] == len(receipts)
    assert receipts[-1]["credentialSubject"]["chain"]["terminal"] is True
    key = folder / "signing.key.pub"
    key.write_text(material.KEY.public_key)
    answer = tally("evidence", "verify", str(Path(path) / "bundle.tally"), "--key", str(key))
    assert answer.code == 0, answer
    assert RunStates(path, lambda: 0).state == "done"
    return manifest


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_each_point(tmp_path: Path, point: str) -> None:
    """The run is finished without an execution, says so, and its intent is used up if it began."""
    _kill(tmp_path, point)
    before = _executions(tmp_path)
    assert before == (point not in ("received", "decided", "running"))
    finished = _resume(tmp_path)
    assert _executions(tmp_path) == before
    run_ids = victim(tmp_path, _UNREACHED).home.run_ids()
    assert len(run_ids) == 1
    assert len(finished) == (point != "done")
    manifest = _check_evidence(tmp_path, run_ids[0])
    summary = manifest["executionSummary"]
    if point in ("manifest", "evidenced", "signed", "bundled", "done"):
        assert summary["status"] == "SUCCESS"
        assert [one["path"] for one in manifest["artifacts"]] == [
            "artifacts/half.txt",
            "artifacts/whole.txt",
        ]
    else:
        assert summary["status"] == "FAILED"
        assert "cut off by a crash" in summary["error"]
    assert _resume(tmp_path) == []
    again = run_intent(victim(tmp_path, _UNREACHED), body(jobType="WORK", expiresAt=None))
    if point in ("received", "decided"):  # nothing had begun: it may run now
        assert again.status == "SUCCESS"
        assert _executions(tmp_path) == 1
    else:
        assert codes(again.decision) == ["INTENT_REPLAYED"]
        assert _executions(tmp_path) == before
    assert manifest_of(Path(again.bundle).parent)["number"] == 2


@pytest.mark.parametrize("point", ["claimed", "manifest", "evidenced", "signed", "bundled"])
def test_a_kill_while_resuming(tmp_path: Path, point: str) -> None:
    """Finishing is cut off, too, and finished the next time: one manifest, in one place."""
    _kill(tmp_path, "executing")
    _kill(tmp_path, point, "resume")
    (finished,) = _resume(tmp_path)
    assert finished.status == "FAILED"
    manifest = _check_evidence(tmp_path, finished.run_id)
    assert manifest["number"] == 1
    assert manifest["previousManifestHash"] is None
    assert _executions(tmp_path) == 1
    assert [one["path"] for one in manifest["artifacts"]] == ["artifacts/half.txt"]


def test_evidence_is_never_made_again(tmp_path: Path) -> None:
    """What is changed after the manifest was made does not get into it by a crash and a resume."""
    _kill(tmp_path, "manifest")
    made = victim(tmp_path, _UNREACHED)
    (run_id,) = made.home.run_ids()
    before = manifest_of(made.home.run(run_id))
    (Path(made.home.run(run_id)) / "artifacts" / "whole.txt").write_text("WHOLE")
    found = resume_run(made, run_id)
    assert manifest_of(made.home.run(run_id)) == before
    data = Path(found.bundle).read_bytes()
    assert b"WHOLE" not in data
    folder = scan_artifacts(Path(made.home.run(run_id)) / "artifacts")
    signers = Signers(trust=trust_of(material.PUBLIC))
    report = verify_evidence(data, signers, EvidenceQuestion(artifacts=folder))
    assert [(one.code, one.where) for one in report.findings if one.code.isupper()] == [
        ("EVIDENCE_ARTIFACT_CHANGED", "folder:artifacts/whole.txt")
    ]
