# SPDX-License-Identifier: Apache-2.0
"""Whoever reads the events knows all that the contracts keep, and needs to ask them nothing."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.contracts.drive import JUDGES, Drive, Seen
from tests.contracts.indexer import Index
from tests.contracts.receipts import rotate_digest
from tests.contracts.revm import DAY, ETHER, HOUR, Machine, account
from tests.contracts.test_arbitration import Case, challenge
from tests.contracts.test_grounds import said
from tests.contracts.test_machine import BURSTS
from tests.contracts.world import MANIFEST, World, deployed

ROUNDS = 60
CALLS = 50
TOLD_MIN = 1000  # events


class Listening(Machine):
    """A machine whose every event an index hears, constructors' included."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.heard: set[str] = set()
        self.count = 0

    def listen(self) -> None:
        """Pass on what was told."""
        told = self.events()
        self.heard |= {one.name for one in told}
        self.count += len(told)
        self.index.hear(told, self.now)


def record(world: World, solver: bytes) -> tuple[Any, ...]:
    """Return what the registry keeps about a solver."""
    registry = world.registry
    return (
        tuple(registry.view("getSolver", solver)),
        tuple(registry.view("withdrawals", solver)),
        tuple(registry.view("rotations", solver)),
        world.hub.view("solverNonces", solver),
    )


def compare_solvers(world: World, index: Index) -> None:
    """Compare solvers, keys, money and the clock."""
    registry, now = world.registry, world.machine.now
    assert registry.view("totalSolvers") == len(index.solvers)
    for solver_id, one in index.solvers.items():
        found = (
            one.operator,
            one.status(index.clock(now)),
            one.strikes,
            one.registered_at,
            one.jailed_until,
            one.bond,
            one.reserved,
            one.finalized,
            one.lost,
        )
        expected = (found, one.withdrawal, one.rotation, index.nonces[solver_id])
        assert record(world, solver_id) == expected
    for key, interval in index.keys.items():
        assert tuple(registry.view("keys", key)) == interval
    for owed, amount in index.claimable.items():
        assert registry.view("claimable", owed) == amount
    totals = (index.bonded, index.escrowed, sum(index.claimable.values()))
    names = ("totalBonded", "totalEscrowed", "totalClaimable")
    assert tuple(registry.view(name) for name in names) == totals
    assert registry.view("clock") == index.clock(now)
    for name in ("owner", "heir", "hub", "disputes"):
        assert registry.view(name) == index.named[name]
    assert world.hub.view("challengeWindow") == index.named["challengeWindow"]


def compare_posts(world: World, index: Index) -> None:
    """Compare posts, and which intent has which."""
    for receipt_id, one in index.posts.items():
        found = world.hub.record("getPost", receipt_id)
        assert tuple(found.values()) == (
            one.status,
            one.requester is not None,
            one.expiry > 0,
            one.settled,
            one.unresolved,
            one.open,
            one.solver,
            one.posted_at,
            one.deadline,
            one.expiry,
            one.volume,
            one.stake,
        )
        assert world.hub.view("receiptOf", one.solver, one.intent) == receipt_id


def compare_disputes(world: World, index: Index) -> None:
    """Compare disputes, panels, votes and arbitrators."""
    module = world.disputes
    assert module.view("totalDisputes") == len(index.disputes)
    for number, one in index.disputes.items():
        told = one.values
        post = index.posts[told["receiptId"]]
        is_case = "revealUntil" in told
        assert tuple(module.view("disputes", number)) == (
            told["receiptId"],
            post.solver,
            told["challenger"],
            post.requester or "0x" + "00" * 20,
            8 if is_case else 9,
            one.state,
            told["bond"],
            told.get("index", 0),
            told["revealUntil" if is_case else "dueAt"],
            told.get("evidenceUntil", 0),
            told.get("commitUntil", 0),
            one.seed_block,
            one.drawn,
            len(one.votes),
        )
        assert tuple(module.view("panelOf", number)) == one.panel
        for judge, commitment in one.commitments.items():
            assert module.view("commitments", number, judge) == commitment
            assert module.view("votes", number, judge) == one.votes.get(judge, 0)
    for judge, kept in index.arbitrators.items():
        assert list(module.view("arbitrators", judge)) == kept
    assert list(module.view("arbitratorPool")) == index.pool


def hear_a_case(world: World) -> None:
    """A case whose seed was too old, with two votes and one of them opened: unresolved."""
    machine, send = world.machine, world.disputes.send
    people = {one.address: one for one in (*JUDGES, *world.arbitrators())}
    posted = world.post()
    number = challenge(world, posted)
    send(world.operator.address, "submitEvidence", number, b"\6" * 32, "https://e.example/a.pdf")
    machine.number += 300
    for _ in range(2):  # the first one is too old
        machine.tick(12)
        machine.tick(12)
        send(world.stranger.address, "drawPanel", number)
    panel = [people[one] for one in world.disputes.view("panelOf", number)]
    case = Case(world, posted, number, panel)
    machine.tick(DAY)
    for one in panel[:2]:
        case.commit(one, fault=True)
    machine.tick(4 * DAY)
    case.reveal(panel[0], fault=True)
    send(world.owner.address, "dismissArbitrator", panel[2].address)
    machine.tick(4 * DAY)
    case.resolve()
    send(panel[2].address, "leave")


def bring_about_the_rest(world: World) -> None:
    """Make the contracts tell what calls at random make them tell too seldom."""
    machine, owner = world.machine, world.owner.address
    machine.tick(60 * DAY)
    world.operator = account("one more")
    world.solver = world.register(world.operator, ETHER)
    me, heir, registry = world.operator.address, account("heir"), world.registry
    consent = rotate_digest(machine.chain, registry.address, world.solver, heir.address)
    registry.send(me, "requestRotation", world.solver, heir.address, heir.sign(consent))
    registry.send(me, "cancelRotation", world.solver)
    world.hub.send(owner, "setChallengeWindow", 2 * HOUR)
    posted, text = said(world)
    number = world.ask(posted, MANIFEST)
    outcome = (posted.tree.count, posted.tree.root)
    world.disputes.send(me, "answerManifest", number, posted.claim, text, *outcome)
    hear_a_case(world)
    registry.send(owner, "pause")
    machine.tick(HOUR)
    registry.send(owner, "unpause")
    machine.tick(HOUR)
    registry.send(owner, "offerOwnership", world.stranger.address)


def test_events_tell_all_state() -> None:
    """After hundreds of calls of all kinds, what was rebuilt is what the contracts keep."""
    machine = Listening()
    world = deployed(machine=machine)
    drive = Drive(Seen(), world)
    drive.random = Random(7)
    for turn in range(ROUNDS):
        drive.tick(drive.random.choice([12, 600, HOUR, DAY // 2, DAY]))
        if turn % 15 == 14:
            drive.pause()
        for name in drive.random.choices(list(BURSTS), list(BURSTS.values()), k=CALLS):
            if name == "post_typed":
                drive.post(typed=True)
            else:
                getattr(drive, name)()
    bring_about_the_rest(world)
    for compare in (compare_solvers, compare_posts, compare_disputes):
        compare(world, machine.index)
    world.registry.send(world.stranger.address, "acceptOwnership")
    compare_solvers(world, machine.index)
    assert machine.count > TOLD_MIN
    known = {name for kind in machine.contracts.values() for name, _ in kind.events.values()}
    assert known == machine.heard
