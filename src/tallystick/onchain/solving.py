# SPDX-License-Identifier: Apache-2.0
"""What a solver does on chain: register, put up a bond, post what it did, answer, take out.

Each function makes a wish that an account does once. Posting is idempotent twice over: the
account's journal knows the wish, and the contract knows one post per solver and intent.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.merkle import leaf_hash, path_in, tree_rows
from tallystick.errors import PostingError
from tallystick.model.artifact import outcome_hash
from tallystick.model.manifest import parse_manifest
from tallystick.model.post import (
    NO_ADDRESS,
    Commitment,
    TypedTerms,
    message_statement,
    register_statement,
    typed_statement,
)
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import DISPUTES, RECEIPTS, REGISTRY
from tallystick.onchain.codec import call_data
from tallystick.onchain.contracts import Contracts, Posted
from tallystick.ports import EvmSigner
from tallystick.verify.post import contradictions


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a post adds to its commitment. Without a requester it is one of the first form."""

    volume: int = 0
    requester: str | None = None
    location: str = ""


def registration(contracts: Contracts, operator: EvmSigner, metadata: bytes) -> Wish:
    """Return the wish that registers an operator, who consents by a signature."""
    statement = register_statement(
        operator.get_address(),
        metadata,
        chain_id=contracts.at.chain_id,
        contract=contracts.at.registry,
    )
    signature = operator.sign(statement).to_bytes()
    data = call_data(REGISTRY, "registerSolver", operator.get_address(), metadata, signature)
    name = f"register:{operator.get_address()}"
    return Wish(name=name, to=contracts.at.registry, data=data, is_open=True)


def deposit(contracts: Contracts, wei: int, name: str) -> Wish:
    """Return the wish that adds to the sender's own bond; `name` tells it from the next deposit.

    The contract knows whose that is. A node that names another's solver gets nothing by it.
    """
    data = call_data(REGISTRY, "depositOwnBond")
    return Wish(name=f"bond:{name}", to=contracts.at.registry, data=data, value=wei)


def withdrawal(contracts: Contracts, solver_id: bytes, wei: int | None, name: str) -> Wish:
    """Return the wish that asks for a part of the bond, or with None that takes it out."""
    data = (
        call_data(REGISTRY, "withdrawBond", solver_id)
        if wei is None
        else call_data(REGISTRY, "requestWithdrawal", solver_id, wei)
    )
    return Wish(name=f"withdraw:{name}", to=contracts.at.registry, data=data)


def withdrawal_back(contracts: Contracts, solver_id: bytes, name: str) -> Wish:
    """Return the wish to take a request for a part of the bond back; one that expired, too."""
    data = call_data(REGISTRY, "cancelWithdrawal", solver_id)
    return Wish(name=f"keep:{name}", to=contracts.at.registry, data=data)


def posting(
    contracts: Contracts, operator: EvmSigner, commitment: Commitment, offer: Offer
) -> tuple[bytes, Wish]:
    """Return a post's id and the wish that posts it."""
    at = contracts.at
    name = f"post:0x{commitment.solver_id.hex()}:0x{commitment.intent_hash.hex()}"
    if offer.requester is None:
        if offer.location:
            raise PostingError("a location is signed in a post that names its requester")
        nonce = contracts.read(RECEIPTS, "solverNonces", commitment.solver_id)
        statement = message_statement(
            commitment, chain_id=at.chain_id, contract=at.receipts, nonce=nonce
        )
        signed = (*commitment.eight(), operator.sign(statement).to_bytes())
        data = call_data(RECEIPTS, "postReceipt", signed, offer.volume)
        return commitment.receipt_id(), Wish(name=name, to=at.receipts, data=data)
    terms = TypedTerms(
        requester=offer.requester,
        declared_volume=offer.volume,
        location_hash=keccak256(offer.location.encode()),
    )
    if terms.requester == NO_ADDRESS:
        raise PostingError("the requester is nobody's address")
    typed = typed_statement(commitment, terms, chain_id=at.chain_id, contract=at.receipts)
    members = (
        *commitment.eight(),
        terms.requester,
        terms.declared_volume,
        terms.location_hash,
    )
    signature = operator.sign(typed).to_bytes()
    data = call_data(RECEIPTS, "postReceiptTyped", members, offer.location, signature)
    return typed.digest(), Wish(name=name, to=at.receipts, data=data, is_open=True)


def finalization(contracts: Contracts, receipt_id: bytes) -> Wish:
    """Return the wish that makes a post final."""
    data = call_data(RECEIPTS, "finalize", receipt_id)
    return Wish(name=f"finalize:0x{receipt_id.hex()}", to=contracts.at.receipts, data=data)


def payout(contracts: Contracts, address: str, name: str) -> Wish:
    """Return the wish that pays out what is claimable."""
    data = call_data(REGISTRY, "claim", address)
    return Wish(name=f"claim:{name}", to=contracts.at.registry, data=data)


def entry_answer(
    contracts: Contracts, dispute_id: int, index: int, posted: Posted, entries: Sequence[bytes]
) -> Wish:
    """Return the wish that answers which entry has an index, or that there are fewer."""
    rows = tree_rows([leaf_hash(one) for one in entries])
    root = rows[-1][0] if entries else sha256(b"").digest()
    if outcome_hash(len(entries), root) != posted.commitment.outcome_hash:
        raise PostingError("the bundle's artefacts are not those that the post commits to")
    is_there = index < len(entries)
    data = call_data(
        DISPUTES,
        "answerEntry",
        dispute_id,
        posted.claim(),
        len(entries),
        root,
        entries[index] if is_there else b"",
        path_in(rows, index) if is_there else [],
    )
    return _answer(contracts, dispute_id, data)


def manifest_answer(contracts: Contracts, dispute_id: int, posted: Posted, manifest: bytes) -> Wish:
    """Return the wish that answers with the manifest."""
    if sha256(manifest).digest() != posted.commitment.evidence_hash:
        raise PostingError("the bundle's manifest is not the one that the post commits to")
    said = parse_manifest(manifest)
    if contradictions(posted.commitment, said):
        raise PostingError("the manifest contradicts the post, and so it is no answer")
    outcome = (said.artifact_count, said.root)
    data = call_data(DISPUTES, "answerManifest", dispute_id, posted.claim(), manifest, *outcome)
    return _answer(contracts, dispute_id, data)


def _answer(contracts: Contracts, dispute_id: int, data: bytes) -> Wish:
    name = f"answer:{dispute_id}"
    return Wish(name=name, to=contracts.at.disputes, data=data, is_urgent=True)
