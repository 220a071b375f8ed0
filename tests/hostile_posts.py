# SPDX-License-Identifier: Apache-2.0
"""Posts as no client of ours makes them: the contract takes them all the same."""

from __future__ import annotations

from eth_abi.abi import encode
from tests.chains import REQUESTER, SOLVER, Chain

from tallystick.crypto.keccak import keccak256
from tallystick.model.post import Commitment, TypedTerms, typed_statement
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import RECEIPTS
from tallystick.onchain.codec import selector

_CLAIM = "(" + ",".join(["bytes32"] * 5 + ["uint64"] * 2 + ["bytes32", "address", "uint256"])
NO_TEXT = b"https://\xff.example/run.tally"


def post_at(chain: Chain, commitment: Commitment, location: bytes = NO_TEXT) -> bytes:
    """Post with a location that may be any bytes; return the post's id."""
    account, at = chain.account(SOLVER), chain.deployment
    terms = TypedTerms(
        requester=REQUESTER.address, declared_volume=0, location_hash=keccak256(location)
    )
    statement = typed_statement(commitment, terms, chain_id=at.chain_id, contract=at.receipts)
    members = (*commitment.eight(), terms.requester, 0, terms.location_hash)
    data = selector(RECEIPTS, "postReceiptTyped") + encode(
        [f"{_CLAIM},bytes32)", "bytes", "bytes"],
        [members, location, account.signer.sign(statement).to_bytes()],
    )
    account.do(Wish(name=f"post at {location!r}", to=at.receipts, data=data))
    return statement.digest()
