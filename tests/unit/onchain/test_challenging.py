# SPDX-License-Identifier: Apache-2.0
"""A cheating solver is slashed by each proof; an honest one by none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chains import CHALLENGER, REQUESTER, Chain, embedded
from tests.evidence_making import evidence_of, make_run
from tests.posts import HEAD, committed, make_bundle

from tallystick.errors import PostingError, RevertError
from tallystick.model.artifact import encode_entry
from tallystick.onchain import challenging
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.contracts import PostStatus
from tallystick.onchain.solving import Offer


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


def status_of(chain: Chain, receipt_id: bytes) -> PostStatus:
    return chain.contracts.post(receipt_id).status


def test_a_manifest_that_contradicts(chain: Chain, tmp_path: Path) -> None:
    """A post whose policy is not the manifest's is slashed at once; an honest one is not."""
    _, made = make_bundle(tmp_path)
    canonical = (tmp_path / "run/evidence/manifest.json").read_bytes().removesuffix(b"\n")
    contracts, challenger = chain.contracts, chain.account(CHALLENGER)
    honest = contracts.posted(chain.post(committed(chain, made)))
    for member in challenging.MEMBERS:
        wish = challenging.manifest_mismatch(contracts, honest, canonical, member)
        with pytest.raises(RevertError, match=r"NoContradiction|InvalidProof"):
            challenger.do(wish)
    lie = committed(chain, made, intent_hash=b"\7" * 32, constraints_hash=b"\6" * 32)
    posted = contracts.posted(chain.post(lie, Offer(requester=REQUESTER.address)))
    challenger.do(challenging.manifest_mismatch(contracts, posted, canonical, "policy"))
    assert status_of(chain, posted.receipt_id) is PostStatus.SLASHED
    assert contracts.read(REGISTRY, "claimable", REQUESTER.address) == 64 * 10**15
    assert contracts.read(REGISTRY, "claimable", CHALLENGER.address) >= 12 * 10**15
    with pytest.raises(PostingError, match="not the manifest"):
        challenging.manifest_mismatch(contracts, honest, b"{}", "policy")


def test_evidence_shown_twice(chain: Chain, tmp_path: Path) -> None:
    """The later of two posts with one evidence is slashed; the earlier is not."""
    _, made = make_bundle(tmp_path)
    first = chain.contracts.posted(chain.post(committed(chain, made)))
    chain.pass_time(5)
    second = chain.contracts.posted(chain.post(committed(chain, made, intent_hash=b"\7" * 32)))
    with pytest.raises(RevertError, match="NoContradiction"):
        chain.account(CHALLENGER).do(challenging.replay(chain.contracts, first, second))
    chain.account(CHALLENGER).do(challenging.replay(chain.contracts, second, first))
    assert status_of(chain, second.receipt_id) is PostStatus.SLASHED
    assert status_of(chain, first.receipt_id) is PostStatus.PENDING


def test_silence(chain: Chain) -> None:
    """A solver that does not answer within a day loses the stake."""
    posted = chain.contracts.posted(chain.post(chain.commitment()))
    challenger = chain.account(CHALLENGER)
    challenger.do(challenging.question(chain.contracts, posted, None))
    (question,) = chain.contracts.questions(posted.receipt_id)
    with pytest.raises(RevertError, match="ResponseWindowActive"):
        challenger.do(challenging.resolution(chain.contracts, question.dispute_id))
    chain.pass_time(86_500)
    challenger.do(challenging.resolution(chain.contracts, question.dispute_id))
    assert status_of(chain, posted.receipt_id) is PostStatus.SLASHED


def test_a_promise_that_was_not_kept(chain: Chain) -> None:
    """A settlement that is missing at its time slashes; before it, nothing does."""
    expiry = chain.node.head()[1] + 1000
    posted = chain.contracts.posted(chain.post(chain.commitment(expiry=expiry)))
    challenger = chain.account(CHALLENGER)
    with pytest.raises(RevertError, match="SettlementWindowActive"):
        challenger.do(challenging.timeout(chain.contracts, posted))
    chain.pass_time(1100)
    challenger.do(challenging.timeout(chain.contracts, posted))
    assert status_of(chain, posted.receipt_id) is PostStatus.SLASHED


def test_a_promise_that_was_kept(chain: Chain, tmp_path: Path) -> None:
    """A settlement in the outcome settles; then no timeout slashes. Other entries prove nothing."""
    run = make_run(tmp_path / "run", {"report.json": b"{}", "settlement.json": b'{"paid":1}'})
    made = evidence_of(run, chain=HEAD)
    entries = [encode_entry(one) for one in made.manifest.artifacts or ()]
    at = next(n for n, one in enumerate(entries) if b"/settlement.json" in one)
    expiry = chain.node.head()[1] + 1000
    posted = chain.contracts.posted(chain.post(committed(chain, made, expiry=expiry)))
    challenger = chain.account(CHALLENGER)
    with pytest.raises(RevertError, match="InvalidProof"):
        challenger.do(challenging.settlement(chain.contracts, posted, entries, 1 - at))
    with pytest.raises(PostingError, match="not the artefacts"):
        challenging.settlement(chain.contracts, posted, entries[:1], 0)
    with pytest.raises(PostingError, match="no entry 0 among 0"):
        challenging.settlement(chain.contracts, posted, [], 0)
    with pytest.raises(PostingError, match="no entry 2 among 2"):
        challenging.artifact_mismatch(chain.contracts, posted, entries, 2, b"")
    challenger.do(challenging.settlement(chain.contracts, posted, entries, at))
    assert chain.contracts.post(posted.receipt_id).settled
    chain.pass_time(1100)
    with pytest.raises(RevertError, match="NoContradiction"):
        challenger.do(challenging.timeout(chain.contracts, posted))
