# SPDX-License-Identifier: Apache-2.0
"""Judges a post on chain against the bundle that it commits to: facts in, a report out.

The post is an anchor. Its five hashes were fixed, and a bond put behind them, at a time that the
chain knows; so a bundle that was made anew since, or whose receipts end before the head that the
post names, is not the one.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tallystick.errors import StatementError
from tallystick.model.manifest import Manifest
from tallystick.model.post import Commitment, commitment_of
from tallystick.verify.evidence import EvidenceReport
from tallystick.verify.report import Findings, Report

Status = Literal["pending", "disputed", "finalized", "slashed", "unresolved"]

# The words of a post that a manifest speaks of, and what `tally hub challenge` calls them.
WORDS = {
    "intent_hash": "intent",
    "constraints_hash": "policy",
    "route_hash": "receipts",
    "outcome_hash": "artifacts",
}


class PostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a chain says of a post."""

    receipt_id: bytes
    chain_id: int
    contract: str
    status: Status
    posted_at: int
    operator: str
    commitment: Commitment


class PostReport(Report, frozen=True, kw_only=True):
    """A report on a post and its bundle."""

    facts: PostFacts
    evidence: EvidenceReport | None

    def to_dict(self) -> dict[str, Any]:
        """Return what `tally verify --post --json` prints."""
        facts = self.facts
        told = super().to_dict()
        post = {
            "id": f"0x{facts.receipt_id.hex()}",
            "chain": facts.chain_id,
            "contract": facts.contract,
            "status": facts.status,
            "posted_at": facts.posted_at,
            "operator": facts.operator,
            "solver": f"0x{facts.commitment.solver_id.hex()}",
        }
        manifest = None if self.evidence is None else self.evidence.manifest_sha256
        return {"verdict": told.pop("verdict"), "post": post, "manifest_sha256": manifest} | told


def verify_post(facts: PostFacts, evidence: EvidenceReport | None) -> PostReport:
    """Return one report on a post and on the bundle, which was judged before."""
    findings = Findings()
    _judge_status(facts, findings)
    if evidence is None:
        findings.add("POST_WITHOUT_BUNDLE", "bundle", "was not found")
    else:
        for one in evidence.findings:
            findings.add(one.code, one.where, one.message, expected=one.expected, found=one.found)
        _judge_bundle(facts, evidence, findings)
    # What the bundle's report does not list has decided, too.
    more = 0 if evidence is None else evidence.decisive - _listed(evidence)
    base = findings.report(
        () if evidence is None else evidence.chains, 0 if evidence is None else evidence.receipts
    )
    return PostReport(
        verdict=base.verdict,
        findings=base.findings,
        chains=base.chains,
        receipts=base.receipts,
        unlisted=base.unlisted + (0 if evidence is None else evidence.unlisted),
        decisive=base.decisive + more,
        facts=facts,
        evidence=evidence,
    )


def _listed(report: EvidenceReport) -> int:
    return sum(one.severity != "advisory" for one in report.findings)


def contradictions(commitment: Commitment, manifest: Manifest) -> list[tuple[str, bytes, bytes]]:
    """Return each word that differs: its name, what the post says, what the manifest says."""
    try:
        said = commitment_of(
            manifest,
            commitment.evidence_hash,
            solver_id=commitment.solver_id,
            created_at=commitment.created_at,
            expiry=commitment.expiry,
        )
    except StatementError:  # of a folder: it names no intent, no policy and no receipts
        return [(word, getattr(commitment, word), b"") for word in WORDS]
    return [
        (word, getattr(commitment, word), getattr(said, word))
        for word in WORDS
        if getattr(commitment, word) != getattr(said, word)
    ]


def _judge_status(facts: PostFacts, findings: Findings) -> None:
    where = f"post 0x{facts.receipt_id.hex()}"
    if facts.status == "slashed":
        findings.add("POST_SLASHED", where, "was disputed, and the solver lost")
    elif facts.status == "pending":
        findings.add("post_pending", where, "is not final yet")
    elif facts.status == "disputed":
        findings.add("post_disputed", where, "is disputed")
    elif facts.status == "unresolved":
        findings.add("post_unresolved", where, "was not decided")


def _judge_bundle(facts: PostFacts, evidence: EvidenceReport, findings: Findings) -> None:
    manifest, commitment = evidence.manifest, facts.commitment
    if manifest is None:
        return  # the bundle's own findings say why
    wanted = commitment.evidence_hash.hex()
    if evidence.manifest_sha256 != wanted:
        findings.add(
            "POST_EVIDENCE_MISMATCH",
            "manifest",
            "is not the one that the post commits to",
            expected=wanted,
            found=evidence.manifest_sha256,
        )
    else:
        for word, posted, said in contradictions(commitment, manifest):
            findings.add(
                "POST_CONTRADICTED",
                WORDS[word],
                f"the post's {word} is not what the manifest says",
                expected=posted.hex(),
                found=said.hex(),
            )
    if facts.operator not in evidence.signers:
        findings.add(
            "post_signer_other", "signatures", "has none by the operator", expected=facts.operator
        )
