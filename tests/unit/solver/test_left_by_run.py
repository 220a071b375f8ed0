# SPDX-License-Identifier: Apache-2.0
"""What a run's directory says for itself, and evidence by the source's seven arguments alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.evidence_making import make_run
from tests.solving import body, intent, manifest_of, policy, solver

from tallystick.errors import ManifestError
from tallystick.solver.evidence import create_evidence_bundle
from tallystick.solver.left_by_run import LeftByRun
from tallystick.solver.run import run_intent

_SUMMARY = {"status": "SUCCESS"}
_ALLOWED = {"allowed": True, "reasons": []}


def test_a_run_says_what_its_manifest_says(tmp_path: Path) -> None:
    """Policy, times and receipts are those that the solver itself put there."""
    run_dir = Path(run_intent(solver(tmp_path), body()).bundle).parent
    left, manifest = LeftByRun(run_dir), manifest_of(run_dir)
    assert left.policy_hash() == manifest["policyHash"] == policy().policy_hash
    assert left.decided_at == manifest["policyDecision"]["decidedAt"]
    assert left.started_at == manifest["executionSummary"]["startedAt"]
    bound = left.binding()
    assert bound is not None
    assert bound.head == manifest["receiptChain"]["head"]
    assert (bound.chain_id, bound.length) == (
        manifest["receiptChain"]["chainId"],
        manifest["receiptChain"]["length"],
    )


def test_seven_arguments_are_enough(tmp_path: Path) -> None:
    """As the source calls it: the rest of the manifest comes from the run's own files."""
    made = run_intent(solver(tmp_path), body())
    run_dir = Path(made.bundle).parent
    first = manifest_of(run_dir)
    for path in (run_dir / "evidence").iterdir():
        path.unlink()
    found = create_evidence_bundle(
        run_dir, made.intent_id, made.run_id, made.job_type, made.decision, _SUMMARY, "a" * 40
    )
    second = manifest_of(run_dir)
    for name in ("artifacts", "intentHash", "policyHash", "policyDecision", "receiptChain"):
        assert second[name] == first[name], name
    assert second["executionSummary"]["startedAt"] == first["executionSummary"]["startedAt"]
    assert second["executionSummary"]["finishedAt"] == second["createdAt"]
    assert found.manifest.solver.git_commit == "a" * 40


def test_what_a_directory_does_not_say_is_null_or_told(tmp_path: Path) -> None:
    """Without states and receipts nothing is made up; without a policy there is no manifest."""
    run_dir = make_run(tmp_path / "run")
    (run_dir / "receipts.jsonl").unlink()
    told = (run_dir, intent().intent_id, "ab" * 32, "SAFE_REPORT", _ALLOWED)
    with pytest.raises(ManifestError, match="no status"):
        create_evidence_bundle(*told, {})
    made = create_evidence_bundle(*told, _SUMMARY).manifest
    assert made.receipt_chain is None
    assert made.execution_summary is not None
    assert made.execution_summary.started_at is None
    assert made.policy_decision is not None
    assert made.policy_decision.decided_at == made.created_at
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(ManifestError, match=r"policy\.json is not there"):
        create_evidence_bundle(bare, *told[1:], _SUMMARY)
    (bare / "policy.json").write_bytes(b"{}")
    with pytest.raises(ManifestError, match=r"policy\.json: "):
        create_evidence_bundle(bare, *told[1:], _SUMMARY)
