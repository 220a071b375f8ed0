# SPDX-License-Identifier: Apache-2.0
"""What anyone may do about a post: ask for what it commits to, prove it wrong, end a dispute."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from tallystick.crypto.merkle import leaf_hash, path_in, tree_rows
from tallystick.errors import PostingError
from tallystick.model.artifact import outcome_hash
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import DISPUTES, RECEIPTS
from tallystick.onchain.codec import call_data, topic
from tallystick.onchain.contracts import MANIFEST_INDEX, Contracts, Posted
from tallystick.onchain.node import Mined
from tallystick.onchain.signed_post import SignedPost

# Which member of a manifest contradicts the post.
MEMBERS: Final = {"intent": 1, "policy": 2, "receipts": 3, "artifacts": 4}


def question(contracts: Contracts, posted: Posted, index: int | None) -> Wish:
    """Return the wish that asks for an entry, or for the manifest; its value is the bond."""
    asked = MANIFEST_INDEX if index is None else index
    bond = contracts.read(RECEIPTS, "challengerBond", posted.receipt_id)
    data = call_data(DISPUTES, "challengeAvailability", posted.receipt_id, posted.claim(), asked)
    name = f"challenge:0x{posted.receipt_id.hex()}:{asked}"
    return Wish(name=name, to=contracts.at.disputes, data=data, value=bond)


def replay(contracts: Contracts, posted: Posted, earlier: Posted) -> Wish:
    """Return the wish that proves a post to show the evidence of another intent's."""
    data = call_data(
        DISPUTES,
        "proveReplay",
        posted.receipt_id,
        posted.claim(),
        earlier.receipt_id,
        earlier.claim(),
    )
    return _proof(contracts, "replay", posted, data)


def timeout(contracts: Contracts, posted: Posted) -> Wish:
    """Return the wish that proves a promised settlement missing."""
    data = call_data(DISPUTES, "proveTimeout", posted.receipt_id, posted.claim())
    return _proof(contracts, "timeout", posted, data)


def equivocation(contracts: Contracts, posted: Posted, other: SignedPost) -> Wish:
    """Return the wish that proves a solver to have signed another outcome of the same intent."""
    data = call_data(
        DISPUTES,
        "proveEquivocation",
        posted.receipt_id,
        posted.claim(),
        other.claim(),
        other.terms is not None,
        other.nonce,
        other.signer,
        other.signature,
    )
    return _proof(contracts, "equivocation", posted, data)


def settlement(contracts: Contracts, posted: Posted, entries: Sequence[bytes], index: int) -> Wish:
    """Return the wish that proves a promised settlement: its entry is in the outcome."""
    data = call_data(DISPUTES, "proveSettlement", *_entry(posted, entries, index))
    wish = _proof(contracts, "settlement", posted, data)
    return msgspec.structs.replace(wish, is_urgent=True)  # the promise has a time


def _entry(posted: Posted, entries: Sequence[bytes], index: int) -> tuple[Any, ...]:
    """Return what shows the contract one entry of the outcome: the post, the root, the path."""
    if not 0 <= index < len(entries):
        raise PostingError(f"there is no entry {index} among {len(entries)}")
    rows = tree_rows([leaf_hash(one) for one in entries])
    root = rows[-1][0]
    if outcome_hash(len(entries), root) != posted.commitment.outcome_hash:
        raise PostingError("those are not the artefacts that the post commits to")
    path = path_in(rows, index)
    return posted.receipt_id, posted.claim(), len(entries), root, index, entries[index], path


def manifest_mismatch(
    contracts: Contracts,
    posted: Posted,
    manifest: bytes,
    member: str,
    entries: Sequence[bytes] = (),
) -> Wish:
    """Return the wish that proves a post to contradict the manifest that it commits to."""
    if sha256(manifest).digest() != posted.commitment.evidence_hash:
        raise PostingError("that is not the manifest that the post commits to")
    count, root = 0, bytes(32)
    if member == "artifacts":
        rows = tree_rows([leaf_hash(one) for one in entries])
        count, root = len(entries), rows[-1][0] if entries else sha256(b"").digest()
    data = call_data(
        DISPUTES,
        "proveManifestMismatch",
        posted.receipt_id,
        posted.claim(),
        manifest,
        MEMBERS[member],
        count,
        root,
    )
    return _proof(contracts, "mismatch", posted, data)


def artifact_mismatch(
    contracts: Contracts, posted: Posted, entries: Sequence[bytes], index: int, artifact: bytes
) -> Wish:
    """Return the wish that proves an entry to be of no form, or of another size than its bytes."""
    data = call_data(DISPUTES, "proveArtifactMismatch", *_entry(posted, entries, index), artifact)
    return _proof(contracts, "mismatch", posted, data)


def resolution(contracts: Contracts, dispute_id: int) -> Wish:
    """Return the wish that ends a dispute whose time is over."""
    data = call_data(DISPUTES, "resolve", dispute_id)
    return Wish(name=f"resolve:{dispute_id}", to=contracts.at.disputes, data=data)


def opened_dispute(mined: Mined) -> int | None:
    """Return the number of the dispute that a transaction has opened."""
    kinds = {topic(DISPUTES, name) for name in ("AvailabilityChallenged", "SubjectiveChallenged")}
    for event in mined.events:
        if len(event.topics) > 1 and event.topics[0] in kinds:
            return int.from_bytes(event.topics[1], "big")
    return None


def _proof(contracts: Contracts, ground: str, posted: Posted, data: bytes) -> Wish:
    name = f"prove:{ground}:0x{posted.receipt_id.hex()}"
    return Wish(name=name, to=contracts.at.disputes, data=data)
