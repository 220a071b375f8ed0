# SPDX-License-Identifier: Apache-2.0
"""Receipts: how they are posted, and how they end."""

from __future__ import annotations

import pytest
from tests.contracts.receipts import LOCATION
from tests.contracts.refusals import refused
from tests.contracts.revm import DAY, ETHER, HOUR, account
from tests.contracts.world import (
    CHAIN,
    FINALIZED,
    PENDING,
    STAKE,
    World,
)


def test_a_post_is_kept_and_told(world: World) -> None:
    """What the chain does not keep, its events tell: all members can be rebuilt from them."""
    members = world.members()
    posted = world.post(members, volume=7 * ETHER)
    told = {event.name: event.values for event in world.machine.events()}
    first, second = told["ReceiptPosted"], told["ReceiptRecorded"]
    assert posted.id == members.legacy_id() == first["receiptId"] == second["receiptId"]
    assert members.eight == (
        first["intentHash"],
        second["constraintsHash"],
        second["routeHash"],
        second["outcomeHash"],
        second["evidenceHash"],
        second["createdAt"],
        first["expiry"],
        first["solverId"],
    )
    post = world.hub.record("getPost", posted.id)
    assert post["solverId"] == world.solver and post["declaredVolume"] == 7 * ETHER
    assert post["stake"] == 7 * ETHER // 20 and post["deadline"] == world.machine.now + HOUR
    assert world.hub.view("receiptOf", world.solver, members.intent) == posted.id
    assert world.hub.view("solverNonces", world.solver) == 1
    assert world.hub.view("lockOf", posted.id) == 7 * ETHER // 20


def test_a_typed_post_is_kept_and_told(world: World) -> None:
    """The typed form is sent by anyone and tells requester, volume and location besides."""
    members = world.members(requester=world.requester.address, volume=3 * ETHER, location=LOCATION)
    posted = world.post_typed(members)
    told = {event.name: event.values for event in world.machine.events()}
    assert posted.id == members.typed_id(CHAIN, world.hub.address)
    second = told["TypedReceiptRecorded"]
    assert second["requester"] == world.requester.address and second["location"] == LOCATION
    assert second["declaredVolume"] == 3 * ETHER
    assert world.hub.record("getPost", posted.id)["typed"]


def test_each_member_is_signed(world: World) -> None:
    """A signature over other members is none: in both forms, whichever member differs."""
    signed = world.members(requester=world.requester.address, location=LOCATION)
    others = {
        "intent": b"\7" * 32,
        "constraints": b"\7" * 32,
        "route": b"\7" * 32,
        "outcome": b"\7" * 32,
        "evidence": b"\7" * 32,
        "created_at": signed.created_at - 1,
        "expiry": signed.created_at + 100,
    }
    legacy = world.operator.sign(signed.legacy_digest(CHAIN, world.hub.address, 0))
    typed = world.operator.sign(signed.typed_id(CHAIN, world.hub.address))
    for name, value in others.items():
        changed = signed.but(**{name: value})
        with refused("InvalidReceiptSignature"):
            world.hub.send(world.operator.address, "postReceipt", (*changed.eight, legacy), 0)
    for name, value in (others | {"requester": world.stranger.address, "volume": 1}).items():
        changed = signed.but(**{name: value})
        with refused("InvalidReceiptSignature"):
            world.hub.send(
                world.stranger.address, "postReceiptTyped", changed.claim, LOCATION, typed
            )


@pytest.mark.parametrize("fault", ["nonce", "chain", "hub", "key", "high s", "v", "short", "long"])
def test_a_signature_has_one_form(world: World, fault: str) -> None:
    """Another nonce, chain, hub or key, or another spelling of the same signature, is refused."""
    members = world.members()
    digest = members.legacy_digest(
        CHAIN + (fault == "chain"),
        world.registry.address if fault == "hub" else world.hub.address,
        int(fault == "nonce"),
    )
    signature = (world.stranger if fault == "key" else world.operator).sign(digest)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    if fault == "high s":
        high = order - int.from_bytes(signature[32:64], "big")
        signature = signature[:32] + high.to_bytes(32, "big") + bytes([55 - signature[64]])
    elif fault == "v":
        signature = signature[:64] + bytes([signature[64] - 27])
    elif fault == "short":
        signature = signature[:64]
    elif fault == "long":
        signature += b"\0"
    # What is longer than the source's 65 bytes is refused by the decoder, without a name.
    with refused("" if fault == "long" else "InvalidReceiptSignature"):
        world.hub.send(world.operator.address, "postReceipt", (*members.eight, signature), 0)


def test_only_the_operator_says_the_volume(world: World) -> None:
    """The source's form does not sign the volume; so nobody else may send it."""
    members = world.members()
    signature = world.operator.sign(members.legacy_digest(CHAIN, world.hub.address, 0))
    with refused("InvalidSolver"):
        world.hub.send(world.stranger.address, "postReceipt", (*members.eight, signature), 0)


def test_an_intent_is_posted_once(world: World) -> None:
    """One post for each solver and intent, in whichever form, however it ended."""
    posted = world.post()
    again = world.members(intent=posted.members.intent, location=LOCATION)
    with refused("ReceiptAlreadyExists"):
        world.post(again.but(location=None))
    with refused("ReceiptAlreadyExists"):
        world.post_typed(again)
    world.machine.tick(HOUR + 1)
    world.hub.send(world.stranger.address, "finalize", posted.id)
    with refused("ReceiptAlreadyExists"):
        world.post(again.but(location=None, created_at=world.machine.now))
    other = account("second")
    second = world.register(other, ETHER)
    world.post(world.members(intent=posted.members.intent, solver=second), operator=other)


def test_what_a_solver_says_about_time_is_compared(world: World) -> None:
    """`createdAt` must be near the block's time, and moves no deadline."""
    now = world.machine.now
    for created_at in (now - 601, now + 601, 0, 2**64 - 1, 2**64 - 3600):
        with refused("CreatedAtOutOfRange"):
            world.post(world.members(created_at=created_at))
    for created_at in (now - 600, now + 600):
        posted = world.post(world.members(created_at=created_at))
        assert world.hub.record("getPost", posted.id)["deadline"] == now + HOUR


def test_an_expiry_moves_the_deadline_behind_it(world: World) -> None:
    """A promised settlement can be asked for after it was due, in a window of its own."""
    now = world.machine.now
    for expiry in (1, now - 1, now):
        with refused("ReceiptExpired"):
            world.post(world.members(expiry=expiry))
    with refused("ExpiryTooFar"):
        world.post(world.members(expiry=now + 30 * DAY + 1))
    post = world.hub.record("getPost", world.post(world.members(expiry=now + 5 * HOUR)).id)
    assert post["promised"] and post["expiry"] == now + 5 * HOUR
    assert post["deadline"] == now + 6 * HOUR


def test_the_bond_bounds_what_is_open(world: World) -> None:
    """Each open receipt has its own stake, so their volumes stay below twenty bonds."""
    other = account("second")
    second = world.register(other, STAKE)
    posted = world.post(world.members(solver=second), volume=2 * ETHER, operator=other)
    with refused("InsufficientBondForVolume"):
        world.post(world.members(solver=second), operator=other)
    world.machine.tick(HOUR + 1)
    world.hub.send(world.stranger.address, "finalize", posted.id)
    with refused("InsufficientBondForVolume"):
        world.post(world.members(solver=second), volume=2 * ETHER + 1, operator=other)
    for volume in (2**96, 2**255, 2**256 - 1):
        with refused("InsufficientBondForVolume" if volume < 2**250 else ""):
            world.post(volume=volume)
    world.post(world.members(solver=second), volume=2 * ETHER, operator=other)


def test_a_batch_is_all_or_nothing(world: World) -> None:
    """Consecutive nonces; one that cannot be posted takes the others with it."""

    def signed(count: int) -> list[tuple[object, ...]]:
        made = [world.members() for _ in range(count)]
        first = world.hub.view("solverNonces", world.solver)
        return [
            (
                *one.eight,
                world.operator.sign(one.legacy_digest(CHAIN, world.hub.address, first + at)),
            )
            for at, one in enumerate(made)
        ]

    me = world.operator.address
    three = signed(3)
    with refused("InvalidBatch"):
        world.hub.send(me, "batchPostReceipts", three, [0, 0])
    with refused("InvalidBatch"):
        world.hub.send(me, "batchPostReceipts", [], [])
    with refused("InvalidReceiptSignature"):
        world.hub.send(me, "batchPostReceipts", [three[0], three[2]], [0, 0])
    ids = world.hub.send(me, "batchPostReceipts", three, [0, ETHER, 0])
    assert len(set(ids)) == 3 and world.hub.view("solverNonces", world.solver) == 3
    for one in ids:
        assert world.hub.record("getPost", one)["status"] == PENDING
    world.hub.send(me, "batchPostReceipts", signed(50), [0] * 50)
    with refused(""):
        world.hub.send(me, "batchPostReceipts", signed(51), [0] * 51)


def test_a_receipt_is_final_after_its_deadline(world: World) -> None:
    """Not at the deadline, right after it, once, by anyone."""
    posted = world.post()
    with refused("ReceiptNotFound"):
        world.hub.send(world.stranger.address, "finalize", b"\7" * 32)
    world.machine.tick(HOUR)
    assert not world.hub.view("canFinalize", posted.id)
    with refused("ChallengeWindowActive"):
        world.hub.send(world.stranger.address, "finalize", posted.id)
    world.machine.tick(1)
    assert world.hub.view("canFinalize", posted.id)
    with refused("ChallengeWindowExpired"):
        world.ask(posted)
    world.hub.send(world.stranger.address, "finalize", posted.id)
    assert [one.name for one in world.machine.events()] == ["ReceiptFinalized", "StakeReleased"]
    assert world.status(posted) == FINALIZED and world.hub.view("lockOf", posted.id) == 0
    with refused("ReceiptNotPending"):
        world.hub.send(world.stranger.address, "finalize", posted.id)
    assert world.registry.view("freeBond", world.solver) == 10 * ETHER


def test_a_window_is_set_for_receipts_to_come(world: World) -> None:
    """Live receipts keep their deadline; the bounds hold."""
    posted = world.post()
    with refused("NotOwner"):
        world.hub.send(world.stranger.address, "setChallengeWindow", HOUR)
    for window in (899, 901, 86_401, 0):
        with refused("InvalidWindow"):
            world.hub.send(world.owner.address, "setChallengeWindow", window)
    world.hub.send(world.owner.address, "setChallengeWindow", 900)
    assert world.hub.view("getChallengeWindow") == 900
    world.machine.tick(901)
    with refused("ChallengeWindowActive"):
        world.hub.send(world.stranger.address, "finalize", posted.id)
    shorter = world.post()
    world.machine.tick(901)
    world.hub.send(world.stranger.address, "finalize", shorter.id)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("openDispute", (b"\0" * 32, 8, "0x" + "11" * 20)),
        ("closeDispute", (b"\0" * 32, False)),
        ("slash", (b"\0" * 32, 8, "0x" + "11" * 20, "0x" + "11" * 20, True)),
        ("settle", (b"\0" * 32, "0x" + "11" * 20)),
    ],
)
def test_only_the_module_disputes(world: World, name: str, arguments: tuple[object, ...]) -> None:
    """The hub takes no ground on anybody's word."""
    for who in (world.owner, world.operator, world.stranger):
        with refused("NotAuthorized"):
            world.hub.send(who.address, name, *arguments)


def test_a_location_is_the_signed_one(world: World) -> None:
    """The location told is the one whose hash was signed."""
    members = world.members(requester=world.requester.address, location=LOCATION)
    signature = world.operator.sign(members.typed_id(CHAIN, world.hub.address))
    with refused("InvalidLocation"):
        world.hub.send(
            world.stranger.address, "postReceiptTyped", members.claim, LOCATION + "/", signature
        )
