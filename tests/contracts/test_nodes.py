# SPDX-License-Identifier: Apache-2.0
"""The same stories on other EVMs: py-evm behind eth-tester, and anvil, a real node."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.anvil import MISSING, binary, running
from tests.contracts.anvil_machine import AnvilMachine
from tests.contracts.ethereum_tester import SecondMachine
from tests.contracts.refusals import refused
from tests.contracts.revm import BURN, DAY, HOUR, account
from tests.contracts.test_arbitration import Case, challenge
from tests.contracts.world import FINALIZED, PENDING, SLASHED, World, deployed

needs_anvil = pytest.mark.skipif(binary() is None, reason=MISSING)
PEOPLE = [
    *("owner", "treasury", "operator", "challenger", "requester", "stranger", "second", "sybil"),
    *(f"arbitrator {number}" for number in range(3)),
]


@pytest.fixture(params=["eth-tester", pytest.param("anvil", marks=needs_anvil)])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[World]:
    """The contracts on another EVM."""
    if request.param == "eth-tester":
        tester = SecondMachine()
        tester.know(*map(account, PEOPLE))
        tester.fund(account("operator").address)
        yield deployed(machine=tester)
        return
    with running() as node:
        yield deployed(machine=AnvilMachine(node))


# py-evm warns of what it will change in releases to come.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_life_of_receipts(elsewhere: World) -> None:
    """Posted, asked, answered, final; posted, unanswered, slashed, claimed: the money adds up."""
    world = elsewhere
    honest, typed = world.post(), world.post_typed()
    number = world.ask(honest, 2)
    world.answer(number, honest, 2)
    assert world.status(honest) == PENDING
    silent = world.ask(typed, 1)
    world.machine.tick(DAY + 60)
    world.disputes.send(world.stranger.address, "resolve", silent)
    world.hub.send(world.stranger.address, "finalize", honest.id)
    assert (world.status(honest), world.status(typed)) == (FINALIZED, SLASHED)
    world.check_solvency()
    for one in (world.challenger, world.requester, world.treasury, world.operator):
        owed = world.claimable(one.address)
        before = world.machine.evm.get_balance(one.address)
        world.registry.send(world.stranger.address, "claim", one.address)
        assert world.machine.evm.get_balance(one.address) == before + owed > before
    world.check_solvency()
    assert world.claimable(BURN) > 0
    with refused("InvalidSolver"):  # jailed
        world.post()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_case_with_real_block_hashes(elsewhere: World) -> None:
    """A panel is drawn by a true block's hash, votes, and decides."""
    world = elsewhere
    people = world.arbitrators(3)
    posted = world.post()
    number = challenge(world, posted)
    world.machine.tick(12)
    world.machine.tick(12)
    world.disputes.send(world.stranger.address, "drawPanel", number)
    case = Case(world, posted, number, people)
    assert set(world.disputes.view("panelOf", number)) == {one.address for one in people}
    world.machine.tick(DAY)
    for one in people:
        case.commit(one, one is not people[0])
    world.machine.tick(4 * DAY)
    for one in people:
        case.reveal(one, one is not people[0])
    case.resolve()
    assert world.status(posted) == SLASHED
    world.check_solvency()


@needs_anvil
def test_a_reorganisation_takes_a_post_back() -> None:
    """After a reorg that lost the post the same signed receipt can be posted again, once."""
    with running() as node:
        world = deployed(machine=AnvilMachine(node))
        before = node.rpc("evm_snapshot")
        posted = world.post()
        number = world.hub.view("solverNonces", world.solver)
        assert number == 1
        assert node.rpc("evm_revert", before)
        assert world.hub.view("solverNonces", world.solver) == 0
        assert world.hub.view("receiptOf", world.solver, posted.members.intent) == b"\0" * 32
        with refused("ReceiptNotFound"):
            world.hub.view("getPost", posted.id)
        world.check_solvency()
        world.machine.tick(12)
        again = world.post(posted.members)
        assert again.id == posted.id  # nothing of the block is in it
        with refused("ReceiptAlreadyExists"):
            world.post(posted.members)
        world.machine.tick(HOUR + 1)
        world.hub.send(world.stranger.address, "finalize", posted.id)
        assert world.status(posted) == FINALIZED
