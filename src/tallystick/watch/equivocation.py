# SPDX-License-Identifier: Apache-2.0
"""Looks for a second signature of a solver under another outcome of the intent that it posted.

The chain has one post for each intent, so the other one comes from elsewhere: a file that somebody
was given, and handed on. It counts only if its signature is by a key that spoke for the solver.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tallystick.crypto.secp256k1 import EvmSignature, recovered_address
from tallystick.errors import Error, PostingError
from tallystick.limits import WATCHED_POSTS_MAX
from tallystick.model.evm_statement import digest_of
from tallystick.model.post import message_statement, typed_statement
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.contracts import Contracts, Posted
from tallystick.onchain.signed_post import SignedPost, read_signed


def signed_posts(directory: str) -> Iterator[SignedPost]:
    """Yield the signed posts that lie in a folder; what is none is passed over."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(".json"))
    if len(names) > WATCHED_POSTS_MAX:
        raise PostingError(f"over {WATCHED_POSTS_MAX} signed posts: more than one can watch")
    for name in names:
        try:
            yield read_signed(os.path.join(directory, name))
        except Error:
            continue


def is_equivocation(contracts: Contracts, posted: Posted, other: SignedPost) -> bool:
    """Whether the solver signed this, too: the same intent with another outcome."""
    here, there = posted.commitment, other.commitment
    if (here.solver_id, here.intent_hash) != (there.solver_id, there.intent_hash):
        return False
    if here.outcome_hash == there.outcome_hash or not _is_signed(contracts, other):
        return False
    if contracts.solver(here.solver_id).operator == other.signer:
        return True
    moment = contracts.post(posted.receipt_id).posted_at
    return bool(contracts.read(REGISTRY, "isKeyAt", here.solver_id, other.signer, moment))


def _is_signed(contracts: Contracts, other: SignedPost) -> bool:
    at, told, terms = contracts.at, other.commitment, other.terms
    try:
        digest = digest_of(
            message_statement(told, chain_id=at.chain_id, contract=at.receipts, nonce=other.nonce)
            if terms is None
            else typed_statement(told, terms, chain_id=at.chain_id, contract=at.receipts)
        )
        signature = EvmSignature.from_bytes(other.signature)
        return recovered_address(digest, signature) == other.signer
    except (Error, OverflowError):
        return False
