# SPDX-License-Identifier: Apache-2.0
"""What is a matter of judgement: who may judge, the question to a panel, and its votes."""

from __future__ import annotations

import os
import secrets
from typing import Final

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import read_address
from tallystick.durable.file import make_directory, read_bounded, write_replace
from tallystick.errors import PostingError, UnreadableError
from tallystick.limits import KEY_FILE_BYTES_MAX
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import DISPUTES
from tallystick.onchain.codec import call_data
from tallystick.onchain.contracts import Contracts, Posted

# What an applicant puts down, as in the contract.
ARBITRATOR_STAKE: Final = 10**17


class Vote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vote that is kept to oneself until all votes are committed."""

    dispute_id: int
    arbitrator: str
    fault: bool
    salt: bytes

    def commitment(self) -> bytes:
        """Return the hash that is told first: of four words."""
        words = (
            self.dispute_id.to_bytes(32, "big"),
            read_address(self.arbitrator).rjust(32, b"\0"),
            int(self.fault).to_bytes(32, "big"),
            self.salt,
        )
        return keccak256(b"".join(words))


def application(contracts: Contracts, name: str) -> Wish:
    """Return the wish to be an arbitrator; its value is the stake."""
    data = call_data(DISPUTES, "applyAsArbitrator")
    return _wish(contracts, f"apply:{name}", data, ARBITRATOR_STAKE)


def admission(contracts: Contracts, arbitrator: str, name: str) -> Wish:
    """Return the owner's wish that lets an applicant be drawn, a week later."""
    data = call_data(DISPUTES, "admitArbitrator", arbitrator)
    return _wish(contracts, f"admit:{arbitrator}:{name}", data)


def dismissal(contracts: Contracts, arbitrator: str, name: str) -> Wish:
    """Return the owner's wish to draw somebody no more."""
    data = call_data(DISPUTES, "dismissArbitrator", arbitrator)
    return _wish(contracts, f"dismiss:{arbitrator}:{name}", data)


def leaving(contracts: Contracts, name: str) -> Wish:
    """Return an arbitrator's wish to stop; the stake becomes claimable."""
    return _wish(contracts, f"leave:{name}", call_data(DISPUTES, "leave"))


def judgement(contracts: Contracts, posted: Posted, evidence_hash: bytes) -> Wish:
    """Return the wish that asks a panel; its value is the bond and three fees."""
    cost = contracts.read(DISPUTES, "arbitrationCost", posted.receipt_id)
    data = call_data(
        DISPUTES, "challengeSubjective", posted.receipt_id, posted.claim(), evidence_hash
    )
    name = f"challenge:0x{posted.receipt_id.hex()}:0x{evidence_hash.hex()}"
    return _wish(contracts, name, data, cost)


def evidence(contracts: Contracts, dispute_id: int, evidence_hash: bytes, location: str) -> Wish:
    """Return a party's wish to tell the panel where evidence lies."""
    data = call_data(DISPUTES, "submitEvidence", dispute_id, evidence_hash, location)
    return _wish(contracts, f"evidence:{dispute_id}:0x{evidence_hash.hex()}", data, is_urgent=True)


def draw(contracts: Contracts, dispute_id: int, name: str) -> Wish:
    """Return the wish that draws a dispute's panel."""
    return _wish(
        contracts, f"draw:{dispute_id}:{name}", call_data(DISPUTES, "drawPanel", dispute_id)
    )


def committing(contracts: Contracts, vote: Vote) -> Wish:
    """Return the wish that commits to a vote."""
    data = call_data(DISPUTES, "commitVote", vote.dispute_id, vote.commitment())
    return _wish(contracts, f"commit:{vote.dispute_id}", data, is_urgent=True)


def revealing(contracts: Contracts, vote: Vote) -> Wish:
    """Return the wish that opens a vote."""
    data = call_data(DISPUTES, "revealVote", vote.dispute_id, vote.fault, vote.salt)
    return _wish(contracts, f"reveal:{vote.dispute_id}", data, is_urgent=True)


def panel_of(contracts: Contracts, dispute_id: int) -> list[str]:
    """Return who decides a dispute; nobody before the draw."""
    found = contracts.read(DISPUTES, "panelOf", dispute_id)
    return [one for one in found if int(one, 16)]


def vote_path(
    contracts: Contracts, directory: str | os.PathLike[str], dispute_id: int, voter: str
) -> str:
    """Return where a vote is kept: one for each dispute of each contract.

    With another contract's salt it would be known to all before it is opened. Files of earlier
    versions name no contract: one is taken where this contract has its commitment.
    """
    at, who = contracts.at, voter[2:].lower()
    earlier = os.path.join(directory, f"vote-{at.chain_id}-{dispute_id}-{who}.json")
    if os.path.lexists(earlier):
        told = contracts.read(DISPUTES, "commitments", dispute_id, voter)
        if read_vote(earlier).commitment() == told:
            return earlier
    name = f"vote-{at.chain_id}-{at.disputes[2:].lower()}-{dispute_id}-{who}.json"
    return os.path.join(directory, name)


def keep_vote(path: str, dispute_id: int, arbitrator: str, *, fault: bool) -> Vote:
    """Write a vote down before it is committed to; a second time it is the same vote."""
    if os.path.lexists(path):
        vote = read_vote(path)
        if vote.fault is not fault:
            raise PostingError(f"{path} holds the other vote; a vote is committed to once")
        return vote
    vote = Vote(
        dispute_id=dispute_id, arbitrator=arbitrator, fault=fault, salt=secrets.token_bytes(32)
    )
    make_directory(os.path.dirname(path), 0o700)
    write_replace(path, msgspec.json.encode(vote) + b"\n", 0o600)
    return vote


def read_vote(path: str) -> Vote:
    """Return the vote in a file."""
    try:
        data = read_bounded(path, KEY_FILE_BYTES_MAX)
    except UnreadableError:
        raise PostingError(f"{path} does not exist: no vote was committed to from here") from None
    try:
        return msgspec.json.decode(data, type=Vote)
    except msgspec.MsgspecError:
        raise PostingError(f"{path} holds no vote") from None


def _wish(
    contracts: Contracts, name: str, data: bytes, value: int = 0, *, is_urgent: bool = False
) -> Wish:
    to = contracts.at.disputes
    return Wish(name=name, to=to, data=data, value=value, is_urgent=is_urgent)
