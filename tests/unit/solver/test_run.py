# SPDX-License-Identifier: Apache-2.0
"""Runs: what each end leaves, in states, receipts, manifest and bundle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests import material
from tests.command import SOURCE, environment
from tests.solving import (
    NOW,
    NOW_NS,
    Scripted,
    asked,
    body,
    codes,
    intent,
    manifest_of,
    policy,
    receipts_of,
    signed,
    solver,
)

from tallystick.chain.payload import payload_hash
from tallystick.errors import IntentError, MalformedInput
from tallystick.limits import DETAIL_BYTES_MAX
from tallystick.solver.home import SolverHome
from tallystick.solver.resume import unfinished
from tallystick.solver.run import run_intent, told
from tallystick.solver.runner import Ran, Work
from tallystick.solver.states import RunStates
from tallystick.verify.evidence import EvidenceQuestion, Predecessor, verify_evidence
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import Trust, TrustedKey
from tallystick.verify.verification import verify_chain

_FULL = ["received", "decided", "running", "evidenced", "signed", "done"]


def _states(run_dir: Path) -> list[str]:
    return [step.state for step in RunStates(str(run_dir), lambda: 0).steps]


def test_an_allowed_intent_leaves_a_bundle(tmp_path: Path) -> None:
    """States, receipts and manifest tell of one run, and bind each other."""
    seen: list[str] = []
    made = solver(tmp_path, on_state=lambda _, state: seen.append(state))
    found = run_intent(made, body())
    run_dir = Path(found.bundle).parent
    manifest, receipts = manifest_of(run_dir), receipts_of(run_dir)
    assert (found.status, found.error) == ("SUCCESS", None)
    assert _states(run_dir) == _FULL
    assert [one for one in seen if one in _FULL] == _FULL
    assert manifest["intentId"] == intent().intent_id
    assert manifest["policyHash"] == policy().policy_hash
    assert manifest["policyDecision"]["allowed"] is True
    assert manifest["receiptChain"]["chainId"] == f"run_{found.run_id}"
    assert manifest["receiptChain"]["length"] == len(receipts) == 6
    on = {"intentHash": intent().intent_hash, "runId": found.run_id}
    assert receipts[0]["credentialSubject"]["action"]["parameters_hash"] == payload_hash(on)
    assert receipts[-1]["credentialSubject"]["chain"]["status"] == "complete"
    report = verify_chain((run_dir / "receipts.jsonl").read_bytes(), material.PUBLIC)
    assert report.verdict == "verified"
    assert manifest["environment"]["runner"] == "safe-report"
    assert (run_dir / "intent.json").read_bytes() == body()
    assert (run_dir / "policy.json").read_bytes() == policy().to_json()


def test_a_refusal_leaves_its_own_bundle(tmp_path: Path) -> None:
    """All reasons stand in the receipt and in the manifest, and nothing was started."""
    runner = Scripted(lambda work: None)
    made = solver(
        tmp_path,
        {"WORK": runner},
        policy=policy(jobTypeAllowlist=["WORK"], requesterAllowlist=["bob"]),
    )
    found = run_intent(made, body(jobType="MINE", expiresAt="2026-01-01T00:00:00Z"))
    run_dir = Path(found.bundle).parent
    wanted = ["JOB_TYPE_NOT_ALLOWED", "INTENT_EXPIRED", "REQUESTER_NOT_ALLOWED"]
    manifest, receipts = manifest_of(run_dir), receipts_of(run_dir)
    assert found.status == "REFUSED"
    assert codes(found.decision) == wanted
    assert manifest["policyDecision"]["codes"] == wanted
    assert manifest["executionSummary"]["startedAt"] is None
    assert _states(run_dir) == [state for state in _FULL if state != "running"]
    outcome = receipts[0]["credentialSubject"]["outcome"]
    assert outcome["status"] == "failure"
    for reason in found.decision.reasons:
        assert reason.text in outcome["error"]
    assert len(receipts) == 2
    assert runner.calls == 0
    assert os.listdir(run_dir / "artifacts") == []


def test_an_intent_runs_once(tmp_path: Path) -> None:
    """The second time is a refusal with a bundle of its own; the first one stays as it was."""
    runner = Scripted(lambda work: None)
    made = solver(tmp_path, {"WORK": runner})
    first = run_intent(made, body(jobType="WORK"))
    before = Path(first.bundle).read_bytes()
    second = run_intent(made, body(jobType="WORK"))
    assert codes(second.decision) == ["INTENT_REPLAYED"]
    assert runner.calls == 1
    assert Path(first.bundle).read_bytes() == before
    assert second.run_id != first.run_id
    manifest = manifest_of(Path(second.bundle).parent)
    assert manifest["previousManifestHash"] == f"sha256:{first.manifest_sha256}"
    assert manifest["number"] == 2


def test_another_signature_is_the_same_intent(tmp_path: Path) -> None:
    """Signing an intent that has run does not let it run again."""
    made = solver(tmp_path)
    assert run_intent(made, body()).status == "SUCCESS"
    again = run_intent(made, json.dumps(signed()).encode())
    assert codes(again.decision) == ["INTENT_REPLAYED"]


def test_a_refused_intent_may_come_again(tmp_path: Path) -> None:
    """A refusal does not use an intent up: with another policy it runs."""
    strict = solver(tmp_path, policy=policy(requesterAllowlist=[]))
    assert run_intent(strict, body()).status == "REFUSED"
    assert run_intent(solver(tmp_path), body()).status == "SUCCESS"


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Ran(status="FAILED", error="no luck"), "no luck"),
        (ValueError("odd"), "the runner raised ValueError: odd"),
    ],
)
def test_a_failure_leaves_evidence(tmp_path: Path, fault: object, wanted: str) -> None:
    """What a runner says, or raises, stands in the manifest, with what it had left."""

    def work(order: Work) -> object:
        (Path(order.artifacts) / "part.txt").write_text("part")
        if isinstance(fault, Exception):
            raise fault
        return fault

    found = run_intent(solver(tmp_path, {"WORK": Scripted(work)}), body(jobType="WORK"))
    manifest = manifest_of(Path(found.bundle).parent)
    assert (found.status, found.error) == ("FAILED", wanted)
    assert manifest["executionSummary"]["error"] == wanted
    assert [one["path"] for one in manifest["artifacts"]] == ["artifacts/part.txt"]


def test_artefacts_that_no_manifest_takes_are_put_aside(tmp_path: Path) -> None:
    """A link among the artefacts makes the run fail by name; nothing is followed or left out."""

    def work(order: Work) -> None:
        (Path(order.artifacts) / "good.txt").write_text("good")
        (Path(order.artifacts) / "link").symlink_to("/etc/passwd")

    found = run_intent(solver(tmp_path, {"WORK": Scripted(work)}), body(jobType="WORK"))
    run_dir = Path(found.bundle).parent
    manifest = manifest_of(run_dir)
    assert found.status == "FAILED"
    assert "link" in (found.error or "")
    assert manifest["artifactCount"] == 0
    assert manifest["executionSummary"]["details"]["withheld"] is True
    assert sorted(os.listdir(run_dir / "withheld")) == ["good.txt", "link"]
    assert manifest["number"] == 1  # the first try used no place


def test_artefacts_have_a_size(tmp_path: Path) -> None:
    """All of them together have no more bytes than the policy allows."""

    def work(order: Work) -> None:
        for number in range(3):
            (Path(order.artifacts) / f"{number}").write_bytes(bytes(500_000))

    made = solver(
        tmp_path,
        {"WORK": Scripted(work)},
        policy=policy(jobTypeAllowlist=["WORK"], maxArtifactMb=1),
    )
    found = run_intent(made, body(jobType="WORK"))
    assert found.error == "artefacts have 1500000 bytes, over max 1048576"
    assert manifest_of(Path(found.bundle).parent)["artifactCount"] == 0


def test_what_is_no_intent_leaves_nothing(tmp_path: Path) -> None:
    """Bytes without an identity are refused at the door."""
    made = solver(tmp_path)
    with pytest.raises(MalformedInput):
        run_intent(made, b'{"a":1,"a":2}')
    with pytest.raises(IntentError):
        run_intent(made, json.dumps({**asked(), "extra": 1}).encode())
    assert made.home.run_ids() == []


def test_times_come_from_the_clock(tmp_path: Path) -> None:
    """The moment of the decision, the start and the end stand in the manifest, in order."""
    found = run_intent(
        solver(tmp_path, {"WORK": Scripted(lambda work: None)}), body(jobType="WORK")
    )
    manifest = manifest_of(Path(found.bundle).parent)
    summary = manifest["executionSummary"]
    times = [
        manifest["policyDecision"]["decidedAt"],
        summary["startedAt"],
        summary["finishedAt"],
        manifest["createdAt"],
    ]
    assert times == sorted(times)
    assert times[0][:19] == NOW[:19]


def test_facts_are_cut_to_their_room() -> None:
    """A runner of others may say much; the manifest has little room for it."""
    found = told(
        "SUCCESS", None, {"long": "x" * 9999, "n": 1}, runner="r", sandbox={"k": "y" * 999}
    )
    assert len(found["summary"]["long"].encode()) <= DETAIL_BYTES_MAX
    assert found["summary"]["n"] == 1
    assert len(found["environment"]["sandbox"]["k"].encode()) <= DETAIL_BYTES_MAX


def test_a_clock_set_back_makes_no_contradiction(tmp_path: Path) -> None:
    """Times of a run, and of one manifest after the other, never go back, whatever the clock."""
    times = count(NOW_NS, -(10**9))
    made = solver(tmp_path, clock=lambda: next(times))
    first = run_intent(made, body())
    second = run_intent(made, body(nonce="2"))
    signers = Signers(trust=Trust(anyone=(TrustedKey(public_key=material.PUBLIC),)))
    before = manifest_of(Path(first.bundle).parent)
    place = Predecessor(sha256=first.manifest_sha256, number=1, created_at=before["createdAt"])
    report = verify_evidence(
        Path(second.bundle).read_bytes(), signers, EvidenceQuestion(previous=place)
    )
    assert report.verdict == "verified"


def test_what_changes_after_the_manifest_does_not_hold_up_the_bundle(tmp_path: Path) -> None:
    """What was signed is handed on without the artefacts, so that the run does not vanish."""

    def alter(run_id: str, state: str) -> None:
        if state == "signed":
            (tmp_path / "home" / "runs" / run_id / "artifacts" / "a").write_text("other")

    runner = Scripted(lambda work: Path(work.artifacts, "a").write_text("first"))
    found = run_intent(solver(tmp_path, {"WORK": runner}, on_state=alter), body(jobType="WORK"))
    run_dir = Path(found.bundle).parent
    assert _states(run_dir) == _FULL
    signers = Signers(trust=Trust(anyone=(TrustedKey(public_key=material.PUBLIC),)))
    report = verify_evidence(Path(found.bundle).read_bytes(), signers)
    assert [one.code for one in report.findings if one.code.isupper()] == [
        "EVIDENCE_ARTIFACTS_ABSENT"
    ]
    assert report.verdict == "unchecked"


def test_artefacts_that_can_not_be_read_end_as_a_failure(tmp_path: Path) -> None:
    """A runner that leaves no folder to read gets its signed failure, and not an endless retry."""

    def remove(work: Work) -> None:
        os.rmdir(work.artifacts)
        Path(work.artifacts).write_text("a file where the folder was")

    found = run_intent(solver(tmp_path, {"WORK": Scripted(remove)}), body(jobType="WORK"))
    assert found.status == "FAILED"
    assert found.error is not None
    assert "its artefacts are refused" in found.error
    assert _states(Path(found.bundle).parent) == _FULL


# A solver whose program closes a file to its own user, who is nobody here where root runs it. The
# first run is there to have all modules read: nobody may not read those, either.
_CLOSING = """
import os, sys
from pathlib import Path
from tests.solving import Scripted, body, solver
from tallystick.solver.run import run_intent
def close(work):
    Path(work.artifacts, "good.txt").write_text("good")
    Path(work.artifacts, "closed.txt").touch(mode=0)
def run(place):
    made = solver(Path(place), {"WORK": Scripted(close)})
    return run_intent(made, body(jobType="WORK")).bundle
run(sys.argv[1])
if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(run(sys.argv[2]))
"""


def test_what_the_solver_may_not_read_is_not_left_out(tmp_path: Path) -> None:
    """The run fails by name, and nothing of it is listed; root reads it, and lists it."""
    (tmp_path / "first").mkdir()
    with tempfile.TemporaryDirectory() as place:
        if os.geteuid() == 0:
            os.chown(place, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", _CLOSING, str(tmp_path / "first"), place],
            env=environment(PYTHONPATH=f"{SOURCE}:{SOURCE.parent}"),
            capture_output=True,
            text=True,
            check=True,
        )
        run_dir = Path(done.stdout.strip()).parent
        manifest = manifest_of(run_dir)
        assert manifest["executionSummary"]["status"] == "FAILED"
        assert "closed.txt: could not be read" in manifest["executionSummary"]["error"]
        assert manifest["artifacts"] == []
        assert sorted(os.listdir(run_dir / "withheld")) == ["closed.txt", "good.txt"]
    if os.geteuid() == 0:
        closed = Scripted(lambda work: Path(work.artifacts, "closed.txt").touch(mode=0))
        found = run_intent(solver(tmp_path, {"WORK": closed}), body(jobType="WORK"))
        (entry,) = manifest_of(Path(found.bundle).parent)["artifacts"]
        assert (found.status, entry["path"]) == ("SUCCESS", "artifacts/closed.txt")


def test_a_run_is_held_before_it_can_be_found(tmp_path: Path) -> None:
    """Whoever looks for runs that were cut off never takes one that is just being received."""
    seen: list[list[str]] = []
    home = SolverHome(tmp_path / "home")
    made = solver(tmp_path, on_state=lambda *_: seen.append(unfinished(home)))
    run_intent(made, body())
    assert len(seen) > len(_FULL)
    assert not any(seen)


@pytest.mark.parametrize("status", ["SUCCESS", "FAILED"])
def test_no_fact_passes_for_how_it_ended(tmp_path: Path, status: Any) -> None:
    """A runner's facts named `status` or `error` don't stand in the place of the real ones."""
    error = "it broke" if status == "FAILED" else None
    facts: Any = {"status": "REFUSED", "error": "forged", "exitCode": 3}
    runner = Scripted(lambda _work: Ran(status=status, error=error, facts=facts))
    found = run_intent(solver(tmp_path, {"TEST": runner}), body(jobType="TEST"))
    summary = manifest_of(Path(found.bundle).parent)["executionSummary"]
    assert (found.status, found.error) == (status, error)
    assert (summary["status"], summary["error"]) == (status, error)
    assert summary["details"] == {"exitCode": 3}
