# SPDX-License-Identifier: Apache-2.0
"""The three contracts, deployed and wired, and the people around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_hash.auto import keccak
from tests.contracts.receipts import (
    LOCATION,
    Members,
    Tree,
    entry,
    register_digest,
)
from tests.contracts.revm import (
    ETHER,
    Account,
    Contract,
    Interface,
    Machine,
    account,
    committed,
)

CHAIN = 1
STAKE = ETHER // 10
CHALLENGE = STAKE // 10
FEE = 3 * 10**15
PENALTY = 2 * FEE
MANIFEST = 2**64 - 1

TIMEOUT, MISMATCH, SUBJECTIVE, AVAILABILITY, EQUIVOCATION, REPLAY = 1, 7, 8, 9, 10, 11
PENDING, DISPUTED, FINALIZED, SLASHED, UNRESOLVED = range(5)
INACTIVE, ACTIVE, JAILED, BANNED = range(4)

SMALL = Tree([entry(f"artifacts/{n}.txt", b"artefact %d" % n) for n in range(5)])


@dataclass
class Posted:
    """A receipt on chain and what it was made of."""

    id: bytes
    members: Members
    tree: Tree = SMALL

    @property
    def claim(self) -> tuple[Any, ...]:
        """Its members as disputes take them."""
        return self.members.claim


@dataclass
class World:
    """A chain with our contracts."""

    machine: Machine
    registry: Contract
    hub: Contract
    disputes: Contract
    owner: Account
    treasury: Account
    solver: bytes = b""
    operator: Account = field(default_factory=lambda: account("operator"))
    challenger: Account = field(default_factory=lambda: account("challenger"))
    requester: Account = field(default_factory=lambda: account("requester"))
    stranger: Account = field(default_factory=lambda: account("stranger"))
    made: int = 0
    kinds: dict[str, Interface] | None = None
    switch: tuple[str, int] | None = None

    def again(self, module: str) -> World:
        """Return another world from the same contracts, where somebody is the dispute module."""
        return deployed(self.kinds, self.switch, module=module)

    def register(self, operator: Account, bond: int = 0) -> bytes:
        """Register a solver and put its bond down."""
        self.machine.fund(operator.address)
        digest = register_digest(
            self.machine.chain, self.registry.address, operator.address, b"\1" * 32
        )
        signature = operator.sign(digest)
        solver: bytes = self.registry.send(
            self.stranger.address, "registerSolver", operator.address, b"\1" * 32, signature
        )
        if bond:
            self.registry.send(operator.address, "depositBond", solver, value=bond)
        return solver

    def members(self, tree: Tree = SMALL, **changes: Any) -> Members:
        """Return the members of a receipt that has not been posted."""
        self.made += 1
        given: dict[str, Any] = {
            "intent": keccak(b"intent %d" % self.made),
            "evidence": keccak(b"evidence %d" % self.made),
            "outcome": tree.outcome,
            "created_at": self.machine.now,
            "solver": self.solver,
        }
        return Members(**(given | changes))

    def post(
        self,
        members: Members | None = None,
        *,
        volume: int = 0,
        tree: Tree = SMALL,
        operator: Account | None = None,
        nonce: int | None = None,
    ) -> Posted:
        """Post in the source's form."""
        members = members or self.members(tree)
        operator = operator or self.operator
        if nonce is None:
            nonce = self.hub.view("solverNonces", members.solver)
        signature = operator.sign(
            members.legacy_digest(self.machine.chain, self.hub.address, nonce)
        )
        posted = self.hub.send(operator.address, "postReceipt", (*members.eight, signature), volume)
        return Posted(posted, members, tree)

    def post_typed(
        self,
        members: Members | None = None,
        *,
        tree: Tree = SMALL,
        operator: Account | None = None,
        sender: Account | None = None,
    ) -> Posted:
        """Post in the EIP-712 form."""
        if members is None:
            members = self.members(tree, requester=self.requester.address, location=LOCATION)
        signature = (operator or self.operator).sign(
            members.typed_id(self.machine.chain, self.hub.address)
        )
        posted = self.hub.send(
            (sender or self.stranger).address,
            "postReceiptTyped",
            members.claim,
            members.location,
            signature,
        )
        return Posted(posted, members, tree)

    def ask(self, posted: Posted, index: int = 0, value: int | None = None) -> int:
        """Challenge the availability of an entry."""
        number: int = self.disputes.send(
            self.challenger.address,
            "challengeAvailability",
            posted.id,
            posted.claim,
            index,
            value=self.hub.view("challengerBond", posted.id) if value is None else value,
        )
        return number

    def answer(self, number: int, posted: Posted, index: int = 0) -> None:
        """Answer a challenge."""
        count, root, _, leaf, path = posted.tree.proof(index)
        self.disputes.send(
            self.operator.address, "answerEntry", number, posted.claim, count, root, leaf, path
        )

    def status(self, posted: Posted) -> int:
        """Return a receipt's status."""
        return int(self.hub.record("getPost", posted.id)["status"])

    def balance(self) -> int:
        """Return what the registry holds."""
        return int(self.machine.evm.get_balance(self.registry.address))

    def claimable(self, address: str) -> int:
        """Return what is somebody's to claim."""
        return int(self.registry.view("claimable", address))

    def bond(self, solver: bytes | None = None) -> int:
        """Return a solver's bond."""
        return int(self.registry.record("getSolver", solver or self.solver)["bond"])

    def check_solvency(self) -> None:
        """Assert that the registry holds exactly what its books say, and nobody else anything."""
        view = self.registry.view
        booked = view("totalBonded") + view("totalEscrowed") + view("totalClaimable")
        assert self.balance() == booked
        assert self.machine.evm.get_balance(self.hub.address) == 0
        assert self.machine.evm.get_balance(self.disputes.address) == 0

    def arbitrators(self, count: int = 3) -> list[Account]:
        """Admit arbitrators and wait until they can be drawn."""
        people = [account(f"arbitrator {number}") for number in range(count)]
        for one in people:
            self.machine.fund(one.address)
            self.disputes.send(one.address, "applyAsArbitrator", value=STAKE)
            self.disputes.send(self.owner.address, "admitArbitrator", one.address)
        self.machine.tick(7 * 86_400)
        return people


def deployed(
    contracts: dict[str, Interface] | None = None,
    switch: tuple[str, int] | None = None,
    machine: Machine | None = None,
    module: str | None = None,
) -> World:
    """Deploy and wire, from the committed artefacts or others; `switch` chooses a mutant."""
    kinds = contracts or {}
    machine = machine or Machine(1 << 16 if contracts else None)
    owner, treasury = account("owner"), account("treasury")
    machine.fund(owner.address)
    registry = machine.deploy(
        kinds.get("SolverRegistry") or committed("SolverRegistry"), owner.address, treasury.address
    )
    hub = machine.deploy(
        kinds.get("IntentReceiptHub") or committed("IntentReceiptHub"),
        owner.address,
        registry.address,
    )
    disputes = machine.deploy(
        kinds.get("DisputeModule") or committed("DisputeModule"),
        owner.address,
        registry.address,
        hub.address,
    )
    if switch:
        for one in (registry, hub, disputes):
            if one.kind.name == switch[0]:
                machine.evm.insert_account_storage(one.address, 0, switch[1])
    registry.send(owner.address, "wire", hub.address, module or disputes.address)
    world = World(machine, registry, hub, disputes, owner, treasury)
    world.kinds, world.switch = contracts, switch
    for person in (world.challenger, world.requester, world.stranger):
        machine.fund(person.address)
    world.solver = world.register(world.operator, 10 * ETHER)
    return world
