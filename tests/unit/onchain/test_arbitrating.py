# SPDX-License-Identifier: Apache-2.0
"""Arbitrators are admitted, drawn, vote in secret, and two of three decide."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from eth_abi.abi import encode as abi_encode
from tests.chains import CHALLENGER, SOLVER, Chain, embedded, words
from tests.curve import CurveKey

from tallystick.crypto.keccak import keccak256
from tallystick.errors import PostingError, RevertError
from tallystick.onchain import arbitrating
from tallystick.onchain.artifact import DISPUTES
from tallystick.onchain.challenging import resolution
from tallystick.onchain.contracts import Contracts, PostStatus
from tallystick.onchain.deployment import deploy

JUDGES = tuple(CurveKey(number) for number in (0xA1, 0xA2, 0xA3))
DAY = 86_400


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


def test_a_commitment_is_the_contracts() -> None:
    """It is keccak256 of what `abi.encode` writes for the four members."""
    for fault in (True, False):
        vote = arbitrating.Vote(
            dispute_id=7, arbitrator=JUDGES[0].address, fault=fault, salt=words("salt")
        )
        members = (7, JUDGES[0].address, fault, words("salt"))
        encoded = abi_encode(["uint256", "address", "bool", "bytes32"], members)
        assert vote.commitment() == keccak256(encoded)


def test_from_application_to_verdict(chain: Chain) -> None:
    """Two votes of fault slash the solver; who may not act is refused."""
    contracts, owner = chain.contracts, chain.account(CHALLENGER)
    for judge in JUDGES:
        chain.account(judge).do(arbitrating.application(contracts, "one"))
        owner.do(arbitrating.admission(contracts, judge.address, "one"))
    with pytest.raises(RevertError, match="NotOwner"):
        chain.account(SOLVER).do(arbitrating.dismissal(contracts, SOLVER.address, "one"))
    chain.pass_time(7 * DAY)
    posted = contracts.posted(chain.post(chain.commitment()))
    owner.do(arbitrating.judgement(contracts, posted, words("letter")))
    owner.do(arbitrating.evidence(contracts, 1, words("letter"), "https://e.example"))
    assert arbitrating.panel_of(contracts, 1) == []
    chain.pass_time(DAY + 1)
    owner.do(arbitrating.draw(contracts, 1, "one"))
    assert len(arbitrating.panel_of(contracts, 1)) == 3
    votes = [
        arbitrating.Vote(
            dispute_id=1, arbitrator=judge.address, fault=True, salt=words(judge.address)
        )
        for judge in JUDGES[:2]
    ]
    for judge, vote in zip(JUDGES, votes, strict=False):
        chain.account(judge).do(arbitrating.committing(contracts, vote))
    assert_kept_apart(chain, votes[0])
    with pytest.raises(RevertError, match="ArbitrationActive"):
        chain.account(JUDGES[0]).do(arbitrating.leaving(contracts, "one"))
    chain.pass_time(4 * DAY)
    for judge, vote in zip(JUDGES, votes, strict=False):
        chain.account(judge).do(arbitrating.revealing(contracts, vote))
    chain.pass_time(3 * DAY)
    owner.do(resolution(contracts, 1))
    assert contracts.post(posted.receipt_id).status is PostStatus.SLASHED
    owner.do(arbitrating.dismissal(contracts, JUDGES[0].address, "one"))
    chain.account(JUDGES[0]).do(arbitrating.leaving(contracts, "one"))
    assert contracts.read(DISPUTES, "arbitrators", JUDGES[0].address)[0] == 0


def assert_kept_apart(chain: Chain, vote: arbitrating.Vote) -> None:
    """A vote of an earlier version is found by the contract that has it committed, and no other."""
    voter = vote.arbitrator
    old = chain.home / f"vote-{chain.node.chain_id}-1-{voter[2:].lower()}.json"
    place = arbitrating.vote_path(chain.contracts, chain.home, 1, voter)
    assert place != str(old)
    old.write_bytes(msgspec.json.encode(vote))
    old.chmod(0o600)
    assert arbitrating.vote_path(chain.contracts, chain.home, 1, voter) == str(old)
    at = deploy(chain.account(CHALLENGER), SOLVER.address, lambda _told: None)
    other = arbitrating.vote_path(Contracts(chain.node, at), chain.home, 1, voter)
    assert other not in (place, str(old))


def test_a_vote_is_kept_once(tmp_path: Path) -> None:
    """It is nobody else's to read, the same a second time, and never turned."""
    path = str(tmp_path / "vote.json")
    vote = arbitrating.keep_vote(path, 7, JUDGES[0].address, fault=True)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert len(vote.salt) == 32
    assert arbitrating.keep_vote(path, 7, JUDGES[0].address, fault=True) == vote
    assert arbitrating.read_vote(path) == vote
    with pytest.raises(PostingError, match="other vote"):
        arbitrating.keep_vote(path, 7, JUDGES[0].address, fault=False)


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 5000, b'{"dispute_id":"x"}'])
def test_what_is_no_vote(tmp_path: Path, data: bytes) -> None:
    """A file that holds none is named, and so is one that is missing."""
    path = tmp_path / "vote.json"
    with pytest.raises(PostingError, match="no vote was committed"):
        arbitrating.read_vote(str(path))
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(PostingError, match="holds no vote"):
        arbitrating.read_vote(str(path))
