# SPDX-License-Identifier: Apache-2.0
"""Judges what a bundle holds of its run: intent, policy, decision, receipts, and a log's proofs.

A bundle of a folder has none of these, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tallystick.crypto.note import VerifierKey
from tallystick.errors import MissingExtraError, RefusedInput
from tallystick.model import bundle
from tallystick.model.decision import evaluate
from tallystick.model.intent import Intent, parse_intent
from tallystick.model.manifest import Manifest, ReceiptBinding
from tallystick.model.policy import Policy, parse_policy
from tallystick.model.receipt import Receipt
from tallystick.model.run_decision import DECIDE, decided_on, decided_what, hash_of
from tallystick.verify.log import verify_logged
from tallystick.verify.receipt import examine
from tallystick.verify.report import ChainReport, Findings, Report
from tallystick.verify.source import Input, Source
from tallystick.verify.trust import Trust
from tallystick.verify.verification import Expectations, verify_input

# Whether an intent has run before only the solver knows: its word is taken for this one reason.
_REPLAYED: Final = "INTENT_REPLAYED"
_LOG: Final = "evidence/log"
_OF_A_RUN: Final = (bundle.INTENT, bundle.POLICY, bundle.RECEIPTS)


def judge_run(
    manifest: Manifest,
    files: Mapping[str, bytes],
    trust: Trust,
    log_key: VerifierKey | None,
    findings: Findings,
) -> tuple[tuple[ChainReport, ...], int]:
    """Judge the run's own papers; return what is known of its receipts."""
    if manifest.origin == "directory":
        message = "nothing was asked, decided or run: somebody made this bundle of a folder"
        findings.add("evidence_no_decision", f"{bundle.MANIFEST}/origin", message)
        for name in (*_OF_A_RUN, *bundle.OF_A_LOG):
            if name in files:
                findings.add("EVIDENCE_MALFORMED", name, "stands in the bundle of a folder")
        if log_key is not None:
            findings.add("LOG_PROOF_MISSING", _LOG, "is about receipts, and a folder has none")
        return (), 0
    intent = _intent(manifest, files.get(bundle.INTENT), findings)
    policy = _policy(manifest, files.get(bundle.POLICY), findings)
    _judge_decision(manifest, findings)
    if intent is not None and policy is not None:
        _decide_again(manifest, intent, policy, findings)
    report = _judge_receipts(manifest, files.get(bundle.RECEIPTS), trust, findings)
    _judge_log(files, log_key, findings)
    return (report.chains, report.receipts) if report is not None else ((), 0)


def _intent(manifest: Manifest, data: bytes | None, findings: Findings) -> Intent | None:
    if data is None:
        findings.add("EVIDENCE_INTENT_ABSENT", bundle.INTENT, "is not in the bundle")
        return None
    try:
        intent = parse_intent(data)
    except RefusedInput as fault:
        findings.add("EVIDENCE_INTENT", bundle.INTENT, str(fault))
        return None
    for name, expected, found in (
        ("hash", manifest.intent_hash, intent.intent_hash),
        ("id", manifest.intent_id, intent.intent_id),
        ("job type", manifest.job_type, intent.jobType),
    ):
        if expected != found:
            findings.add(
                "EVIDENCE_INTENT", bundle.INTENT, f"has another {name} than the manifest says",
                expected=expected, found=found,
            )  # fmt: skip
            return None
    return intent


def _policy(manifest: Manifest, data: bytes | None, findings: Findings) -> Policy | None:
    if data is None:
        findings.add("EVIDENCE_POLICY_ABSENT", bundle.POLICY, "is not in the bundle")
        return None
    try:
        policy = parse_policy(data)
    except RefusedInput as fault:
        findings.add("EVIDENCE_POLICY", bundle.POLICY, str(fault))
        return None
    if policy.policy_hash != manifest.policy_hash:
        findings.add(
            "EVIDENCE_POLICY", bundle.POLICY, "is not the one that the manifest names",
            expected=manifest.policy_hash, found=policy.policy_hash,
        )  # fmt: skip
        return None
    return policy


def _judge_decision(manifest: Manifest, findings: Findings) -> None:
    """Check what the manifest says of the decision against what it says of the run."""
    decision, summary = manifest.policy_decision, manifest.execution_summary
    assert decision is not None and summary is not None
    where = f"{bundle.MANIFEST}/policyDecision"
    if decision.allowed is bool(decision.reasons):
        message = "allows with reasons to refuse, or refuses without any"
        findings.add("EVIDENCE_DECISION", where, message)
    elif decision.allowed is (summary.status == "REFUSED"):
        findings.add(
            "EVIDENCE_DECISION", where, "is not what became of the intent",
            expected="REFUSED" if not decision.allowed else "SUCCESS or FAILED",
            found=summary.status,
        )  # fmt: skip
    elif not decision.allowed and (manifest.artifact_count or summary.started_at is not None):
        findings.add("EVIDENCE_DECISION", where, "refuses, and something was run all the same")
    elif summary.status == "SUCCESS" and summary.error is not None:
        message = "is an error, and the run is said to have succeeded"
        findings.add("EVIDENCE_DECISION", f"{bundle.MANIFEST}/executionSummary/error", message)


def _decide_again(manifest: Manifest, intent: Intent, policy: Policy, findings: Findings) -> None:
    """Make the decision anew, at the moment at which it was made, and compare."""
    decision = manifest.policy_decision
    assert decision is not None
    where = f"{bundle.MANIFEST}/policyDecision"
    try:
        own = evaluate(intent, policy, decision.decided_at)
    except MissingExtraError as fault:
        findings.add("EVIDENCE_SCHEME_UNAVAILABLE", bundle.INTENT, str(fault))
        return
    expected = [reason.code for reason in own.reasons]
    found = [code for code in decision.codes if code != _REPLAYED]
    if expected != found:
        findings.add(
            "EVIDENCE_DECISION", where, "is not what the policy says of this intent",
            expected=", ".join(expected) or "allowed", found=", ".join(found) or "allowed",
        )  # fmt: skip


def _judge_receipts(
    manifest: Manifest, data: bytes | None, trust: Trust, findings: Findings
) -> Report | None:
    bound = manifest.receipt_chain
    if bound is None:
        where = f"{bundle.MANIFEST}/receiptChain"
        findings.add("EVIDENCE_RECEIPTS_UNBOUND", where, "is null: every run has receipts")
        return None
    if data is None:
        findings.add("EVIDENCE_RECEIPTS_ABSENT", bundle.RECEIPTS, "is not in the bundle")
        return None
    report = verify_input(
        [Source(data, name="receipts", form="lines")],
        trust,
        Expectations(chain_id=bound.chain_id, length=bound.length, head=bound.head),
        sole_chain=True,
    )
    _take_over(report, findings)
    if report.receipts:
        _judge_decided(manifest, bound, data, findings)
    return report


def _judge_decided(
    manifest: Manifest, bound: ReceiptBinding, data: bytes, findings: Findings
) -> None:
    """Ask whether the chain speaks of this run, and decided as the manifest says.

    A run that a crash cut off may have been decided again: all name the run, the last one counts.
    """
    assert manifest.intent_hash is not None
    assert manifest.run_id is not None
    assert manifest.policy_decision is not None
    code, last = "EVIDENCE_RECEIPTS_FOREIGN", None
    wanted = hash_of(decided_on(manifest.intent_hash, manifest.run_id))
    for number, receipt in _decisions(data, bound):
        found = receipt.action.parameters_hash
        if found != wanted:
            findings.add(
                code, f"receipts[{number}]", "decides on another intent or another run",
                expected=wanted, found=found or "none",
            )  # fmt: skip
            return
        last = number, receipt
    if last is None:
        findings.add(code, bundle.RECEIPTS, "do not say for which run they are", expected=wanted)
        return
    number, receipt = last
    told = manifest.policy_decision
    for name, expected, found in (
        ("outcome", "success" if told.allowed else "failure", receipt.outcome.status),
        ("reasons", hash_of(decided_what(msgspec.structs.asdict(told))),
         receipt.outcome.response_hash),
    ):  # fmt: skip
        if expected != found:
            findings.add(
                "EVIDENCE_RECEIPTS_CONTRADICTED", f"receipts[{number}]",
                f"decided otherwise than the manifest says: {name}",
                expected=expected, found=found or "none",
            )  # fmt: skip
            return


def _decisions(data: bytes, bound: ReceiptBinding) -> Iterator[tuple[int, Receipt]]:
    """Yield the decisions in the bound chain, each with its place among all receipts."""
    for number, raw in enumerate(Input([Source(data, name="receipts", form="lines")])):
        examined = examine(raw)
        receipt = examined.receipt
        # What is unsound is refused already, and may lack any member.
        if (
            receipt is not None
            and examined.is_sound
            and receipt.action.type == DECIDE
            and receipt.link.chain_id == bound.chain_id
        ):
            yield number, receipt


def _judge_log(files: Mapping[str, bytes], key: VerifierKey | None, findings: Findings) -> None:
    """Ask whether the chain's last receipt, and with it all before it, is in a log."""
    if key is None:
        if any(name in files for name in bundle.OF_A_LOG):
            message = "is there, and no key of a log was given"
            findings.add("evidence_log_unseen", _LOG, message)
        return
    receipts = files.get(bundle.RECEIPTS)
    if receipts is None:
        # Whoever has them can still ask the log: nothing here speaks against it.
        findings.add("LOG_PROOF_MISSING", _LOG, "is about receipts, which are not in the bundle")
        return
    report = verify_logged(
        receipts.rstrip(b"\n").rpartition(b"\n")[2],
        key,
        proof=files.get(bundle.LOG_PROOF),
        promise=files.get(bundle.LOG_PROMISE),
        sheet=files.get(bundle.LOG_SHEET),
        checkpoint=files.get(bundle.LOG_CHECKPOINT),
    )
    _take_over(report, findings, prefix="log/")


def _take_over(report: Report, findings: Findings, *, prefix: str = "") -> None:
    for one in report.findings:
        findings.add(
            one.code, prefix + one.where, one.message, expected=one.expected, found=one.found
        )
