# SPDX-License-Identifier: Apache-2.0
"""Solvers: who they are, what they put down, and what time does to them."""

from __future__ import annotations

import pytest
from tests.contracts.receipts import register_digest, rotate_digest
from tests.contracts.refusals import refused
from tests.contracts.revm import BURN, DAY, ETHER, ZERO, account
from tests.contracts.world import (
    ACTIVE,
    BANNED,
    CHAIN,
    INACTIVE,
    JAILED,
    STAKE,
    World,
)


def solver(world: World) -> dict[str, object]:
    """Return what the registry keeps about the solver."""
    return world.registry.record("getSolver", world.solver)


def test_an_operator_must_sign_to_be_registered(world: World) -> None:
    """Nobody registers an address whose key did not consent, and no address twice."""
    victim, thief = account("victim"), account("thief")
    digest = register_digest(CHAIN, world.registry.address, victim.address, b"\1" * 32)
    send = world.registry.send
    with refused("InvalidConsent"):
        send(
            world.stranger.address, "registerSolver", victim.address, b"\1" * 32, thief.sign(digest)
        )
    with refused("InvalidConsent"):  # other metadata than was signed
        send(
            world.stranger.address,
            "registerSolver",
            victim.address,
            b"\2" * 32,
            victim.sign(digest),
        )
    assert world.register(victim) == (2).to_bytes(32, "big")
    with refused("SolverAlreadyRegistered"):
        world.register(victim)


def test_a_solver_is_active_by_its_bond(world: World) -> None:
    """The status follows the bond; it is never kept apart from it."""
    second = world.register(account("second"))
    assert world.registry.record("getSolver", second)["status"] == INACTIVE
    send = world.registry.send
    send(world.stranger.address, "depositBond", second, value=STAKE - 1)
    assert world.registry.record("getSolver", second)["status"] == INACTIVE
    send(world.stranger.address, "depositBond", second, value=1)
    assert [one.name for one in world.machine.events()] == ["BondDeposited", "SolverStatusChanged"]
    assert world.registry.record("getSolver", second)["status"] == ACTIVE
    with refused("ZeroAmount"):
        send(world.stranger.address, "depositBond", second)
    with refused("SolverNotFound"):
        send(world.stranger.address, "depositBond", b"\7" * 32, value=1)
    world.check_solvency()


def test_a_withdrawal_waits_and_expires(world: World) -> None:
    """A request carries its amount, is good for seven days after seven days, and only once."""
    send, me = world.registry.send, world.operator.address
    with refused("NotSolverOperator"):
        send(world.stranger.address, "requestWithdrawal", world.solver, ETHER)
    with refused("ZeroAmount"):
        send(me, "requestWithdrawal", world.solver, 0)
    with refused("BondLocked"):
        send(me, "requestWithdrawal", world.solver, 10 * ETHER + 1)
    with refused("NoWithdrawal"):
        send(me, "withdrawBond", world.solver)
    send(me, "requestWithdrawal", world.solver, 4 * ETHER)
    with refused("WithdrawalPending"):
        send(me, "requestWithdrawal", world.solver, 1)
    world.machine.tick(7 * DAY - 1)
    with refused("WithdrawalCooldownActive"):
        send(me, "withdrawBond", world.solver)
    world.machine.tick(7 * DAY + 2)
    with refused("WithdrawalExpired"):
        send(me, "withdrawBond", world.solver)
    send(me, "cancelWithdrawal", world.solver)
    with refused("NoWithdrawal"):
        send(me, "cancelWithdrawal", world.solver)
    send(me, "requestWithdrawal", world.solver, 10 * ETHER)
    world.machine.tick(7 * DAY)
    with refused("NotSolverOperator"):
        send(world.stranger.address, "withdrawBond", world.solver)
    send(me, "withdrawBond", world.solver)
    assert (world.bond(), world.claimable(me)) == (0, 10 * ETHER)
    assert solver(world)["status"] == INACTIVE
    before = world.machine.evm.get_balance(me)
    send(world.stranger.address, "claim", me)
    assert world.machine.evm.get_balance(me) == before + 10 * ETHER
    with refused("NothingToClaim"):
        send(me, "claim", me)
    world.check_solvency()


def test_a_request_backs_no_new_receipt(world: World) -> None:
    """What was asked back backs nothing new; what backs a receipt cannot be asked back."""
    world.post()
    with refused("BondLocked"):
        world.registry.send(
            world.operator.address, "requestWithdrawal", world.solver, 10 * ETHER - STAKE + 1
        )
    world.registry.send(
        world.operator.address, "requestWithdrawal", world.solver, 10 * ETHER - STAKE
    )
    with refused("InsufficientBondForVolume"):
        world.post()


def test_a_key_follows_another_after_two_days(world: World) -> None:
    """The new key consents, everyone has two days to see it, and both keep their intervals."""
    send, me, new = world.registry.send, world.operator.address, account("new key")
    world.machine.fund(new.address)
    digest = rotate_digest(CHAIN, world.registry.address, world.solver, new.address)
    with refused("NotSolverOperator"):
        send(new.address, "requestRotation", world.solver, new.address, new.sign(digest))
    with refused("InvalidConsent"):
        send(me, "requestRotation", world.solver, new.address, world.operator.sign(digest))
    with refused("NoRotation"):
        send(me, "completeRotation", world.solver)
    with refused("NoRotation"):
        send(me, "cancelRotation", world.solver)
    send(me, "requestRotation", world.solver, new.address, new.sign(digest))
    send(me, "cancelRotation", world.solver)
    send(me, "requestRotation", world.solver, new.address, new.sign(digest))
    asked = world.machine.now
    world.machine.tick(2 * DAY - 1)
    with refused("RotationNotReady"):
        send(world.stranger.address, "completeRotation", world.solver)
    world.machine.tick(1)
    send(world.stranger.address, "completeRotation", world.solver)
    view = world.registry.view
    assert view("operatorOf", world.solver) == new.address
    assert view("isKeyAt", world.solver, me, asked)
    assert not view("isKeyAt", world.solver, new.address, asked)
    world.machine.tick(1)
    assert not view("isKeyAt", world.solver, me, world.machine.now)
    assert view("isKeyAt", world.solver, new.address, world.machine.now)
    assert view("getSolverByOperator", me) == b"\0" * 32
    assert view("getSolverByOperator", new.address) == world.solver
    with refused("SolverAlreadyRegistered"):  # an address speaks for one solver, once
        world.register(world.operator)
    before = world.bond()
    world.machine.fund(new.address)
    send(new.address, "depositOwnBond", value=3)
    assert world.bond() == before + 3
    for other in (me, world.stranger.address):  # who no longer speaks for it, or never did
        with refused("NotSolverOperator"):
            send(other, "depositOwnBond", value=3)


def test_a_key_that_registered_meanwhile_does_not_follow(world: World) -> None:
    """A key that became a solver of its own is not taken over by an older request."""
    new = account("new key")
    digest = rotate_digest(CHAIN, world.registry.address, world.solver, new.address)
    world.registry.send(
        world.operator.address, "requestRotation", world.solver, new.address, new.sign(digest)
    )
    world.register(new)
    with refused("SolverAlreadyRegistered"):
        world.registry.send(
            world.operator.address, "requestRotation", world.solver, new.address, new.sign(digest)
        )
    world.machine.tick(2 * DAY)
    with refused("SolverAlreadyRegistered"):
        world.registry.send(world.stranger.address, "completeRotation", world.solver)


def test_strikes_jail_and_ban_by_themselves(world: World) -> None:
    """Each slashed receipt is a strike: seven days of jail, and the third is the last."""
    scores = [world.registry.view("reputation", world.solver)]
    for strike in (1, 2, 3):
        number = world.ask(world.post())
        world.machine.tick(DAY + 1)
        world.disputes.send(world.stranger.address, "resolve", number)
        found = solver(world)
        assert found["strikes"] == found["lost"] == strike
        assert found["status"] == (BANNED if strike == 3 else JAILED)
        scores.append(world.registry.view("reputation", world.solver))
        with refused("InvalidSolver"):
            world.post()
        world.machine.tick(7 * DAY)
    assert solver(world)["status"] == BANNED
    with refused("InvalidSolver"):
        world.post()
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == 4
    me = world.operator.address
    left = world.bond()
    world.registry.send(me, "requestWithdrawal", world.solver, left)
    world.machine.tick(7 * DAY)
    world.registry.send(me, "withdrawBond", world.solver)  # banned, not robbed
    assert world.claimable(me) == left


def test_finalising_raises_reputation(world: World) -> None:
    """Each finalised receipt raises the score, strictly."""
    scores = [world.registry.view("reputation", world.solver)]
    for _ in range(5):
        posted = world.post()
        world.machine.tick(3601)
        world.hub.send(world.stranger.address, "finalize", posted.id)
        scores.append(world.registry.view("reputation", world.solver))
    assert scores == sorted(set(scores))


def test_a_pause_stops_clock_and_actions_and_ends(world: World) -> None:
    """A pause stands between nobody and a claim, ends by itself, and cannot be chained."""
    send, owner = world.registry.send, world.owner.address
    posted = world.post()
    clock = world.registry.view("clock")
    deadline = world.hub.record("getPost", posted.id)["deadline"]
    with refused("NotOwner"):
        send(world.stranger.address, "pause")
    with refused("ExpectedPause"):
        send(owner, "unpause")
    world.machine.tick(1000)
    send(owner, "pause")
    with refused("PausedTooOften"):
        send(owner, "pause")
    world.machine.tick(5 * 3600)
    assert world.registry.view("clock") == clock + 1000
    assert world.registry.view("paused")
    for act in (
        world.post,
        lambda: world.ask(posted),
        lambda: world.hub.send(owner, "finalize", posted.id),
        lambda: send(owner, "depositBond", world.solver, value=1),
        lambda: world.register(account("another")),
    ):
        with refused("EnforcedPause"):
            act()
    send(owner, "unpause")
    assert world.hub.record("getPost", posted.id)["deadline"] == deadline
    world.ask(posted)  # the window goes on where it stopped
    with refused("PausedTooOften"):
        send(owner, "pause")
    world.machine.tick(30 * DAY)
    send(owner, "pause")
    clock = world.registry.view("clock")
    world.machine.tick(7 * DAY - 1)
    assert world.registry.view("paused") and world.registry.view("clock") == clock
    world.machine.tick(11)
    assert not world.registry.view("paused") and world.registry.view("clock") == clock + 10
    with refused("ExpectedPause"):
        send(owner, "unpause")
    with refused("PausedTooOften"):
        send(owner, "pause")
    world.machine.tick(23 * DAY)
    before = world.registry.view("clock")
    send(owner, "pause")  # over one that ended by itself
    assert world.registry.view("clock") == before


def test_the_owner_hands_over_in_two_steps(world: World) -> None:
    """An heir must accept; nobody else can."""
    send, heir = world.registry.send, account("heir").address
    with refused("NotOwner"):
        send(world.stranger.address, "offerOwnership", heir)
    with refused("NotOwner"):
        send(ZERO, "acceptOwnership")
    send(world.owner.address, "offerOwnership", heir)
    with refused("NotOwner"):
        send(world.stranger.address, "acceptOwnership")
    send(heir, "acceptOwnership")
    with refused("NotOwner"):
        send(world.owner.address, "pause")
    send(heir, "pause")


def test_modules_are_named_once(world: World) -> None:
    """Whoever may reserve and slash is fixed for ever."""
    with refused("AlreadyWired"):
        world.registry.send(world.owner.address, "wire", world.owner.address, world.hub.address)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reserve", (b"\0" * 31 + b"\1", 0)),
        ("release", (b"\0" * 31 + b"\1", b"\0" * 32, 0, True)),
        ("slash", (b"\0" * 31 + b"\1", b"\0" * 32, 1, ZERO, BURN)),
        ("escrow", ()),
        ("credit", (BURN, 0)),
    ],
)
def test_only_modules_move_money(world: World, name: str, arguments: tuple[object, ...]) -> None:
    """Not the owner, not the operator, not anybody."""
    for who in (world.owner, world.operator, world.treasury, world.stranger):
        with refused("NotAuthorized"):
            world.registry.send(who.address, name, *arguments)
