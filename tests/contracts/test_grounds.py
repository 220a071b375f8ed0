# SPDX-License-Identifier: Apache-2.0
"""Grounds that a function decides: each with what proves it, and with what does not."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from tests.contracts.receipts import LOCATION, Members, Tree, canonical, entry, manifest
from tests.contracts.refusals import refused
from tests.contracts.revm import BURN, DAY, HOUR, account
from tests.contracts.world import (
    AVAILABILITY,
    CHAIN,
    CHALLENGE,
    DISPUTED,
    EQUIVOCATION,
    FINALIZED,
    MANIFEST,
    MISMATCH,
    PENDING,
    REPLAY,
    SLASHED,
    SMALL,
    STAKE,
    TIMEOUT,
    Posted,
    World,
)

NONE = (0, b"\0" * 32)
OUTCOME = (SMALL.count, SMALL.root)


def slashed_for(world: World) -> int:
    """Return the reason that the last call told."""
    told = {event.name: event.values for event in world.machine.events()}
    assert told["DisputeOpened"]["reason"] == told["ReceiptSlashed"]["reason"]
    return int(told["ReceiptSlashed"]["reason"])


def equivocation(
    world: World, posted: Posted, other: Members, *, key: Any = None, nonce: int = 9
) -> None:
    """Prove that another receipt was signed for the intent."""
    typed = other.location is not None
    digest = (
        other.typed_id(CHAIN, world.hub.address)
        if typed
        else other.legacy_digest(CHAIN, world.hub.address, nonce)
    )
    key = key or world.operator
    world.disputes.send(
        world.challenger.address,
        "proveEquivocation",
        posted.id,
        posted.claim,
        other.claim,
        typed,
        nonce,
        key.address,
        key.sign(digest),
    )


@pytest.mark.parametrize("posted_typed", [False, True])
@pytest.mark.parametrize("other_typed", [False, True])
def test_two_outcomes_for_one_intent(world: World, posted_typed: bool, other_typed: bool) -> None:
    """A second signed receipt for the intent, with another outcome, ends the first: both forms."""
    posted = world.post_typed() if posted_typed else world.post()
    other = world.members(
        intent=posted.members.intent,
        outcome=b"\7" * 32,
        location=LOCATION if other_typed else None,
    )
    equivocation(world, posted, other)
    assert slashed_for(world) == EQUIVOCATION
    assert world.status(posted) == SLASHED
    world.check_solvency()


def test_what_is_no_equivocation(world: World) -> None:
    """The same outcome, another intent, another key, another chain: none proves anything."""
    posted = world.post()
    same = posted.members
    with refused("NoContradiction"):  # signed again, as after a lost transaction
        equivocation(world, posted, same.but(created_at=same.created_at + 5))
    with refused("NoContradiction"):
        equivocation(world, posted, same.but(intent=b"\7" * 32, outcome=b"\7" * 32))
    with refused("NoContradiction"):
        equivocation(world, posted, same.but(solver=b"\7" * 32, outcome=b"\7" * 32))
    other = same.but(outcome=b"\7" * 32)
    with refused("InvalidReceiptSignature"):
        equivocation(world, posted, other, key=world.stranger)
    digest = other.legacy_digest(CHAIN + 1, world.hub.address, 9)
    with refused("InvalidReceiptSignature"):
        world.disputes.send(
            world.challenger.address,
            "proveEquivocation",
            posted.id,
            posted.claim,
            other.claim,
            False,
            9,
            world.operator.address,
            world.operator.sign(digest),
        )
    assert world.status(posted) == PENDING


def test_the_same_evidence_for_two_intents(world: World) -> None:
    """The later post is at fault, never the earlier; another solver's copy accuses nobody."""
    first = world.post()
    world.machine.tick(10)
    evidence = first.members.evidence
    second = world.post(world.members(evidence=evidence))
    other = account("second")
    copy = world.post(
        world.members(evidence=evidence, solver=world.register(other, STAKE)), operator=other
    )
    unlike = world.post()

    def prove(later: Posted, earlier: Posted) -> None:
        world.disputes.send(
            world.challenger.address,
            "proveReplay",
            later.id,
            later.claim,
            earlier.id,
            earlier.claim,
        )

    for later, earlier in ((first, second), (first, first), (copy, first), (first, copy)):
        with refused("NoContradiction"):
            prove(later, earlier)
    with refused("NoContradiction"):
        prove(unlike, first)
    with refused("InvalidClaim"):
        world.disputes.send(
            world.challenger.address,
            "proveReplay",
            second.id,
            second.claim,
            first.id,
            second.claim,
        )
    prove(second, first)
    assert slashed_for(world) == REPLAY
    assert (world.status(first), world.status(second)) == (PENDING, SLASHED)


def test_of_two_in_one_block_one_is_at_fault(world: World) -> None:
    """In one block the greater identifier is the later: never both."""
    pair = [world.post(world.members(evidence=b"\7" * 32)) for _ in range(2)]
    low, high = sorted(pair, key=lambda one: one.id)
    send, who = world.disputes.send, world.challenger.address
    with refused("NoContradiction"):
        send(who, "proveReplay", low.id, low.claim, high.id, high.claim)
    send(who, "proveReplay", high.id, high.claim, low.id, low.claim)
    assert (world.status(low), world.status(high)) == (PENDING, SLASHED)


def artifact(world: World, posted: Posted, index: int, data: bytes) -> None:
    """Show an artefact's bytes to a receipt."""
    world.disputes.send(
        world.challenger.address,
        "proveArtifactMismatch",
        posted.id,
        posted.claim,
        *posted.tree.proof(index),
        data,
    )


def test_bytes_of_another_size(world: World) -> None:
    """An entry that names a size which the bytes with its hash do not have ends the receipt."""
    lie = Tree([entry("artifacts/a", b"four"), entry("artifacts/b", b"three!", size=5)])
    posted = world.post(world.members(lie), tree=lie)
    with refused("NoContradiction"):
        artifact(world, posted, 0, b"four")
    with refused("NoContradiction"):  # other bytes prove nothing
        artifact(world, posted, 1, b"five!")
    with refused("InvalidProof"):
        world.disputes.send(
            world.challenger.address,
            "proveArtifactMismatch",
            posted.id,
            posted.claim,
            *lie.proof(1)[:3],
            entry("artifacts/b", b"three!", size=7),
            lie.path(1),
            b"three!",
        )
    artifact(world, posted, 1, b"three!")
    assert slashed_for(world) == MISMATCH


GOOD = entry("artifacts/a.txt", b"x")
GOOD_HEX = sha256(b"x").hexdigest().encode()


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{}",
        GOOD[:-1],
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.replace(b'"bytes":1', b'"bytes":01'),
        GOOD.replace(b'"bytes":1', b'"bytes":-1'),
        GOOD.replace(b'"bytes":1', b'"bytes":'),
        GOOD.replace(b'"bytes":1', b'"bytes":1.0'),
        GOOD.replace(b'"bytes":1', b'"bytes":123456789012345678901'),
        GOOD.replace(b'"contentType"', b'"contenttype"'),
        GOOD.replace(b'"bytes":1', b'"bytes":1/'),
        GOOD.replace(b'"bytes":1', b'"bytes":1:'),
        GOOD.replace(b'{"bytes"', b'{"bytez"'),
        GOOD[:10],
        b'{"bytes":11,"contentType":","sha256":"' + GOOD_HEX + b'"}',  # one quote for two
        *(GOOD.replace(GOOD_HEX, c * 64) for c in (b"F", b"g", b"`", b"/", b":")),
        GOOD.replace(b'"sha256"', b'"sha512"'),
        GOOD[:-1] + b"]",
    ],
)
def test_what_is_no_entry(world: World, bad: bytes) -> None:
    """A leaf that has not the form of an entry is a contradiction in itself."""
    tree = Tree([GOOD, bad])
    posted = world.post(world.members(tree), tree=tree)
    with refused("NoContradiction"):
        artifact(world, posted, 0, b"y")
    artifact(world, posted, 1, b"")
    assert slashed_for(world) == MISMATCH


@pytest.mark.parametrize("size", [0, 1, 9, 10, 16_384])
def test_honest_entries_contradict_nothing(world: World, size: int) -> None:
    """Entries of any size, and paths that look like JSON, pass."""
    data = b"x" * size
    tree = Tree([entry('artifacts/"sha256":"\\.txt', data), entry("artifacts/é/✓", data)])
    posted = world.post(world.members(tree), tree=tree)
    for index in (0, 1):
        with refused("NoContradiction"):
            artifact(world, posted, index, data)


def said(world: World, tree: Tree = SMALL, **changes: object) -> tuple[Posted, bytes]:
    """Post a receipt whose manifest says something else."""
    members = world.members(tree)
    text = manifest(members, tree, **changes)
    return world.post(members.but(evidence=sha256(text).digest()), tree=tree), text


def mismatch(world: World, posted: Posted, text: bytes, member: int) -> None:
    """Show a manifest to its receipt."""
    count, root = (posted.tree.count, posted.tree.root) if member > 3 else NONE
    world.disputes.send(
        world.challenger.address,
        "proveManifestMismatch",
        posted.id,
        posted.claim,
        text,
        member,
        count,
        root,
    )


def test_an_honest_manifest_contradicts_nothing(world: World) -> None:
    """Whatever its texts hold, a manifest that agrees with its receipt passes."""
    trap = 'x","intentHash":"sha256:' + "0" * 64 + '","policyHash":null,{[\\'
    posted, text = said(
        world,
        error=trap,
        aaa=[{"intentHash": "x", "head": 1, "artifactCount": 77, "artifactsRoot": "no"}],
        environment={"policyHash": "sha256:" + "1" * 64, "receiptChain": {"head": "other"}},
    )
    for member in (0, 1, 2, 3, 4, 5, 255):
        with refused("NoContradiction"):
            mismatch(world, posted, text, member)
    with refused("InvalidProof"):
        mismatch(world, posted, text + b" ", 1)
    with refused("InvalidProof"):
        world.disputes.send(
            world.challenger.address,
            "proveManifestMismatch",
            posted.id,
            posted.claim,
            text,
            4,
            posted.tree.count + 1,
            posted.tree.root,
        )


def test_a_run_without_receipts_binds_none(world: World) -> None:
    """No receipt chain and an empty route agree; no receipt chain and a head do not."""
    members = world.members(route=b"\0" * 32)
    text = manifest(members, SMALL, receiptChain=None)
    posted = world.post(members.but(evidence=sha256(text).digest()))
    with refused("NoContradiction"):
        mismatch(world, posted, text, 3)
    posted, text = said(world, receiptChain=None)
    mismatch(world, posted, text, 3)
    assert slashed_for(world) == MISMATCH


OTHER = "sha256:" + "7" * 64


@pytest.mark.parametrize(
    ("member", "changes"),
    [
        (1, {"intentHash": OTHER}),
        (1, {"intentHash": None}),
        (1, {"intentHash": ...}),
        (1, {"intentHash": {"intentHash": "x"}}),
        (2, {"policyHash": OTHER}),
        (2, {"policyHash": "sha512:" + "c0" * 32}),
        (3, {"receiptChain": {"chainId": "run", "head": OTHER, "length": 1}}),
        (3, {"receiptChain": {"chainId": "run", "length": 1}}),
        (3, {"receiptChain": ...}),
        (3, {"receiptChain": ..., "z": {"receiptChain": {"head": "sha256:" + "a0" * 32}}}),
        (3, {"receiptChain": []}),
        (4, {"artifactCount": 4}),
        (4, {"artifactCount": 55}),
        (4, {"artifactCount": "5"}),
        (4, {"artifactCount": ...}),
        (4, {"artifactsRoot": OTHER}),
        (4, {"artifactsRoot": ...}),
    ],
)
def test_a_manifest_that_says_something_else(
    world: World, member: int, changes: dict[str, Any]
) -> None:
    """Another intent, policy, chain head, count or root, or none at all, ends the receipt."""
    posted, text = said(world, **changes)
    for other in {1, 2, 3, 4} - {member}:
        with refused("NoContradiction"):
            mismatch(world, posted, text, other)
    number = world.ask(posted, MANIFEST)
    send, me = world.disputes.send, world.operator.address
    with refused("InvalidProof"):
        send(me, "answerManifest", number, posted.claim, text, *OUTCOME)
    mismatch(world, posted, text, member if "receiptChain" in changes else 5)
    assert slashed_for(world) == MISMATCH


NEARLY = b'{"intentHash":'


@pytest.mark.parametrize(
    "text", [b"", b"no JSON", b"]", b'"intentHash":', b"{" * 9, b'{"a":"', NEARLY]
)
def test_what_is_no_manifest(world: World, text: bytes) -> None:
    """Bytes that are no manifest say nothing of what they must, and that is enough."""
    members = world.members(evidence=sha256(text).digest())
    posted = world.post(members)
    mismatch(world, posted, text, 1)
    assert slashed_for(world) == MISMATCH


@pytest.mark.parametrize("before", [b" ", b"{}", b"5", b'{"intentHash":"sha256:0",'])
def test_what_stands_before_a_manifest(world: World, before: bytes) -> None:
    """Only the first object is read, from the first byte on; and of two members the first."""
    members = world.members()
    honest = manifest(members, SMALL)
    text = before + (honest[1:] if before.endswith(b",") else honest)
    posted = world.post(members.but(evidence=sha256(text).digest()))
    mismatch(world, posted, text, 1)
    assert slashed_for(world) == MISMATCH


def test_texts_of_any_length(world: World) -> None:
    """Wherever in a word a text ends, or holds a quote, what follows it is found."""
    for size in range(34):
        text = "x" * size
        # A cent sign ends in 0xA2: a quote, but for the highest bit.
        posted, told = said(world, aa=[text, text + '"intentHash":', text + "\\", text + "¢"])
        with refused("NoContradiction"):
            mismatch(world, posted, told, 1)


def test_the_largest_manifest(world: World) -> None:
    """16 KiB are read to the end within a block's gas, and answered with for much less."""
    members = world.members()
    text = manifest(members, SMALL)
    text = manifest(members, SMALL, fill="x" * (16_384 - len(text) - len('"fill":"",')))
    assert len(text) == 16_384
    posted = world.post(members.but(evidence=sha256(text).digest()))
    with refused("NoContradiction"):
        mismatch(world, posted, text, 3)
    with refused(""):
        mismatch(world, posted, text + b"x", 3)
    number = world.ask(posted, MANIFEST)
    send, me = world.disputes.send, world.operator.address
    send(me, "answerManifest", number, posted.claim, text, *OUTCOME)
    assert world.machine.gas < 2_500_000


def settle(world: World, posted: Posted, index: int) -> None:
    """Prove a settlement."""
    world.disputes.send(
        world.stranger.address,
        "proveSettlement",
        posted.id,
        posted.claim,
        *posted.tree.proof(index),
    )


SETTLED = Tree(
    [entry("artifacts/notsettlement.json", b"n"), entry("artifacts/settlement.json", b"paid")]
)


def timeout(world: World, posted: Posted) -> None:
    """Say that a settlement is overdue."""
    world.disputes.send(world.challenger.address, "proveTimeout", posted.id, posted.claim)


def test_a_promised_settlement_that_is_not_proven(world: World) -> None:
    """After the expiry and before the deadline, anyone ends it."""
    members = world.members(SETTLED, expiry=world.machine.now + HOUR)
    posted = world.post(members, tree=SETTLED)
    with refused("SettlementWindowActive"):
        timeout(world, posted)
    world.machine.tick(HOUR)
    with refused("SettlementWindowActive"):
        timeout(world, posted)
    world.machine.tick(1)
    with refused("ReceiptExpired"):
        settle(world, posted, 1)
    timeout(world, posted)
    assert slashed_for(world) == TIMEOUT


def test_a_settlement_is_an_entry_of_the_outcome(world: World) -> None:
    """Not any word proves it: an entry of that name, under the committed root, in time, once."""
    members = world.members(SETTLED, expiry=world.machine.now + HOUR)
    posted = world.post(members, tree=SETTLED)
    with refused("InvalidProof"):
        settle(world, posted, 0)
    with refused("InvalidProof"):
        world.disputes.send(
            world.operator.address,
            "proveSettlement",
            posted.id,
            posted.claim,
            *SETTLED.proof(1)[:3],
            entry("artifacts/settlement.json", b"other"),
            SETTLED.path(1),
        )
    settle(world, posted, 1)
    with refused("NothingToSettle"):
        settle(world, posted, 1)
    world.machine.tick(HOUR + 1)
    with refused("NoContradiction"):
        timeout(world, posted)
    world.machine.tick(HOUR)
    world.hub.send(world.stranger.address, "finalize", posted.id)


def test_nothing_promised_is_never_overdue(world: World) -> None:
    """Without an expiry there is nothing to settle and nothing to miss."""
    posted = world.post(world.members(SETTLED), tree=SETTLED)
    with refused("NothingToSettle"):
        settle(world, posted, 1)
    with refused("NoContradiction"):
        timeout(world, posted)


def test_an_unanswered_question_ends_a_receipt(world: World) -> None:
    """One day to answer; then anyone slashes, and the bond comes back."""
    posted = world.post_typed()
    for value in (0, CHALLENGE - 1, CHALLENGE + 1):
        with refused("InsufficientChallengerBond"):
            world.ask(posted, value=value)
    number = world.ask(posted, 3)
    assert world.status(posted) == DISPUTED
    world.machine.tick(DAY)
    with refused("ResponseWindowActive"):
        world.disputes.send(world.stranger.address, "resolve", number)
    world.machine.tick(1)
    with refused("ResponseWindowClosed"):
        world.answer(number, posted, 3)
    with refused("ReceiptNotPending"):
        world.hub.send(world.stranger.address, "finalize", posted.id)
    world.disputes.send(world.stranger.address, "resolve", number)
    with refused("DisputeAlreadyResolved"):
        world.disputes.send(world.stranger.address, "resolve", number)
    assert world.status(posted) == SLASHED
    assert world.claimable(world.challenger.address) == CHALLENGE + STAKE * 12 // 100
    assert world.claimable(world.requester.address) == STAKE * 64 // 100
    assert world.claimable(world.treasury.address) == STAKE * 4 // 100
    assert world.claimable(BURN) == STAKE * 20 // 100
    world.check_solvency()


def test_the_share_of_nobody_is_burned(world: World) -> None:
    """A receipt in the source's form names no requester: that share goes to nobody."""
    posted = world.post()
    number = world.ask(posted)
    world.machine.tick(DAY + 1)
    world.disputes.send(world.stranger.address, "resolve", number)
    assert world.claimable(BURN) == STAKE * 84 // 100
    assert world.claimable(world.challenger.address) == CHALLENGE + STAKE * 12 // 100


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 9, 64, 100])
def test_every_entry_can_be_shown(world: World, count: int) -> None:
    """In trees of any shape each entry answers for its own index, and for no other."""
    tree = Tree([entry(f"artifacts/{n}", b"%d" % n) for n in range(count)])
    posted = world.post(world.members(tree), tree=tree)
    for index in sorted({0, 1, count // 2, count - 1} & set(range(count))):
        number = world.ask(posted, index)
        if count > 1:
            other = (index + 1) % count
            with refused("InvalidProof"):
                world.answer(number, posted, other)
        world.answer(number, posted, index)
        assert world.status(posted) == PENDING
    world.check_solvency()


def test_a_question_beyond_the_count_is_answered_by_the_count(world: World) -> None:
    """There is no such entry: count and root say so, for the empty tree too."""
    for tree in (SMALL, Tree([])):
        posted = world.post(world.members(tree), tree=tree)
        number = world.ask(posted, tree.count)
        send, me = world.disputes.send, world.operator.address
        with refused("InvalidProof"):
            send(me, "answerEntry", number, posted.claim, tree.count, b"\7" * 32, b"", [])
        with refused("InvalidProof"):
            send(
                me, "answerEntry", number, posted.claim, max(tree.count - 1, 1), tree.root, b"", []
            )
        send(me, "answerEntry", number, posted.claim, tree.count, tree.root, b"", [])
        assert world.status(posted) == PENDING
    world.check_solvency()


def test_the_manifest_itself_can_be_asked_for(world: World) -> None:
    """The index that is below no count asks for the manifest, and only that answers."""
    posted, text = said(world)
    number = world.ask(posted, MANIFEST)
    send, me = world.disputes.send, world.operator.address
    with refused("InvalidDisputeReason"):
        world.answer(number, posted)
    with refused("InvalidProof"):
        send(me, "answerManifest", number, posted.claim, text + b"\n", *OUTCOME)
    for wrong in ((SMALL.count + 1, SMALL.root), (SMALL.count, b"\7" * 32)):
        with refused("InvalidProof"):
            send(me, "answerManifest", number, posted.claim, text, *wrong)
    send(me, "answerManifest", number, posted.claim, text, *OUTCOME)
    number = world.ask(posted)
    with refused("InvalidDisputeReason"):
        send(me, "answerManifest", number, posted.claim, text, *OUTCOME)
    world.machine.tick(DAY + 1)
    with refused("ResponseWindowClosed"):
        world.answer(number, posted)


@pytest.mark.parametrize(
    "changes",
    [
        {"intentHash": "sha256:" + "7" * 64},
        {"policyHash": None},
        {"receiptChain": None},
        {"artifactCount": 4},
    ],
)
def test_a_manifest_that_contradicts_is_no_answer(world: World, changes: dict[str, Any]) -> None:
    """Whoever waits with it until no proof is in time any more has not answered, and is slashed."""
    posted, text = said(world, **changes)
    number = world.ask(posted, MANIFEST)
    world.machine.tick(HOUR + 1)
    send, me = world.disputes.send, world.operator.address
    with refused("InvalidProof"):
        send(me, "answerManifest", number, posted.claim, text, *OUTCOME)
    world.machine.tick(DAY)
    send(me, "resolve", number)
    assert world.status(posted) == SLASHED


def test_what_is_no_entry_is_no_answer(world: World) -> None:
    """A leaf without the form of an entry answers nothing, also after the deadline."""
    tree = Tree([b"no entry", *SMALL.entries])
    posted = world.post(world.members(tree), tree=tree)
    bad, good = world.ask(posted, 0), world.ask(posted, 1)
    world.machine.tick(HOUR + 1)
    with refused("InvalidProof"):
        world.answer(bad, posted, 0)
    world.answer(good, posted, 1)
    world.machine.tick(DAY)
    world.disputes.send(world.stranger.address, "resolve", bad)
    assert world.status(posted) == SLASHED


def test_an_answered_question_costs_the_challenger(world: World) -> None:
    """Half of the bond goes to the solver, half is burned; the receipt is pending again."""
    posted = world.post()
    number = world.ask(posted)
    world.answer(number, posted)
    assert world.status(posted) == PENDING
    assert world.claimable(world.operator.address) == CHALLENGE // 2
    assert world.claimable(BURN) == CHALLENGE // 2
    with refused("DisputeAlreadyResolved"):
        world.answer(number, posted)
    with refused("DisputeAlreadyResolved"):
        world.disputes.send(world.stranger.address, "resolve", number)
    with refused("DisputeNotFound"):
        world.disputes.send(world.stranger.address, "resolve", number + 1)
    world.machine.tick(HOUR + 1)
    world.hub.send(world.stranger.address, "finalize", posted.id)
    assert world.status(posted) == FINALIZED
    world.check_solvency()


def test_several_challengers_share_one_stake(world: World) -> None:
    """All may ask; the first that wins takes the stake, the others get their bonds back."""
    posted = world.post()
    first, second, third = (world.ask(posted, n) for n in range(3))
    world.answer(first, posted, 0)
    assert world.status(posted) == DISPUTED
    assert world.hub.view("lockOf", posted.id) == STAKE
    world.machine.tick(DAY + 1)
    with refused("ReceiptNotPending"):
        world.hub.send(world.stranger.address, "finalize", posted.id)
    world.disputes.send(world.stranger.address, "resolve", third)
    before = world.claimable(world.challenger.address)
    world.disputes.send(world.stranger.address, "resolve", second)
    assert world.claimable(world.challenger.address) == before + CHALLENGE
    assert world.bond() == 100 * STAKE - STAKE
    assert world.registry.record("getSolver", world.solver)["strikes"] == 1
    world.check_solvency()


def test_an_answer_after_a_proof_is_moot(world: World) -> None:
    """Where a proof ended the receipt meanwhile, an answer gives the asker's bond back."""
    posted = world.post()
    number = world.ask(posted)
    equivocation(world, posted, posted.members.but(outcome=b"\7" * 32))
    with refused("ReceiptNotPending"):
        equivocation(world, posted, posted.members.but(outcome=b"\7" * 32))
    before = world.claimable(world.challenger.address)
    world.answer(number, posted)
    assert world.claimable(world.challenger.address) == before + CHALLENGE
    assert world.status(posted) == SLASHED
    world.check_solvency()


def test_claims_are_checked(world: World) -> None:
    """Whoever disputes brings the members; other members, or another form, are refused."""
    legacy, typed = world.post(), world.post_typed()
    send, who = world.disputes.send, world.challenger.address
    for posted, claim in (
        (legacy, legacy.members.but(route=b"\7" * 32).claim),
        (legacy, (*legacy.claim[:8], who, 0, b"\0" * 32)),
        (typed, typed.members.but(requester=who).claim),
        (typed, typed.members.but(volume=1).claim),
        (typed, legacy.claim),
    ):
        with refused("InvalidClaim"):
            send(who, "challengeAvailability", posted.id, claim, 0, value=CHALLENGE)
        with refused("InvalidClaim"):
            send(who, "proveTimeout", posted.id, claim)
    with refused("ReceiptNotFound"):
        send(who, "challengeAvailability", b"\7" * 32, legacy.claim, 0, value=CHALLENGE)


def test_proofs_hold_while_disputed_but_not_after_the_deadline(world: World) -> None:
    """A question of somebody's own locks no honest challenger out; the deadline does."""
    posted, late = world.post(), world.post()
    world.ask(posted)
    equivocation(world, posted, posted.members.but(outcome=b"\7" * 32))
    assert world.status(posted) == SLASHED
    world.ask(late)
    world.machine.tick(HOUR + 1)
    with refused("ChallengeWindowExpired"):
        equivocation(world, late, late.members.but(outcome=b"\7" * 32))


def test_the_canonical_form_of_these_tests_is_the_house_s() -> None:
    """The entries and manifests above are RFC 8785, as the package writes it."""
    from tallystick.crypto.canonical import canonicalize

    value = {"b": ['a "quoted" \\ é ✓'], "a": {"z": 1, "y": None}}
    assert canonical(value) == canonicalize(value)


def test_a_question_has_its_reason(world: World) -> None:
    """The hub tells the reason by which the module opened a dispute."""
    world.ask(world.post())
    told = {event.name: event.values for event in world.machine.events()}
    assert told["DisputeOpened"]["reason"] == AVAILABILITY


FORGED = Tree([entry("artifacts/settlement.json", b"paid"), entry("artifacts/x", b"x", size=9)])


def test_a_tree_must_be_the_committed_one(world: World) -> None:
    """Proofs under another count or root, however sound in themselves, prove nothing."""
    posted = world.post(world.members(SETTLED, expiry=world.machine.now + HOUR), tree=SETTLED)
    number = world.ask(posted)
    send, who = world.disputes.send, world.challenger.address
    with refused("InvalidProof"):
        send(
            who,
            "proveArtifactMismatch",
            posted.id,
            posted.claim,
            *FORGED.proof(1),
            b"x",
        )
    with refused("InvalidProof"):
        send(who, "proveSettlement", posted.id, posted.claim, *FORGED.proof(0))
    count, root, _, leaf, path = FORGED.proof(0)
    with refused("InvalidProof"):
        send(who, "answerEntry", number, posted.claim, count, root, leaf, path)


def test_every_ground_checks_the_claim(world: World) -> None:
    """Members of a liar's making convict no honest receipt, and clear no lying one."""
    honest = world.post(world.members(SETTLED, expiry=world.machine.now + HOUR), tree=SETTLED)
    forged = honest.members.but(outcome=FORGED.outcome, evidence=sha256(b"x").digest()).claim
    first, second = world.ask(honest), world.ask(honest, MANIFEST)
    send, who = world.disputes.send, world.challenger.address
    count, root, _, leaf, path = FORGED.proof(0)
    for name, arguments in (
        ("proveArtifactMismatch", (honest.id, forged, *FORGED.proof(1), b"x")),
        ("proveManifestMismatch", (honest.id, forged, b"x", 1, *NONE)),
        ("proveSettlement", (honest.id, forged, *FORGED.proof(0))),
        ("answerEntry", (first, forged, count, root, leaf, path)),
        ("answerManifest", (second, forged, b"x", *NONE)),
        ("challengeSubjective", (honest.id, forged, b"\0" * 32)),
        (
            "proveEquivocation",
            (honest.id, forged, honest.claim, False, 0, who, b""),
        ),
    ):
        with refused("InvalidClaim"):
            send(who, name, *arguments)


def test_an_answer_counts_until_the_last_second(world: World) -> None:
    """At the due second an answer is in time; and a shown manifest ends the question."""
    posted, text = said(world)
    number, other = world.ask(posted, 2), world.ask(posted, MANIFEST)
    world.machine.tick(DAY)
    world.answer(number, posted, 2)
    assert world.status(posted) == DISPUTED
    send, me = world.disputes.send, world.operator.address
    send(me, "answerManifest", other, posted.claim, text, *OUTCOME)
    assert world.status(posted) == PENDING
    world.check_solvency()


def test_an_index_is_below_the_count(world: World) -> None:
    """The only entry of a tree answers for index 0, and not for the index after it."""
    one = Tree([entry("artifacts/a", b"x", size=9)])
    posted = world.post(world.members(one), tree=one)
    with refused("InvalidProof"):
        world.disputes.send(
            world.challenger.address,
            "proveArtifactMismatch",
            posted.id,
            posted.claim,
            *(1, one.root, 1, one.entries[0], []),
            b"x",
        )


def test_what_is_no_entry_settles_nothing(world: World) -> None:
    """A leaf that merely ends like a settlement's entry is none."""
    good = entry("artifacts/settlement.json", b"paid")
    tree = Tree([good.replace(b'{"bytes":4', b'{"bytes":x'), good])
    posted = world.post(world.members(tree, expiry=world.machine.now + HOUR), tree=tree)
    with refused("InvalidProof"):
        settle(world, posted, 0)
    settle(world, posted, 1)
