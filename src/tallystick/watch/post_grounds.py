# SPDX-License-Identifier: Apache-2.0
"""Which grounds hold against a post, from the bundle and the posts before it. All are facts that a
contract decides at once; whether the work was any good is no question for a program.
"""

from __future__ import annotations

from hashlib import sha256
from typing import BinaryIO, Literal

import msgspec

from tallystick.errors import BundleError, MalformedInput, ManifestError
from tallystick.limits import MANIFEST_BYTES_MAX
from tallystick.model.artifact import ArtifactEntry, encode_entry
from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import BundleHead, read_head
from tallystick.model.post import Commitment
from tallystick.onchain import challenging
from tallystick.onchain.account import Wish
from tallystick.onchain.contracts import Contracts, Posted
from tallystick.onchain.signed_post import SignedPost
from tallystick.verify.post import WORDS, contradictions

Kind = Literal[
    "replay", "equivocation", "timeout", "contradiction", "artifact", "unavailable", "unopened"
]


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """One ground, with what proves it."""

    kind: Kind
    told: str
    # Of a replay: the earlier post. Of a contradiction: the member of the manifest.
    earlier: bytes = b""
    signed: SignedPost | None = None  # of an equivocation
    member: str = ""
    manifest: bytes = b""
    entries: tuple[bytes, ...] = ()
    index: int = 0
    artifact: bytes = b""


def grounds_in(bundle: BinaryIO, commitment: Commitment) -> list[Ground]:
    """Return the grounds that a bundle shows; one that is not the post's is as good as none."""
    reader = BundleReader(exactly(bundle.read))
    try:
        head = read_head(reader)
        if bytes.fromhex(head.sha256) != commitment.evidence_hash:
            return [Ground(kind="unavailable", told="the bundle there is another one")]
        found = _contradicted(head, commitment)
        return found or _wrong_sizes(head, reader)
    except (BundleError, ManifestError, MalformedInput) as fault:
        return [Ground(kind="unavailable", told=f"what lies there is no bundle: {fault}")]


def _contradicted(head: BundleHead, commitment: Commitment) -> list[Ground]:
    found = []
    for word, _, _ in contradictions(commitment, head.manifest):
        told = f"the manifest says something else of the post's {WORDS[word]}"
        if word == "outcome_hash":
            # Only the solver knows what its outcome is made of: it is asked for the first entry,
            # and whatever it answers, or does not, convicts it.
            found.append(Ground(kind="unopened", told=told, index=0))
        else:
            found.append(
                Ground(
                    kind="contradiction",
                    told=told,
                    member=WORDS[word],
                    manifest=head.canonical,
                )
            )
    return found


def _wrong_sizes(head: BundleHead, reader: BundleReader) -> list[Ground]:
    places = {one.path: index for index, one in enumerate(head.entries)}
    member = head.first
    while member is not None:
        index = places.get(member.name)
        if index is not None and member.size <= MANIFEST_BYTES_MAX:
            data = reader.content()
            if _lies(head.entries[index], data):
                return [
                    Ground(
                        kind="artifact",
                        told=f"entry {index} names another size than its bytes have",
                        entries=tuple(encode_entry(one) for one in head.entries),
                        index=index,
                        artifact=data,
                    )
                ]
        member = reader.next()
    return []


def _lies(entry: ArtifactEntry, data: bytes) -> bool:
    return entry.size != len(data) and entry.sha256 == sha256(data).hexdigest()


def wish_of(contracts: Contracts, posted: Posted, ground: Ground) -> Wish:
    """Return the wish that challenges a post on a ground."""
    if ground.kind in ("unavailable", "unopened"):
        index = None if ground.kind == "unavailable" else ground.index
        return challenging.question(contracts, posted, index)
    if ground.kind == "timeout":
        return challenging.timeout(contracts, posted)
    if ground.signed is not None:
        return challenging.equivocation(contracts, posted, ground.signed)
    if ground.kind == "replay":
        return challenging.replay(contracts, posted, contracts.posted(ground.earlier))
    if ground.kind == "artifact":
        return challenging.artifact_mismatch(
            contracts, posted, ground.entries, ground.index, ground.artifact
        )
    return challenging.manifest_mismatch(
        contracts, posted, ground.manifest, ground.member, ground.entries
    )
