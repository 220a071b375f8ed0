# SPDX-License-Identifier: Apache-2.0
"""Last seconds, second times, and calls out of turn: what the mutants showed to be untested."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from tests.contracts.receipts import LOCATION, rotate_digest
from tests.contracts.refusals import refused
from tests.contracts.revm import DAY, ETHER, HOUR, ZERO, Machine, Reverted, account, committed, word
from tests.contracts.test_grounds import SETTLED, settle, timeout
from tests.contracts.world import ACTIVE, CHAIN, CHALLENGE, INACTIVE, World

MAGIC_WALLET = bytes.fromhex("7f1626ba7e" + "00" * 28 + "60005260206000f3")
DUMB_WALLET = bytes.fromhex("60206000f3")


def test_the_modules_are_named_by_the_owner_and_are_two(world: World) -> None:
    """A fresh registry takes its modules from its owner only, and no nonsense."""
    machine = Machine()
    owner, other = account("owner").address, account("other").address
    registry = machine.deploy(world.registry.kind, owner, other)
    switch = world.switch
    if switch and switch[0] == "SolverRegistry":
        machine.evm.insert_account_storage(registry.address, 0, switch[1])
    with refused("NotOwner"):
        registry.send(other, "wire", owner, other)
    for pair in ((ZERO, other), (other, ZERO), (other, other)):
        with refused("InvalidAddress"):
            registry.send(owner, "wire", *pair)
    registry.send(owner, "wire", other, owner)


def test_constructors_refuse_what_is_no_contract() -> None:
    """A treasury is somebody; a hub and a module need contracts."""
    machine = Machine()
    owner = account("owner").address
    with pytest.raises(RuntimeError):
        machine.deploy(committed("SolverRegistry"), owner, ZERO)
    with pytest.raises(RuntimeError):
        machine.deploy(committed("IntentReceiptHub"), owner, owner)
    registry = machine.deploy(committed("SolverRegistry"), owner, owner)
    for pair in ((registry.address, owner), (owner, registry.address)):
        with pytest.raises(RuntimeError):
            machine.deploy(committed("DisputeModule"), owner, *pair)


def test_pauses_are_thirty_days_apart_to_the_second(world: World) -> None:
    """The second in which the next may begin; and nobody else ends one."""
    send, owner = world.registry.send, world.owner.address
    send(owner, "pause")
    with refused("NotOwner"):
        send(world.stranger.address, "unpause")
    with refused("EnforcedPause"):
        rotation(world, account("new"))
    world.machine.tick(30 * DAY - 1)
    with refused("PausedTooOften"):
        send(owner, "pause")
    world.machine.tick(1)
    send(owner, "pause")


def test_an_heir_accepts_once(world: World) -> None:
    """An offer is used up."""
    heir = account("heir").address
    world.registry.send(world.owner.address, "offerOwnership", heir)
    world.registry.send(heir, "acceptOwnership")
    with refused("NotOwner"):
        world.registry.send(heir, "acceptOwnership")


def rotation(world: World, _new: object) -> None:
    """Ask for a new key."""
    key = account("new")
    digest = rotate_digest(CHAIN, world.registry.address, world.solver, key.address)
    world.registry.send(
        world.operator.address, "requestRotation", world.solver, key.address, key.sign(digest)
    )


def test_a_rotation_happens_once(world: World) -> None:
    """Cancelled is cancelled, by the operator; done is done."""
    send = world.registry.send
    rotation(world, account("new"))
    with refused("NotSolverOperator"):
        send(world.stranger.address, "cancelRotation", world.solver)
    send(world.operator.address, "cancelRotation", world.solver)
    world.machine.tick(2 * DAY)
    with refused("NoRotation"):
        send(world.operator.address, "completeRotation", world.solver)
    rotation(world, account("new"))
    world.machine.tick(2 * DAY)
    send(world.operator.address, "completeRotation", world.solver)
    with refused("NoRotation"):
        send(world.operator.address, "completeRotation", world.solver)


def test_a_withdrawal_happens_once_until_its_last_second(world: World) -> None:
    """Good in the second in which it expires; then gone, and told."""
    send, me = world.registry.send, world.operator.address
    send(me, "requestWithdrawal", world.solver, 5 * ETHER)
    world.machine.tick(14 * DAY)
    send(me, "withdrawBond", world.solver)
    with refused("NoWithdrawal"):
        send(me, "withdrawBond", world.solver)
    send(me, "requestWithdrawal", world.solver, 5 * ETHER)
    world.machine.tick(7 * DAY)
    send(me, "withdrawBond", world.solver)
    told = {event.name: event.values for event in world.machine.events()}
    assert told["SolverStatusChanged"]["status"] == INACTIVE
    world.check_solvency()


def test_unknown_solvers_post_nothing(world: World) -> None:
    """An identifier that nobody has is not found, in both forms."""
    unknown = world.members(solver=(99).to_bytes(32, "big"))
    with refused("SolverNotFound"):
        world.post(unknown)
    with refused("SolverNotFound"):
        world.post_typed(unknown.but(location=LOCATION))


def test_the_bounds_of_a_post(world: World) -> None:
    """The largest volume, window and expiry are allowed, one more is not."""
    whale = account("whale")
    world.machine.fund(whale.address, 2**100)
    solver = world.register(whale)
    world.machine.fund(whale.address, 2**100)
    world.registry.send(whale.address, "depositBond", solver, value=2**95)
    world.post(world.members(solver=solver), volume=2**96 - 1, operator=whale)
    with refused("InsufficientBondForVolume"):
        world.post(world.members(solver=solver), volume=2**96, operator=whale)
    with refused(""):
        world.registry.send(whale.address, "depositBond", solver, value=2**96)
    world.hub.send(world.owner.address, "setChallengeWindow", 86_400)
    world.post(world.members(expiry=world.machine.now + 30 * DAY))
    world.check_solvency()


def test_the_last_second_of_a_window(world: World) -> None:
    """In the second of the deadline a receipt can be disputed, and is not final."""
    posted = world.post()
    world.machine.tick(HOUR)
    world.ask(posted)


def test_a_settlement_in_the_last_second(world: World) -> None:
    """In the second of the expiry it is in time."""
    posted = world.post(world.members(SETTLED, expiry=world.machine.now + HOUR), tree=SETTLED)
    world.machine.tick(HOUR)
    settle(world, posted, 1)
    world.machine.tick(1)
    with refused("NoContradiction"):
        timeout(world, posted)


def test_open_disputes_are_counted_in_sixteen_bits(world: World) -> None:
    """The count does not run over into the solver's number."""
    posted = world.post()
    world.ask(posted)
    for slot in (3, 4):  # of the mapping of headers; mutants have it one later
        at = int.from_bytes(keccak(word(slot) + posted.id), "big")
        header = world.machine.evm.storage(world.hub.address, at)
        if header:
            full = header | 0xFFFF << 16
            world.machine.evm.insert_account_storage(world.hub.address, at, full)
    assert world.hub.record("getPost", posted.id)["openDisputes"] == 65_535
    with refused("TooManyDisputes"):
        world.ask(posted)


def test_the_module_itself_cannot_end_what_is_not_disputed(world: World) -> None:
    """A second defence: even the module's own calls are refused for a receipt without dispute."""
    module = account("module").address
    own = world.again(module)
    posted = own.post()
    for name, arguments in (
        ("closeDispute", (posted.id, False)),
        ("slash", (posted.id, 8, ZERO, ZERO, False)),
    ):
        with refused("DisputeNotFound"):
            own.hub.send(module, name, *arguments)


def test_a_contract_can_be_an_operator(world: World) -> None:
    """EIP-1271: a wallet's code vouches for what relayers post; code that does not, does not."""
    for seed, code, good in (("wallet", MAGIC_WALLET, True), ("dumb", DUMB_WALLET, False)):
        wallet = account(seed)
        world.machine.become(wallet.address, code, ETHER)
        call = (wallet.address, b"\1" * 32, b"whatever the wallet understands")
        if not good:
            with refused("InvalidConsent"):
                world.registry.send(world.stranger.address, "registerSolver", *call)
            continue
        solver = world.registry.send(world.stranger.address, "registerSolver", *call)
        world.registry.send(world.stranger.address, "depositBond", solver, value=ETHER)
        assert world.registry.record("getSolver", solver)["status"] == ACTIVE
        members = world.members(solver=solver, location=LOCATION)
        posted = world.hub.send(
            world.stranger.address, "postReceiptTyped", members.claim, LOCATION, b"by rule"
        )
        # Equivocation of such an operator is what its code vouches for.
        other = members.but(outcome=b"\7" * 32)
        world.disputes.send(
            world.challenger.address,
            "proveEquivocation",
            posted,
            members.claim,
            other.claim,
            True,
            0,
            wallet.address,
            b"by rule",
        )


def test_claims_cannot_be_entered_again(world: World) -> None:
    """An account that claims again while it is paid gets nothing more, and stops nothing."""
    number = world.ask(world.post())
    world.machine.tick(DAY + 1)
    world.disputes.send(world.stranger.address, "resolve", number)
    owed = world.claimable(world.challenger.address)
    again = world.registry.data("claim", world.challenger.address)
    # Calls the registry with `claim(self)` whenever it is paid, and lets a failure pass.
    code = bytes.fromhex("7f" + again[:32].hex() + "600052")
    code += bytes.fromhex("7f" + again[32:].ljust(32, b"\0").hex() + "602052")
    code += bytes.fromhex("6000600060246000600073" + world.registry.address[2:] + "5af100")
    world.machine.become(world.challenger.address, code)
    before = world.balance()
    world.registry.send(world.stranger.address, "claim", world.challenger.address)
    assert world.balance() == before - owed
    assert world.machine.evm.get_balance(world.challenger.address) == owed
    assert owed > CHALLENGE
    world.check_solvency()


def test_what_the_source_cannot_know_is_named(world: World) -> None:
    """A call that no function has reverts, and so does money that nobody asked for."""
    with pytest.raises(Reverted):
        world.hub.raw(
            world.stranger.address, b"\x9a\xfe\x1f\xc5", world.hub.kind.functions["finalize"]
        )
    for contract in (world.registry, world.hub, world.disputes):
        with pytest.raises(Reverted):
            contract.raw(world.stranger.address, b"", world.hub.kind.functions["finalize"], value=1)
