# SPDX-License-Identifier: Apache-2.0
"""A post and its bundle in one report: the post is an anchor that nobody can make anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.chains import SOLVER
from tests.evidence_making import SIGNERS
from tests.posts import make_bundle

from tallystick.model.post import commitment_of
from tallystick.verify.evidence import EvidenceReport, verify_evidence
from tallystick.verify.post import PostFacts, PostReport, verify_post


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[PostFacts, EvidenceReport]:
    """A final post, and the report on its bundle."""
    path, made = make_bundle(tmp_path_factory.mktemp("bundle"))
    evidence = verify_evidence(path.read_bytes(), SIGNERS)
    digest = bytes.fromhex(made.manifest_sha256)
    facts = PostFacts(
        receipt_id=b"\1" * 32,
        chain_id=5,
        contract="0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        status="finalized",
        posted_at=7,
        operator=SOLVER.address,
        commitment=commitment_of(made.manifest, digest, solver_id=b"\2" * 32, created_at=7),
    )
    return facts, evidence


def ours(report: PostReport) -> list[str]:
    """Return the codes about the post itself."""
    return [code for code in report.codes() if code.lower().startswith("post_")]


def changed(facts: PostFacts, **words: Any) -> PostFacts:
    return msgspec.structs.replace(
        facts, commitment=msgspec.structs.replace(facts.commitment, **words)
    )


def test_an_anchor_that_holds(case: tuple[PostFacts, EvidenceReport]) -> None:
    """The report says of the post nothing but what it is, and keeps the bundle's findings."""
    facts, evidence = case
    report = verify_post(facts, evidence)
    assert set(evidence.codes()) <= set(report.codes())
    assert ours(report) == ["post_signer_other"]  # only the Ed25519 key was named
    told = report.to_dict()
    assert told["post"]["id"] == "0x" + "01" * 32
    assert told["manifest_sha256"] == evidence.manifest_sha256
    signed = msgspec.structs.replace(evidence, signers=(SOLVER.address,))
    assert ours(verify_post(facts, signed)) == []
    assert verify_post(facts, signed).verdict == evidence.verdict


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("pending", "post_pending"),
        ("disputed", "post_disputed"),
        ("unresolved", "post_unresolved"),
        ("slashed", "POST_SLASHED"),
    ],
)
def test_statuses(case: tuple[PostFacts, EvidenceReport], status: Any, code: str) -> None:
    """What the chain says of the post is said; a slashed one is refused."""
    facts, evidence = case
    report = verify_post(msgspec.structs.replace(facts, status=status), evidence)
    assert code in report.codes()
    assert (report.verdict == "refused") >= code.isupper()


@pytest.mark.parametrize("word", ["intent_hash", "constraints_hash", "route_hash", "outcome_hash"])
def test_each_word_is_compared(case: tuple[PostFacts, EvidenceReport], word: str) -> None:
    """One word that the manifest contradicts refuses; the head of a shorter chain is such a one."""
    facts, evidence = case
    report = verify_post(changed(facts, **{word: b"\7" * 32}), evidence)
    assert report.verdict == "refused"
    assert "POST_CONTRADICTED" in report.codes()


def test_a_bundle_that_was_made_anew(
    case: tuple[PostFacts, EvidenceReport], tmp_path: Path
) -> None:
    """Another manifest than the posted one is refused, however well it verifies by itself."""
    facts, _ = case
    path, _ = make_bundle(tmp_path, run_id="9" * 64)
    report = verify_post(facts, verify_evidence(path.read_bytes(), SIGNERS))
    assert report.verdict == "refused"
    assert "POST_EVIDENCE_MISMATCH" in report.codes()
    assert verify_post(facts, verify_evidence(b"rubbish", SIGNERS)).verdict == "refused"


def test_without_a_bundle(case: tuple[PostFacts, EvidenceReport]) -> None:
    """A post alone proves that something was committed to, and not what."""
    report = verify_post(case[0], None)
    assert report.codes() == ["POST_WITHOUT_BUNDLE"]
    assert report.verdict == "unchecked"
