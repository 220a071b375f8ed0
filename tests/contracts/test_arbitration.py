# SPDX-License-Identifier: Apache-2.0
"""What is a matter of judgement: panels, votes, fees, and silence."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from eth_abi.abi import encode as abi_encode
from eth_hash.auto import keccak
from tests.contracts.refusals import refused
from tests.contracts.revm import BURN, DAY, ETHER, HOUR, Account, account
from tests.contracts.world import (
    CHALLENGE,
    DISPUTED,
    FEE,
    PENALTY,
    PENDING,
    SLASHED,
    STAKE,
    UNRESOLVED,
    Posted,
    World,
)

COST = CHALLENGE + 3 * FEE
SALT = b"\5" * 32


@dataclass
class Case:
    """A subjective dispute with its panel."""

    world: World
    posted: Posted
    number: int
    panel: list[Account]

    def commit(self, who: Account, fault: bool, salt: bytes = SALT) -> None:
        """Commit a vote."""
        vote = abi_encode(
            ["uint256", "address", "bool", "bytes32"], (self.number, who.address, fault, salt)
        )
        self.world.disputes.send(who.address, "commitVote", self.number, keccak(vote))

    def reveal(self, who: Account, fault: bool, salt: bytes = SALT) -> None:
        """Open a vote."""
        self.world.disputes.send(who.address, "revealVote", self.number, fault, salt)

    def resolve(self) -> None:
        """Let a stranger end it."""
        self.world.disputes.send(self.world.stranger.address, "resolve", self.number)

    def stake(self, who: Account) -> int:
        """Return what an arbitrator still has."""
        return int(self.world.disputes.view("arbitrators", who.address)[0])


def challenge(world: World, posted: Posted, value: int = COST, who: Account | None = None) -> int:
    """Open a subjective dispute."""
    number: int = world.disputes.send(
        (who or world.challenger).address,
        "challengeSubjective",
        posted.id,
        posted.claim,
        b"\6" * 32,
        value=value,
    )
    return number


def opened(world: World, posted: Posted | None = None) -> Case:
    """Open a dispute and draw its panel."""
    people = world.arbitrators(5) if not world.disputes.view("arbitratorPool") else []
    people = people or [account(f"arbitrator {number}") for number in range(5)]
    posted = posted or world.post()
    number = challenge(world, posted)
    world.machine.tick(12)
    world.machine.tick(12)
    world.disputes.send(world.stranger.address, "drawPanel", number)
    drawn = world.disputes.view("panelOf", number)
    return Case(world, posted, number, [one for one in people if one.address in drawn])


def voted(case: Case, votes: str) -> None:
    """Let the panel vote: `y` at fault, `n` not, `c` commits and is silent, `-` is silent."""
    case.world.machine.tick(DAY)
    for who, vote in zip(case.panel, votes, strict=True):
        if vote != "-":
            case.commit(who, vote == "y")
    case.world.machine.tick(4 * DAY)
    for who, vote in zip(case.panel, votes, strict=True):
        if vote in "yn":
            case.reveal(who, vote == "y")
    if set(votes) & {"-", "c"}:
        with refused("ArbitrationActive"):
            case.resolve()
        case.world.machine.tick(3 * DAY)
    case.resolve()


@pytest.mark.parametrize("votes", ["yyy", "yyn", "nyy", "yy-", "y-y", "yyc"])
def test_two_of_three_hold_a_solver_at_fault(world: World, votes: str) -> None:
    """The stake of the receipt is slashed, no more; fees are the same for every vote."""
    case = opened(world)
    voted(case, votes)
    silent = sum(vote in "-c" for vote in votes)
    assert world.status(case.posted) == SLASHED
    assert world.bond() == 10 * ETHER - STAKE
    assert world.claimable(world.challenger.address) == CHALLENGE + silent * FEE + STAKE * 12 // 100
    assert world.claimable(BURN) == STAKE * 84 // 100 + silent * PENALTY
    for who, vote in zip(case.panel, votes, strict=True):
        assert world.claimable(who.address) == (FEE if vote in "yn" else 0)
        assert case.stake(who) == STAKE - (0 if vote in "yn" else PENALTY)
    world.check_solvency()


@pytest.mark.parametrize("votes", ["nnn", "nny", "nn-", "cnn"])
def test_two_of_three_clear_a_solver(world: World, votes: str) -> None:
    """The challenger loses bond and fees; the receipt goes on where it stood."""
    case = opened(world)
    voted(case, votes)
    silent = sum(vote in "-c" for vote in votes)
    assert world.status(case.posted) == PENDING
    assert world.claimable(world.challenger.address) == silent * FEE
    assert world.claimable(world.operator.address) == CHALLENGE // 2
    assert world.claimable(BURN) == CHALLENGE // 2 + silent * PENALTY
    world.hub.send(world.stranger.address, "finalize", case.posted.id)
    world.check_solvency()


@pytest.mark.parametrize("votes", ["---", "y--", "n--", "yn-", "ync", "cc-"])
def test_silence_favours_nobody(world: World, votes: str) -> None:
    """Both sides get everything back; votes that were cast are paid by those who were silent."""
    case = opened(world)
    score = world.registry.view("reputation", world.solver)
    voted(case, votes)
    cast = sum(vote in "yn" for vote in votes)
    assert world.status(case.posted) == UNRESOLVED
    assert world.claimable(world.challenger.address) == COST
    assert world.claimable(world.operator.address) == 0
    assert world.registry.view("freeBond", world.solver) == 10 * ETHER
    assert world.registry.view("reputation", world.solver) == score
    assert world.claimable(BURN) == (3 - cast) * PENALTY - cast * FEE
    with refused("ReceiptNotPending"):
        world.hub.send(world.stranger.address, "finalize", case.posted.id)
    world.check_solvency()


def test_a_panel_that_is_never_drawn(world: World) -> None:
    """Nobody drew: time alone gives everybody everything back, and fines nobody."""
    world.arbitrators(3)
    posted = world.post()
    number = challenge(world, posted)
    world.machine.tick(8 * DAY)
    with refused("ArbitrationActive"):
        world.disputes.send(world.stranger.address, "resolve", number)
    world.machine.tick(1)
    with refused("CommitWindowClosed"):
        world.disputes.send(world.stranger.address, "drawPanel", number)
    world.disputes.send(world.stranger.address, "resolve", number)
    assert world.status(posted) == UNRESOLVED
    assert world.claimable(world.challenger.address) == COST
    world.check_solvency()


def test_undecided_before_the_deadline_stays_open(world: World) -> None:
    """While the window is open others may still dispute; then it ends unresolved, unpraised."""
    world.arbitrators(5)
    posted = world.post(world.members(expiry=world.machine.now + 20 * DAY))
    case = opened(world, posted)
    voted(case, "---")
    assert world.status(posted) == PENDING
    number = world.ask(posted)
    world.answer(number, posted)
    world.machine.tick(20 * DAY + HOUR)
    score = world.registry.view("reputation", world.solver)
    world.hub.send(world.stranger.address, "finalize", posted.id)
    assert world.status(posted) == UNRESOLVED
    assert world.registry.view("reputation", world.solver) == score
    assert world.registry.view("freeBond", world.solver) == 10 * ETHER


def test_a_proof_ends_a_case(world: World) -> None:
    """Where another ground ended the receipt, the case is moot: paid votes, no fines."""
    case = opened(world)
    other = world.ask(case.posted, 1)
    world.machine.tick(DAY + 1)
    case.commit(case.panel[0], True)
    world.disputes.send(world.stranger.address, "resolve", other)
    assert world.status(case.posted) == SLASHED
    before = world.claimable(world.challenger.address)
    case.resolve()
    assert world.claimable(world.challenger.address) == before + COST
    assert all(case.stake(who) == STAKE for who in case.panel)
    world.check_solvency()


def test_the_order_of_a_case(world: World) -> None:
    """Evidence, then commitments, then votes: each in its time, by its people."""
    case = opened(world)
    send, who = world.disputes.send, case.panel[0]
    for party in (world.challenger, world.operator):
        send(party.address, "submitEvidence", case.number, b"\7" * 32, "ipfs://x")
    with refused("NotDisputeParty"):
        send(world.stranger.address, "submitEvidence", case.number, b"\7" * 32, "")
    with refused("PanelAlreadyDrawn"):
        send(world.stranger.address, "drawPanel", case.number)
    with refused("EvidenceWindowActive"):
        case.commit(who, True)
    with refused("CommitWindowActive"):
        case.reveal(who, True)
    world.machine.tick(DAY)
    with refused("EvidenceWindowClosed"):
        send(world.operator.address, "submitEvidence", case.number, b"\7" * 32, "")
    with refused("NotAuthorizedArbitrator"):
        case.commit(world.stranger, True)
    with refused("InvalidVote"):
        send(who.address, "commitVote", case.number, b"\0" * 32)
    case.commit(who, True)
    with refused("InvalidVote"):
        case.commit(who, False)
    world.machine.tick(4 * DAY)
    with refused("CommitWindowClosed"):
        case.commit(case.panel[1], True)
    with refused("NotAuthorizedArbitrator"):
        case.reveal(world.stranger, True)
    with refused("InvalidVote"):
        case.reveal(who, False)
    with refused("InvalidVote"):
        case.reveal(who, True, b"\6" * 32)
    with refused("InvalidVote"):
        case.reveal(case.panel[1], True)
    case.reveal(who, True)
    with refused("InvalidVote"):
        case.reveal(who, True)
    with refused("ArbitrationActive"):
        case.resolve()
    with refused("InvalidDisputeReason"):
        world.answer(case.number, case.posted)
    world.machine.tick(3 * DAY)
    with refused("RevealWindowClosed"):
        case.reveal(who, True)


def test_only_cases_have_panels(world: World) -> None:
    """Nobody draws or votes for a question that the solver answers."""
    number = world.ask(world.post())
    for name, arguments in (
        ("drawPanel", (number,)),
        ("commitVote", (number, b"\7" * 32)),
        ("revealVote", (number, True, SALT)),
        ("submitEvidence", (number, b"\7" * 32, "")),
    ):
        with refused("InvalidDisputeReason"):
            world.disputes.send(world.stranger.address, name, *arguments)


def test_parties_do_not_judge(world: World) -> None:
    """Challenger, requester and operator are never drawn, though they be in the pool."""
    world.arbitrators(3)
    for one in (world.challenger, world.requester, world.operator):
        world.disputes.send(one.address, "applyAsArbitrator", value=STAKE)
        world.disputes.send(world.owner.address, "admitArbitrator", one.address)
    world.machine.tick(7 * DAY)
    judges = {account(f"arbitrator {n}").address for n in range(3)}
    for _ in range(8):
        number = challenge(world, world.post_typed())
        world.machine.tick(12)
        world.machine.tick(12)
        world.disputes.send(world.stranger.address, "drawPanel", number)
        assert set(world.disputes.view("panelOf", number)) == judges


def test_draws_are_not_predictable_nor_the_same(world: World) -> None:
    """The seed is a block to come; one that is too old is replaced, not chosen."""
    world.arbitrators(8)
    panels = set()
    for _ in range(8):
        number = challenge(world, world.post())
        with refused("SeedNotReady"):
            world.disputes.send(world.stranger.address, "drawPanel", number)
        world.machine.tick(12)
        with refused("SeedNotReady"):
            world.disputes.send(world.stranger.address, "drawPanel", number)
        world.machine.number += 300
        world.machine.tick(12)
        world.disputes.send(world.stranger.address, "drawPanel", number)
        assert [one.name for one in world.machine.events()] == ["PanelReseeded"]
        world.machine.tick(12)
        world.machine.tick(12)
        world.disputes.send(world.stranger.address, "drawPanel", number)
        panel = world.disputes.view("panelOf", number)
        assert len(set(panel)) == 3
        panels.add(tuple(sorted(panel)))
    assert len(panels) > 1


def test_who_may_be_drawn(world: World) -> None:
    """A stake, the owner's word, and seven days: each is needed."""
    send, one, owner = world.disputes.send, account("judge"), world.owner.address
    world.machine.fund(one.address)
    posted = world.post()
    with refused("NoPanel"):
        challenge(world, posted)
    with refused("InvalidArbitrator"):
        send(owner, "admitArbitrator", one.address)
    with refused("InvalidStake"):
        send(one.address, "applyAsArbitrator", value=STAKE - 1)
    send(one.address, "applyAsArbitrator", value=STAKE)
    with refused("AlreadyApplied"):
        send(one.address, "applyAsArbitrator", value=STAKE)
    with refused("NotOwner"):
        send(one.address, "admitArbitrator", one.address)
    with refused("InvalidArbitrator"):
        send(owner, "dismissArbitrator", one.address)
    send(owner, "admitArbitrator", one.address)
    with refused("InvalidArbitrator"):
        send(owner, "admitArbitrator", one.address)
    for name in ("second", "third"):
        other = account(name)
        world.machine.fund(other.address)
        send(other.address, "applyAsArbitrator", value=STAKE)
        send(owner, "admitArbitrator", other.address)
    number = challenge(world, posted)
    world.machine.tick(12)
    world.machine.tick(12)
    with refused("NoPanel"):  # seven days are not over
        send(world.stranger.address, "drawPanel", number)
    with refused("NotOwner"):
        send(one.address, "dismissArbitrator", one.address)
    send(owner, "dismissArbitrator", one.address)
    assert one.address not in world.disputes.view("arbitratorPool")
    send(one.address, "leave")
    with refused("InvalidArbitrator"):
        send(one.address, "leave")
    assert world.claimable(one.address) == STAKE
    world.check_solvency()


def test_nobody_leaves_a_case(world: World) -> None:
    """The stake stays while somebody judges, a dismissal changes nothing about it."""
    case = opened(world)
    who = case.panel[0]
    with refused("ArbitrationActive"):
        world.disputes.send(who.address, "leave")
    world.disputes.send(world.owner.address, "dismissArbitrator", who.address)
    with refused("ArbitrationActive"):
        world.disputes.send(who.address, "leave")
    voted(case, "yyy")
    world.disputes.send(who.address, "leave")
    assert world.claimable(who.address) == STAKE + FEE
    assert world.status(case.posted) != DISPUTED


def test_a_stake_covers_its_fines(world: World) -> None:
    """Nobody is drawn for more cases than the stake can answer for."""
    people = world.arbitrators(3)
    limit = STAKE // PENALTY
    numbers = []
    for _ in range(limit):
        numbers.append(challenge(world, world.post()))
        world.machine.tick(12)
        world.machine.tick(12)
        world.disputes.send(world.stranger.address, "drawPanel", numbers[-1])
    last = challenge(world, world.post())
    world.machine.tick(12)
    world.machine.tick(12)
    with refused("NoPanel"):
        world.disputes.send(world.stranger.address, "drawPanel", last)
    world.machine.tick(9 * DAY)
    for number in [*numbers, last]:
        world.disputes.send(world.stranger.address, "resolve", number)
    for one in people:
        assert world.disputes.view("arbitrators", one.address)[0] == STAKE - limit * PENALTY
        world.disputes.send(one.address, "leave")
    world.check_solvency()


def test_the_pool_is_bounded(world: World) -> None:
    """Sixty-four can be drawn, and the draw fits in a block."""
    world.arbitrators(64)
    one = account("one more")
    world.machine.fund(one.address)
    world.disputes.send(one.address, "applyAsArbitrator", value=STAKE)
    with refused("PoolFull"):
        world.disputes.send(world.owner.address, "admitArbitrator", one.address)
    number = challenge(world, world.post())
    world.machine.tick(12)
    world.machine.tick(12)
    world.disputes.send(world.stranger.address, "drawPanel", number)
    assert world.machine.gas < 1_000_000


def test_the_price_of_a_case(world: World) -> None:
    """Ten per cent of the stake and three fees, exactly."""
    world.arbitrators(3)
    posted = world.post(volume=10 * ETHER)
    cost = world.disputes.view("arbitrationCost", posted.id)
    assert cost == ETHER // 20 + 3 * FEE
    for value in (0, cost - 1, cost + 1):
        with refused("InsufficientChallengerBond"):
            challenge(world, posted, value)
    challenge(world, posted, cost)


def test_each_second_of_a_case(world: World) -> None:
    """Windows close after their last second, and the next ones open then."""
    world.arbitrators(3)
    posted = world.post()
    number = challenge(world, posted)
    case = Case(world, posted, number, [account(f"arbitrator {n}") for n in range(3)])
    start = world.machine.now
    send = world.disputes.send

    def at(seconds: int) -> None:
        world.machine.tick(start + seconds - world.machine.now)

    at(DAY)
    send(world.challenger.address, "submitEvidence", number, b"\7" * 32, "")
    world.machine.tick(0)
    send(world.stranger.address, "drawPanel", number)
    with refused("EvidenceWindowActive"):
        case.commit(case.panel[0], True)
    at(DAY + 1)
    case.commit(case.panel[0], True)
    with refused("EvidenceWindowClosed"):
        send(world.challenger.address, "submitEvidence", number, b"\7" * 32, "")
    at(5 * DAY)
    case.commit(case.panel[1], True)
    with refused("CommitWindowActive"):
        case.reveal(case.panel[0], True)
    at(5 * DAY + 1)
    with refused("CommitWindowClosed"):
        case.commit(case.panel[2], True)
    case.reveal(case.panel[0], True)
    at(8 * DAY)
    case.reveal(case.panel[1], True)
    with refused("ArbitrationActive"):
        case.resolve()
    at(8 * DAY + 1)
    case.resolve()
    assert world.status(posted) == SLASHED


def test_a_panel_can_be_drawn_until_votes_close(world: World) -> None:
    """At the last second of committing, not after it."""
    world.arbitrators(3)
    number = challenge(world, world.post())
    world.machine.tick(12)
    world.machine.tick(5 * DAY - 12)
    world.disputes.send(world.stranger.address, "drawPanel", number)


def test_who_left_the_pool_is_out_of_it(world: World) -> None:
    """Whoever was dismissed can be admitted again; whoever left must apply again."""
    people = world.arbitrators(5)
    send, owner = world.disputes.send, world.owner.address
    first, last = people[1].address, people[4].address
    send(owner, "dismissArbitrator", first)
    with refused("InvalidArbitrator"):
        send(owner, "dismissArbitrator", first)
    send(owner, "admitArbitrator", first)
    assert sorted(world.disputes.view("arbitratorPool")) == sorted(one.address for one in people)
    send(last, "leave")
    send(first, "leave")
    rest = sorted(one.address for one in people if one.address not in (first, last))
    assert sorted(world.disputes.view("arbitratorPool")) == rest
    with refused("InvalidArbitrator"):
        send(owner, "admitArbitrator", first)
    with refused("InvalidArbitrator"):
        send(owner, "dismissArbitrator", first)
