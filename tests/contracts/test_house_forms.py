# SPDX-License-Identifier: Apache-2.0
"""The contracts read what the package writes: entries and manifests of real bundles.

An honest solver must never be convicted by the form of its own evidence, whatever its files are
called and however large they are.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contracts.receipts import Tree
from tests.contracts.refusals import refused
from tests.contracts.test_grounds import NONE
from tests.contracts.world import Posted, World, deployed

from tallystick.crypto.canonical import canonicalize
from tallystick.model.artifact import ArtifactEntry, encode_entry, entry_fault, outcome_hash
from tallystick.model.manifest import parse_manifest

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "bundle"
CASES = ("run", "run-listed", "refusal", "failure")

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    min_size=1,
    max_size=40,
)
ENTRIES = st.builds(
    lambda names, size, kind: ArtifactEntry(
        size=size,
        content_type=kind,
        path="/".join(["artifacts", *names]),
        sha256=sha256("/".join(names).encode()).hexdigest(),
    ),
    st.lists(NAMES, min_size=1, max_size=4),
    st.integers(0, 2**40),
    st.sampled_from(["text/plain", "application/json", "application/octet-stream"]),
).filter(lambda entry: entry_fault(entry) is None)


def manifest_of(case: str) -> bytes:
    """Return the canonical bytes of a vector's manifest: the first member of a plain tar."""
    data = (VECTORS / case / "input.tally").read_bytes()
    return data[512 : 512 + int(data[124:135], 8) - 1]


@pytest.mark.parametrize("case", CASES)
def test_a_real_manifest_agrees_with_its_post(world: World, case: str) -> None:
    """A bundle's manifest, posted as the mapping says, contradicts the receipt in no member."""
    data = manifest_of(case)
    manifest = parse_manifest(data)

    def digest(text: str | None) -> bytes:
        return bytes.fromhex((text or "sha256:" + "00" * 32).removeprefix("sha256:"))

    count, root = manifest.artifact_count, manifest.root
    chain = manifest.receipt_chain
    members = world.members(
        intent=digest(manifest.intent_hash),
        constraints=digest(manifest.policy_hash),
        route=digest(chain.head if chain else None),
        outcome=outcome_hash(count, root),
        evidence=sha256(data).digest(),
    )
    posted = world.post(members)
    send, who = world.disputes.send, world.challenger.address
    for member in (1, 2, 3, 4):
        preimage = (count, root) if member == 4 else NONE
        arguments = (posted.id, posted.claim, data, member, *preimage)
        with refused("NoContradiction"):
            send(who, "proveManifestMismatch", *arguments)
    for member, change in ((1, "intent"), (2, "constraints"), (3, "route")):
        lie = world.members(
            intent=sha256(change.encode()).digest(),
            constraints=members.constraints,
            route=members.route,
            outcome=members.outcome,
            evidence=members.evidence,
        )
        if change != "intent":
            lie = lie.but(**{change: b"\7" * 32})
        other = world.post(lie)
        send(who, "proveManifestMismatch", other.id, other.claim, data, member, *NONE)
        world.machine.tick(7 * 86_400)
        world = deployed()
        send, who = world.disputes.send, world.challenger.address


@settings(max_examples=40)
@given(st.lists(ENTRIES, min_size=1, max_size=6))
def test_real_entries_contradict_nothing(entries: list[ArtifactEntry]) -> None:
    """Whatever an honest file is called, its entry has the one form, and answers for itself."""
    world = deployed()
    tree = Tree([encode_entry(entry) for entry in entries])
    posted: Posted = world.post(world.members(tree), tree=tree)
    for index, entry in enumerate(entries):
        assert tree.entries[index] == canonicalize(
            {
                "bytes": entry.size,
                "contentType": entry.content_type,
                "path": entry.path,
                "sha256": entry.sha256,
            }
        )
        with refused("NoContradiction"):
            world.disputes.send(
                world.challenger.address,
                "proveArtifactMismatch",
                posted.id,
                posted.claim,
                *tree.proof(index),
                b"some other bytes",
            )
        number = world.ask(posted, index)
        world.answer(number, posted, index)
