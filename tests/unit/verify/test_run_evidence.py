# SPDX-License-Identifier: Apache-2.0
"""A run's own papers. Most cases are vectors: `tests/vectors/test_bundle_vectors.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.evidence_making import (
    INTENT,
    RUN_ID,
    SIGNERS,
    SOLVER,
    bundle_of_run,
    evidence_of,
    make_run,
)
from tests.honest_log import HonestLog
from tests.logs import LOG_KEY
from tests.material import uuid

from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.deliver.memory import InMemoryEmitter
from tallystick.keys.local import LocalSigner
from tallystick.model import bundle
from tallystick.model.intent import parse_intent
from tallystick.model.log_entry import receipt_digest, receipt_id_hash
from tallystick.model.manifest import parse_manifest
from tallystick.model.run_decision import DECIDE, decided_on, decided_what
from tallystick.solver.bundling import sign_manifest, write_bundle
from tallystick.verify.evidence import EvidenceQuestion, verify_evidence
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


def test_a_log_that_could_not_be_asked_is_told_of(tmp_path: Path) -> None:
    """A folder has no receipts, and a run's may lie elsewhere: not in the log, nobody can say."""
    from tests.unit.model.test_manifest import sample

    findings = Findings()
    judge_run(parse_manifest(sample("folder")), {}, Trust(), LOG_KEY.verifier, findings)
    report = findings.report((), 0)
    assert report.verdict == "unchecked"
    assert report.codes() == ["evidence_no_decision", "LOG_PROOF_MISSING"]

    run = make_run(tmp_path / "run")
    (run / "receipts.jsonl").unlink()
    bundle_of_run(run, tmp_path / "out")
    question = EvidenceQuestion(log_key=LOG_KEY.verifier)
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS, question)
    assert report.verdict == "unchecked"
    assert report.codes() == ["EVIDENCE_RECEIPTS_ABSENT", "LOG_PROOF_MISSING"]


def _receipts(*decided: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return a chain of decisions, each with the run and the answer that it is told."""
    kept, ids = InMemoryEmitter(), iter(range(1, 1000))
    chain = ReceiptChain(
        signer=LocalSigner(SOLVER),
        issuer={"id": "did:agent:solver"},
        principal={"id": "alice"},
        emitter=kept,
        chain_id="run",
        clock=lambda: 1_767_322_801_000_000_000,
        ids=lambda: uuid(next(ids)),
    )
    for one in decided:
        allowed = one.get("allowed", True)
        told = {"allowed": allowed, "codes": [], "reasons": []}
        chain.emit(
            {"type": DECIDE, "target": {"system": "solver"}},
            {"status": one.get("status", "success" if allowed else "failure")},
            parameters=decided_on(parse_intent(INTENT).intent_hash, one.get("run", RUN_ID)),
            response=decided_what(told),
        )
    head = chain.head
    bound = {"chainId": head.chain_id, "length": head.sequence, "headHash": head.hash}
    return b"".join(one.to_json() + b"\n" for one in kept.receipts), bound


@pytest.mark.parametrize(
    ("decided", "codes"),
    [
        ([{"allowed": False}, {}], []),  # decided again after a crash: the last one counts
        ([{}, {"allowed": False}], ["EVIDENCE_RECEIPTS_CONTRADICTED"]),
        ([{}, {"run": "1" * 64}], ["EVIDENCE_RECEIPTS_FOREIGN"]),
        ([{"run": "1" * 64}, {}], ["EVIDENCE_RECEIPTS_FOREIGN"]),
        ([{"status": "pending"}], ["EVIDENCE_RECEIPTS_CONTRADICTED"]),
        ([{"status": "failure"}], ["EVIDENCE_RECEIPTS_CONTRADICTED"]),
    ],
)
def test_every_decision_is_on_this_run(
    tmp_path: Path, decided: list[dict[str, Any]], codes: list[str]
) -> None:
    """All decisions of the chain name the run, and the last one is the manifest's."""
    data, bound = _receipts(*decided)
    run = make_run(tmp_path / "run")
    (run / "receipts.jsonl").write_bytes(data)
    evidence_of(run, chain=bound)
    sign_manifest(run, LocalSigner(SOLVER))
    write_bundle(run, tmp_path / "out")
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS)
    assert [code for code in report.codes() if code.isupper()] == codes


def test_a_run_without_a_chain_is_refused(tmp_path: Path) -> None:
    """No solver of ours makes one: a decision is a receipt already."""
    run = make_run(tmp_path / "run")
    evidence_of(run, chain=None)
    sign_manifest(run, LocalSigner(SOLVER))
    write_bundle(run, tmp_path / "out")
    report = verify_evidence((tmp_path / "out").read_bytes(), SIGNERS)
    assert report.codes() == ["EVIDENCE_RECEIPTS_UNBOUND"]


def test_a_proof_of_the_last_receipt_speaks_for_all(tmp_path: Path) -> None:
    """Of several receipts a log's proof is about the last, and each names the one before it: none
    of them can be left out, put in or exchanged, not even for another one of the solver's.
    """
    (data, bound), (other, _) = _receipts({}, {}, {}), _receipts(*[{"allowed": False}] * 3)
    run = make_run(tmp_path / "run")
    (run / "receipts.jsonl").write_bytes(data)
    evidence_of(run, chain=bound)
    manifest = parse_manifest((run / "evidence" / "manifest.json").read_bytes()[:-1])
    lines, others = data.splitlines(), other.splitlines()
    log, value = HonestLog(), json.loads(lines[-1])
    log.place(1_767_322_800_000, 4)
    at = log.place_receipt(1_767_322_802_000, receipt_digest(value), receipt_id_hash(value["id"]))
    proof = log.proof(at, log.sign(1_767_322_803_000), at + 1)

    def codes(receipts: Sequence[bytes]) -> list[str]:
        findings = Findings()
        files = {
            bundle.INTENT: (run / "intent.json").read_bytes(),
            bundle.POLICY: (run / "policy.json").read_bytes(),
            bundle.RECEIPTS: b"".join(one + b"\n" for one in receipts),
            bundle.LOG_PROOF: proof,
        }
        judge_run(manifest, files, SIGNERS.trust, LOG_KEY.verifier, findings)
        report = findings.report((), 0)
        return [one.code for one in report.findings if one.severity == "refused"]

    assert codes(lines) == []
    for place in range(3):
        before, after = lines[:place], lines[place + 1 :]
        assert codes([*before, *after])
        assert codes([*before, others[place], *after])
        assert codes([*before, others[place], *lines[place:]])
