# SPDX-License-Identifier: Apache-2.0
"""A post that was signed and not sent, as a file: whoever has it can send it, or prove with it."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.durable.file import read_bounded, write_replace
from tallystick.errors import PostingError, StatementError
from tallystick.limits import KEY_FILE_BYTES_MAX
from tallystick.model.post import (
    NO_TERMS,
    Commitment,
    TypedTerms,
    message_statement,
    typed_statement,
)
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import RECEIPTS
from tallystick.onchain.codec import call_data
from tallystick.onchain.contracts import Contracts
from tallystick.onchain.solving import Offer
from tallystick.ports import EvmSigner


class SignedPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A commitment with its signature; without terms it is one of the first form."""

    commitment: Commitment
    terms: TypedTerms | None
    nonce: int
    signer: str
    signature: bytes
    location: str = ""  # of which the terms have the hash

    def claim(self) -> tuple[Any, ...]:
        """Return the eleven members that disputes take."""
        terms = self.terms or NO_TERMS
        return (
            *self.commitment.eight(),
            terms.requester,
            terms.declared_volume,
            terms.location_hash,
        )


def sign_post(
    contracts: Contracts, operator: EvmSigner, commitment: Commitment, offer: Offer
) -> SignedPost:
    """Return a post that is signed, and not sent."""
    at, terms, nonce = contracts.at, None, 0
    if offer.requester is None:
        if offer.location or offer.volume:
            raise PostingError("volume and location are signed in a post that names its requester")
        nonce = contracts.read(RECEIPTS, "solverNonces", commitment.solver_id)
        signature = operator.sign(
            message_statement(commitment, chain_id=at.chain_id, contract=at.receipts, nonce=nonce)
        )
    else:
        terms = TypedTerms(
            requester=offer.requester,
            declared_volume=offer.volume,
            location_hash=keccak256(offer.location.encode()),
        )
        signature = operator.sign(
            typed_statement(commitment, terms, chain_id=at.chain_id, contract=at.receipts)
        )
    return SignedPost(
        commitment=commitment,
        terms=terms,
        nonce=nonce,
        signer=operator.get_address(),
        signature=signature.to_bytes(),
        location=offer.location,
    )


def relaying(contracts: Contracts, signed: SignedPost) -> tuple[bytes, Wish]:
    """Return the id of a post that somebody else signed, and the wish that posts it."""
    at, told, terms = contracts.at, signed.commitment, signed.terms
    if terms is None:
        raise PostingError(
            "its solver must send that post itself: only one that names its requester is relayed"
        )
    if keccak256(signed.location.encode()) != terms.location_hash:
        raise PostingError("the location in that post is not the one that was signed")
    statement = typed_statement(told, terms, chain_id=at.chain_id, contract=at.receipts)
    data = call_data(
        RECEIPTS, "postReceiptTyped", signed.claim(), signed.location, signed.signature
    )
    name = f"post:0x{told.solver_id.hex()}:0x{told.intent_hash.hex()}"
    return statement.digest(), Wish(name=name, to=at.receipts, data=data, is_open=True)


def keep_signed(path: str | os.PathLike[str], signed: SignedPost) -> None:
    """Write a signed post to a file."""
    write_replace(path, msgspec.json.format(msgspec.json.encode(signed)) + b"\n", 0o644)


def read_signed(path: str | os.PathLike[str]) -> SignedPost:
    """Return the signed post in a file."""
    data = read_bounded(path, KEY_FILE_BYTES_MAX)
    try:
        return msgspec.json.decode(data, type=SignedPost)
    except (msgspec.MsgspecError, StatementError, RecursionError):
        raise PostingError(f"{os.fspath(path)} holds no signed post") from None
