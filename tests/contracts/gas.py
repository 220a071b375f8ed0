# SPDX-License-Identifier: Apache-2.0
"""What each call costs, as py-evm counts it: transaction, calldata and all.

python -m tests.contracts.gas     writes contracts/GAS.md
"""

from __future__ import annotations

from pathlib import Path

from eth_abi.abi import encode as abi_encode
from eth_hash.auto import keccak
from tests.contracts.ethereum_tester import SecondMachine
from tests.contracts.receipts import Tree, entry, rotate_digest
from tests.contracts.revm import DAY, ETHER, HOUR, account, committed
from tests.contracts.world import MANIFEST, STAKE, deployed

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "contracts" / "GAS.md"

_HEAD = """# Gas

What a transaction of each kind costs, its calldata included, measured with py-evm (Cancun). A test
measures again and allows 2 % of difference; `python -m tests.contracts.gas` writes this page.

| call | gas |
|---|---|
"""


class _Measure:
    def __init__(self) -> None:
        self.machine = SecondMachine()
        self.table: dict[str, int] = {}
        people = ["owner", "treasury", "operator", "challenger", "requester", "stranger", "new"]
        people += [f"arbitrator {number}" for number in range(3)]
        self.machine.know(*map(account, people))
        self.machine.fund(account("operator").address)
        self.world = deployed(machine=self.machine)

    def note(self, name: str) -> None:
        """Write down what the last call cost."""
        self.table[name] = self.machine.gas

    def everything(self) -> dict[str, int]:
        """Measure all."""
        self._solvers()
        self._receipts()
        self._proofs()
        self._questions()
        self._arbitration()
        self._other_solvers()
        self._other_proofs()
        self._other_arbitrators()
        self._owner()
        return self.table

    def _solvers(self) -> None:
        world, registry = self.world, self.world.registry
        new, me = account("new"), world.operator.address
        solver = world.register(new)
        self.note("registerSolver")
        registry.send(new.address, "depositBond", solver, value=ETHER)
        self.note("depositBond")
        registry.send(me, "depositOwnBond", value=ETHER)
        self.note("depositOwnBond")
        registry.send(me, "requestWithdrawal", world.solver, ETHER)
        self.note("requestWithdrawal")
        heir = account("heir")
        digest = rotate_digest(self.machine.chain, registry.address, solver, heir.address)
        registry.send(new.address, "requestRotation", solver, heir.address, heir.sign(digest))
        self.note("requestRotation")
        self.machine.tick(7 * DAY)
        registry.send(me, "withdrawBond", world.solver)
        self.note("withdrawBond")
        registry.send(world.stranger.address, "claim", me)
        self.note("claim")
        registry.send(world.stranger.address, "completeRotation", solver)
        self.note("completeRotation")

    def _receipts(self) -> None:
        world = self.world
        first = world.post(volume=ETHER)
        self.note("postReceipt, first")
        world.post(volume=ETHER)
        self.note("postReceipt, next")
        world.post_typed()
        self.note("postReceiptTyped")
        members = [world.members() for _ in range(3)]
        nonce = world.hub.view("solverNonces", world.solver)
        batch = [
            (
                *one.eight,
                world.operator.sign(
                    one.legacy_digest(self.machine.chain, world.hub.address, nonce + at)
                ),
            )
            for at, one in enumerate(members)
        ]
        world.hub.send(world.operator.address, "batchPostReceipts", batch, [0, 0, 0])
        self.note("batchPostReceipts, of three")
        self.machine.tick(HOUR + 60)
        world.hub.send(world.stranger.address, "finalize", first.id)
        self.note("finalize")

    def _proofs(self) -> None:
        from tests.contracts.test_grounds import said

        world = self.world
        posted = world.post()
        other = posted.members.but(outcome=b"\7" * 32)
        signature = world.operator.sign(
            other.legacy_digest(self.machine.chain, world.hub.address, 9)
        )
        world.disputes.send(
            world.challenger.address,
            "proveEquivocation",
            posted.id,
            posted.claim,
            other.claim,
            False,
            9,
            world.operator.address,
            signature,
        )
        self.note("proveEquivocation")
        self.machine.tick(7 * DAY)  # out of jail
        posted, text = said(world, intentHash="sha256:" + "7" * 64)
        world.disputes.send(
            world.challenger.address,
            "proveManifestMismatch",
            posted.id,
            posted.claim,
            text,
            1,
            0,
            b"\0" * 32,
        )
        self.note("proveManifestMismatch, of 1.5 KiB")
        self.machine.tick(7 * DAY)

    def _questions(self) -> None:
        from tests.contracts.test_grounds import said

        world, me = self.world, self.world.operator.address
        posted = world.post()
        number = world.ask(posted)
        self.note("challengeAvailability")
        world.answer(number, posted)
        self.note("answerEntry")
        posted, text = said(world)
        number = world.ask(posted, MANIFEST)
        count, root = posted.tree.count, posted.tree.root
        world.disputes.send(me, "answerManifest", number, posted.claim, text, count, root)
        self.note("answerManifest, of 1.5 KiB")

    def _arbitration(self) -> None:
        world, send = self.world, self.world.disputes.send
        people = [account(f"arbitrator {number}") for number in range(3)]
        for one in people:
            self.machine.fund(one.address)
            send(one.address, "applyAsArbitrator", value=STAKE)
            send(world.owner.address, "admitArbitrator", one.address)
        self.machine.tick(7 * DAY)
        posted = world.post()
        number = send(
            world.challenger.address,
            "challengeSubjective",
            posted.id,
            posted.claim,
            b"\6" * 32,
            value=STAKE // 10 + 9 * 10**15,
        )
        self.note("challengeSubjective")
        self.machine.tick(12)
        self.machine.tick(12)
        send(world.stranger.address, "drawPanel", number)
        self.note("drawPanel, of three")
        panel = world.disputes.view("panelOf", number)
        people.sort(key=lambda one: panel.index(one.address))  # the seat is found by searching
        self.machine.tick(DAY)
        for one in people:
            vote = abi_encode(
                ["uint256", "address", "bool", "bytes32"], (number, one.address, True, b"\5" * 32)
            )
            send(one.address, "commitVote", number, keccak(vote))
        self.note("commitVote")
        self.machine.tick(4 * DAY)
        for one in people:
            send(one.address, "revealVote", number, True, b"\5" * 32)
        self.note("revealVote")
        send(world.stranger.address, "resolve", number)
        self.note("resolve, against the solver")

    def _other_solvers(self) -> None:
        self.world = deployed(machine=self.machine)  # where nobody has a strike
        world, registry, me = self.world, self.world.registry, self.world.operator.address
        registry.send(me, "requestWithdrawal", world.solver, ETHER)
        registry.send(me, "cancelWithdrawal", world.solver)
        self.note("cancelWithdrawal")
        heir = account("heir")
        digest = rotate_digest(self.machine.chain, registry.address, world.solver, heir.address)
        registry.send(me, "requestRotation", world.solver, heir.address, heir.sign(digest))
        registry.send(me, "cancelRotation", world.solver)
        self.note("cancelRotation")

    def _other_proofs(self) -> None:
        from tests.contracts.test_grounds import SETTLED, artifact, settle, timeout

        world = self.world
        expiry = self.machine.now + 20 * DAY
        kept = world.post(world.members(SETTLED, expiry=expiry), tree=SETTLED)
        settle(world, kept, 1)
        self.note("proveSettlement")
        first, second = (world.post(world.members(evidence=b"\7" * 32)) for _ in range(2))
        who = world.challenger.address
        world.disputes.send(who, "proveReplay", second.id, second.claim, first.id, first.claim)
        self.note("proveReplay")
        self.machine.tick(7 * DAY)
        lie = Tree([entry("artifacts/a", b"x" * 1000), entry("artifacts/b", b"x" * 1000, size=5)])
        artifact(world, world.post(world.members(lie), tree=lie), 1, b"x" * 1000)
        self.note("proveArtifactMismatch, of 1 kB")
        self.machine.tick(7 * DAY)
        promised = world.post(world.members(SETTLED, expiry=self.machine.now + HOUR))
        self.machine.tick(HOUR + 60)
        timeout(world, promised)
        self.note("proveTimeout")

    def _other_arbitrators(self) -> None:
        world, owner = self.world, self.world.owner.address
        solver = account("new")
        world.solver, world.operator = world.register(solver, ETHER), solver
        send = world.disputes.send
        for number in range(3):
            one = account(f"arbitrator {number}").address
            send(one, "applyAsArbitrator", value=STAKE)
            self.note("applyAsArbitrator")
            send(owner, "admitArbitrator", one)
            self.note("admitArbitrator")
        posted, who = world.post(), world.challenger.address
        case = send(
            who,
            "challengeSubjective",
            posted.id,
            posted.claim,
            b"\6" * 32,
            value=STAKE // 10 + 9 * 10**15,
        )
        send(who, "submitEvidence", case, b"\6" * 32, "https://evidence.example/letter.pdf")
        self.note("submitEvidence")
        send(owner, "dismissArbitrator", account("arbitrator 1").address)
        self.note("dismissArbitrator")
        send(account("arbitrator 1").address, "leave")
        self.note("leave")

    def _owner(self) -> None:
        world, owner = self.world, self.world.owner.address
        registry = self.machine.deploy(committed("SolverRegistry"), owner, world.treasury.address)
        registry.send(owner, "wire", world.hub.address, world.disputes.address)
        self.note("wire")
        world.hub.send(owner, "setChallengeWindow", 2 * HOUR)
        self.note("setChallengeWindow")
        world.registry.send(owner, "pause")
        self.note("pause")
        self.machine.tick(HOUR)
        world.registry.send(owner, "unpause")
        self.note("unpause")
        heir = world.stranger.address
        world.registry.send(owner, "offerOwnership", heir)
        self.note("offerOwnership")
        world.registry.send(heir, "acceptOwnership")
        self.note("acceptOwnership")


def measured() -> dict[str, int]:
    """Measure every kind of call."""
    return _Measure().everything()


def page(table: dict[str, int]) -> str:
    """Return the text of the table."""
    return _HEAD + "".join(f"| {name} | {gas:,} |\n" for name, gas in table.items())


def written() -> dict[str, int]:
    """Return what the table says."""
    rows = [line.split("|")[1:3] for line in TABLE.read_text(encoding="utf-8").splitlines()[7:]]
    return {name.strip(): int(gas.replace(",", "")) for name, gas in rows}


if __name__ == "__main__":
    TABLE.write_text(page(measured()), encoding="utf-8")
