# SPDX-License-Identifier: Apache-2.0
"""Contracts and model side by side: every call goes to both, and both must agree.

What is drawn at random is mostly what should succeed, by the model's word; what should fail is
tried too, but never more often than what succeeded, so that no rule is idle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any, TypeVar

from eth_abi.abi import encode as abi_encode
from eth_hash.auto import keccak
from tests.contracts.model import (
    ACTIVE,
    AVAILABILITY,
    BANNED,
    DISPUTED,
    FEE,
    OPEN,
    PENDING,
    SLASHED,
    STAKE_MIN,
    SUBJECTIVE,
    Model,
    Post,
    Refusal,
)
from tests.contracts.receipts import LOCATION, Members, Tree, entry, register_digest, rotate_digest
from tests.contracts.revm import BURN, DAY, ETHER, HOUR, Account, Reverted, account, word
from tests.contracts.world import CHAIN, World, deployed

T = TypeVar("T")

HONEST = Tree(
    [entry("artifacts/a", b"one"), entry("artifacts/settlement.json", b"paid")]
    + [entry(f"artifacts/z{n}", b"x") for n in range(3)]
)
LIAR = Tree([entry("artifacts/a", b"one", size=4), *HONEST.entries[1:]])
SOLVERS_MAX = 40

# The accounts of the solver who disputes itself, and of everybody else.
SYBIL, SYBIL_REQUESTER = account("sybil"), account("sybil requester")
CHALLENGERS = [account(f"challenger {n}") for n in range(2)]
REQUESTER = account("requester")
JUDGES = [account(f"judge {n}") for n in range(6)]


class Seen:
    """What happened in all runs together."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.moves: Counter[tuple[str, int, int]] = Counter()
        self.errors: Counter[str] = Counter()


class Drive:
    """One run."""

    def __init__(self, seen: Seen, world: World | None = None) -> None:
        self.seen = seen
        self.world = world or deployed()
        self.random = Random(0)
        self.machine = self.world.machine
        self.model = Model(self.world.treasury.address)
        self.accounts: dict[str, Account] = {}
        self.members: dict[bytes, Members] = {}
        self.trees: dict[bytes, Tree] = {}
        self.salts: dict[tuple[int, str], tuple[bool, bytes]] = {}
        self.failed: Counter[str] = Counter()
        self.went: Counter[str] = Counter()
        self.touched: set[bytes] = set()  # all that are live are in here
        self.standing: dict[int, int] = {}
        self.made = 0
        everyone = (SYBIL, SYBIL_REQUESTER, *CHALLENGERS, REQUESTER, *JUDGES)
        for one in everyone:
            self.machine.fund(one.address)
        self.model.solvers[1] = self._first()
        self.sync()
        for _ in range(2):
            self.register()
        for judge in JUDGES[:5]:
            self.apply(judge)
            self.admit(judge.address)

    def _first(self) -> Any:
        from tests.contracts.model import Solver

        operator = self.world.operator
        self.accounts[operator.address] = operator
        self.model.keys[operator.address] = 1
        return Solver(operator.address, bond=10 * ETHER)

    def sync(self) -> None:
        """Give the model the machine's time."""
        self.model.now, self.model.block = self.machine.now, self.machine.number

    def tick(self, seconds: int) -> None:
        """Let time pass."""
        self.machine.tick(seconds)
        self.sync()

    # --- agreement

    def both(self, rule: str, predict: Callable[[], T], act: Callable[[], Any]) -> T | None:
        """Call model and contracts; they must agree on success or on the error."""
        before = self._statuses()
        expected: T | None = None
        error = None
        try:
            expected = predict()
        except Refusal as refusal:
            error = refusal.name
        wealth = self._coalition()
        try:
            got = act()
            found = None
        except Reverted as reverted:
            got, found = None, reverted.name
        assert found == error, f"{rule}: the contracts say {found}, the model {error}"
        self.seen.calls[rule] += 1
        if error is None:
            self.seen.passed[rule] += 1
            self.went[rule] += 1
            self._check(rule, before, wealth)
            return expected if expected is not None else got
        self.failed[rule] += 1
        self.seen.errors[error] += 1
        return None

    def _statuses(self) -> dict[bytes, int]:
        return {one: self.model.posts[one].status for one in self.touched}

    def _coalition(self) -> int:
        """What solver 1 owns, with its sybils: purses, claims, bond, and bonds of open disputes."""
        model, evm = self.model, self.machine.evm
        people = {SYBIL.address, SYBIL_REQUESTER.address, model.solvers[1].operator}
        people.add(self.world.operator.address)
        out = sum(
            one.bond + (3 * FEE if one.kind == SUBJECTIVE else 0)
            for one in model.disputes.values()
            if one.challenger == SYBIL.address and one.state == OPEN
        )
        owned = sum(evm.get_balance(one) + model.claimable.get(one, 0) for one in people)
        return int(owned) + out + model.solvers[1].bond

    def _check(self, rule: str, before: dict[bytes, int], wealth: int) -> None:
        model = self.model
        held = model.bonded + model.escrowed + sum(model.claimable.values())
        assert self.world.balance() == held, "insolvent"
        for one, was in before.items():
            now = model.posts[one].status
            if now != was:
                self.seen.moves["post", was, now] += 1
                assert was in (PENDING, DISPUTED), "an ended receipt moved"
        if rule not in GENEROUS:
            assert self._coalition() <= wealth, f"{rule}: a solver gained by disputing itself"

    def compare(self, everything: bool = True) -> None:
        """Compare what both keep, member by member: of everything, or of what may have changed."""
        model, registry = self.model, self.world.registry
        for number in sorted(model.solvers):
            self._compare_solver(number)
        for identifier in self.touched:
            self._compare_post(identifier, model.posts[identifier])
        owed = sum(model.claimable.values())
        assert registry.words("totalBonded") == word(model.bonded)
        assert registry.words("totalEscrowed") == word(model.escrowed)
        assert registry.words("totalClaimable") == word(owed)
        assert registry.words("clock") == word(model.clock)
        if everything:
            for name, value in model.claimable.items():
                assert registry.words("claimable", int(name, 16)) == word(value)
            for one, judge in model.arbitrators.items():
                assert self.world.disputes.words("arbitrators", int(one, 16)) == word(
                    judge.stake, judge.cases, judge.drawable
                )
            for number, dispute in model.disputes.items():
                assert self.world.disputes.view("disputes", number)[5] == dispute.state
        self.touched = {one for one in self.touched if model.posts[one].status <= DISPUTED}

    def _compare_solver(self, number: int) -> None:
        model = self.model
        solver = model.solvers[number]
        status = solver.status(model.clock)
        found = self.world.registry.words("getSolver", number)
        assert found[:96] + found[128:] == word(
            int(solver.operator, 16),
            status,
            solver.strikes,
            solver.jailed_until,
            solver.bond,
            solver.reserved,
            solver.finalized,
            solver.lost,
        )
        was = self.standing.get(number, status)
        if status != was:
            self.seen.moves["solver", was, status] += 1
            assert was != BANNED
        self.standing[number] = status
        asked = solver.asked[0] if solver.asked else 0
        assert solver.reserved == self.stakes[number] + asked <= solver.bond

    @property
    def stakes(self) -> Counter[int]:
        """The stakes of each solver's live receipts."""
        found: Counter[int] = Counter()
        for one in self.touched:
            post = self.model.posts[one]
            if post.status <= DISPUTED:
                found[post.solver] += post.stake
        return found

    def _compare_post(self, identifier: bytes, post: Post) -> None:
        live = post.status <= DISPUTED
        found = self.world.hub.words("getPost", int.from_bytes(identifier, "big"))
        count = post.open if live else int.from_bytes(found[160:192], "big")
        assert found == word(
            post.status,
            post.requester is not None,
            post.expiry > 0,
            post.settled,
            post.unresolved,
            count,
            post.solver,
            post.posted_at,
            post.deadline,
            post.expiry,
            post.volume,
            post.stake,
        )
        locked = self.world.hub.words("lockOf", int.from_bytes(identifier, "big"))
        assert locked == word(post.stake if live else 0)

    # --- choice

    def pick(self, rule: str, good: Iterable[T], others: Sequence[T] = ()) -> T | None:
        """Choose what should succeed, and now and then, where successes allow, what may not."""
        found = list(good)
        spare = self.failed[rule] * 2 < self.went[rule]
        if others and spare and self.random.random() < 0.3:
            return self.random.choice(others)
        return self.random.choice(found) if found else None

    def wrong(self, rule: str) -> bool:
        """Whether to break something in this call."""
        spare = self.failed[rule] * 2 < self.went[rule]
        return spare and self.random.random() < 0.2

    # --- solvers

    def register(self) -> None:
        """A new solver, or one that is there."""
        model = self.model
        full = len(model.solvers) >= SOLVERS_MAX
        alive = sum(one.status(model.clock) == ACTIVE for one in model.solvers.values())
        if (full or alive > 5) and not self.wrong("register"):
            return
        operator = account(f"operator {len(model.solvers)}")
        if self.wrong("register"):
            operator = self.accounts[self.random.choice(sorted(self.accounts))]
        elif full:
            return
        self.machine.fund(operator.address)
        registry = self.world.registry
        digest = register_digest(CHAIN, registry.address, operator.address, b"\1" * 32)
        signature = operator.sign(digest)
        done = self.both(
            "register",
            lambda: model.register(operator.address),
            lambda: registry.send(
                operator.address, "registerSolver", operator.address, b"\1" * 32, signature
            ),
        )
        if done:
            self.accounts[operator.address] = operator
            if len(model.solvers) < 3 or self.random.random() < 0.7:
                self.deposit(len(model.solvers), 10 * ETHER)

    def deposit(self, solver: int | None = None, amount: int | None = None) -> None:
        """Money for a bond."""
        solver = solver or self.random.choice(sorted(self.model.solvers))
        if amount is None and self.model.paused and not self.wrong("deposit"):
            return
        if amount is None:
            amount = 0 if self.wrong("deposit") else self.random.choice([1, ETHER // 7, ETHER])
        registry, owner = self.world.registry, self.model.solvers[solver].operator
        solver_id = solver.to_bytes(32, "big")
        self.both(
            "deposit",
            lambda: self.model.deposit(solver, amount),
            lambda: (
                registry.send(owner, "depositOwnBond", value=amount)
                if self.random.random() < 0.3
                else registry.send(SYBIL.address, "depositBond", solver_id, value=amount)
            ),
        )

    def withdraw(self) -> None:
        """One step of somebody's withdrawal."""
        model, registry = self.model, self.world.registry
        number = self.random.choice(sorted(model.solvers))
        solver = model.solvers[number]
        sender = SYBIL.address if self.wrong("withdraw") else solver.operator
        solver_id = number.to_bytes(32, "big")
        free = solver.bond - solver.reserved
        if solver.asked is None:
            amount = self.random.choice([free, free, free // 3, 1])
            amount = free + 1 if self.wrong("withdraw") else amount
            if (amount == 0 or model.paused or free == 0) and not self.wrong("withdraw"):
                return
            self.both(
                "withdraw",
                lambda: model.request_withdrawal(number, sender, amount),
                lambda: registry.send(sender, "requestWithdrawal", solver_id, amount),
            )
            return
        ready = not model.paused and solver.asked[1] <= model.clock <= solver.asked[2]
        if ready or self.wrong("withdraw"):
            self.both(
                "withdraw",
                lambda: model.withdraw(number, sender),
                lambda: registry.send(sender, "withdrawBond", solver_id),
            )
        elif self.random.random() < 0.1:
            self.both(
                "withdraw",
                lambda: model.cancel_withdrawal(number, sender),
                lambda: registry.send(sender, "cancelWithdrawal", solver_id),
            )

    def rotate(self) -> None:
        """One step of a rotation."""
        model, registry = self.model, self.world.registry
        number = self.random.choice(sorted(model.solvers))
        solver = model.solvers[number]
        solver_id = number.to_bytes(32, "big")
        if solver.heir is None or self.wrong("rotate"):
            self.made += 1
            heir = account(f"heir {self.made}")
            if self.wrong("rotate"):
                heir = self.accounts[solver.operator]
            if model.paused and not self.wrong("rotate"):
                return
            consents = not self.wrong("rotate")
            signer = heir if consents else SYBIL
            digest = rotate_digest(CHAIN, registry.address, solver_id, heir.address)
            signature = signer.sign(digest)
            self.accounts[heir.address] = heir
            self.machine.fund(heir.address)
            self.both(
                "rotate",
                lambda: model.request_rotation(number, solver.operator, heir.address, consents),
                lambda: registry.send(
                    solver.operator, "requestRotation", solver_id, heir.address, signature
                ),
            )
        elif (not model.paused and model.clock >= solver.heir[1]) or self.wrong("rotate"):
            self.both(
                "rotate",
                lambda: model.complete_rotation(number),
                lambda: registry.send(SYBIL.address, "completeRotation", solver_id),
            )

    def claim(self) -> None:
        """Somebody is paid."""
        owed = sorted(one for one, amount in self.model.claimable.items() if amount)
        who = self.pick("claim", owed, [JUDGES[5].address, BURN])
        if who is not None:
            self.both(
                "claim",
                lambda: self.model.claim(who),
                lambda: self.world.registry.send(SYBIL.address, "claim", who),
            )

    def pause(self) -> None:
        """The owner stops the clock, or lets it run."""
        model, owner = self.model, self.world.owner.address
        if model.paused:
            self.both("pause", model.unpause, lambda: self.world.registry.send(owner, "unpause"))
            return
        rested = model.last_pause is None or model.now >= model.last_pause + 30 * DAY
        if rested or self.wrong("pause"):
            self.both("pause", model.pause, lambda: self.world.registry.send(owner, "pause"))

    # --- receipts

    def _draft(self, number: int, typed: bool) -> tuple[Members, Tree]:
        self.made += 1
        tree = HONEST if self.random.random() < 0.7 else LIAR
        now = self.machine.now
        members = Members(
            intent=keccak(b"intent %d" % self.made),
            evidence=keccak(b"evidence %d" % (self.made // 3)),
            outcome=tree.outcome,
            created_at=now + self.random.randint(-600, 600),
            expiry=now + self.random.choice([HOUR, DAY, 12 * DAY])
            if self.random.random() < 0.4
            else 0,
            solver=number.to_bytes(32, "big"),
        )
        if typed:
            requester = SYBIL_REQUESTER if number == 1 else REQUESTER
            members = members.but(requester=requester.address, location=LOCATION)
            members = members.but(volume=self.random.choice([0, ETHER, 7 * ETHER]))
        rule = "post_typed" if typed else "post"
        if self.wrong(rule):
            fault = self.random.choice(["early", "late", "expired", "far", "again"])
            if fault == "again" and self.members:
                other = self.random.choice(sorted(self.members))
                members = members.but(intent=self.members[other].intent)
            members = members.but(
                **{
                    "early": {"created_at": now - 601},
                    "late": {"created_at": now + 601},
                    "expired": {"expiry": now},
                    "far": {"expiry": now + 30 * DAY + 1},
                }.get(fault, {})
            )
        return members, tree

    def post(self, typed: bool = False) -> None:
        """A receipt, mostly of somebody who may post."""
        model, rule = self.model, "post_typed" if typed else "post"
        clock = model.clock
        able = [
            number
            for number, one in model.solvers.items()
            if one.status(clock) == ACTIVE
            and one.bond - one.reserved >= STAKE_MIN * 4
            and not model.paused
        ]
        number = self.pick(rule, able, sorted(model.solvers))
        if number is None:
            return
        members, tree = self._draft(number, typed)
        solver = model.solvers[number]
        signer = SYBIL if self.wrong(rule) else self.accounts[solver.operator]
        volume = members.volume if typed else self.random.choice([0, ETHER, 7 * ETHER])
        hub = self.world.hub
        sender = SYBIL.address if typed or self.wrong(rule) else solver.operator
        if typed:
            identifier = members.typed_id(CHAIN, hub.address)
            call: tuple[Any, ...] = (members.claim, LOCATION, signer.sign(identifier))
            name = "postReceiptTyped"
        else:
            identifier = members.legacy_id()
            digest = members.legacy_digest(CHAIN, hub.address, solver.nonce)
            call, name = ((*members.eight, signer.sign(digest)), volume), "postReceipt"
        done = self.both(
            rule,
            lambda: model.post(
                identifier,
                solver=number,
                sender=None if typed else sender,
                signed=signer.address == solver.operator,
                intent=members.intent,
                evidence=members.evidence,
                requester=members.requester if typed else None,
                volume=volume,
                created_at=members.created_at,
                expiry=members.expiry,
            ),
            lambda: hub.send(sender, name, *call),
        )
        if done:
            self.members[identifier] = members
            self.trees[identifier] = tree
            self.touched.add(identifier)

    def live(self, holds: Callable[[Post], bool]) -> list[bytes]:
        """Return receipts of which something holds, while the clock runs."""
        if self.model.paused:
            return []
        return [one for one in sorted(self.touched) if holds(self.model.posts[one])]

    def finalize(self) -> None:
        """The end of a receipt."""
        clock = self.model.clock
        good = self.live(lambda post: post.status == PENDING and post.deadline < clock)
        one = self.pick("finalize", good, sorted(self.touched))
        if one is not None:
            self.both(
                "finalize",
                lambda: self.model.finalize(one),
                lambda: self.world.hub.send(SYBIL.address, "finalize", one),
            )

    def settle(self) -> None:
        """A promised settlement is proven."""
        clock = self.model.clock
        good = self.live(lambda post: post.expiry >= clock and post.expiry > 0 and not post.settled)
        one = self.pick("settle", good, sorted(self.touched))
        if one is None:
            return
        index = 0 if self.wrong("settle") else 1
        self.both(
            "settle",
            lambda: self.model.settle(one, index == 1),
            lambda: self.world.disputes.send(
                SYBIL.address,
                "proveSettlement",
                one,
                self.members[one].claim,
                *self.trees[one].proof(index),
            ),
        )

    # --- disputes

    def challenger(self, identifier: bytes) -> Account:
        """Solver 1 disputes itself; the others are disputed by others."""
        mine = self.model.posts[identifier].solver == 1
        return SYBIL if mine else self.random.choice(CHALLENGERS)

    def open_for(self, rule: str) -> bytes | None:
        """Choose a receipt that can be disputed."""
        clock = self.model.clock
        good = self.live(lambda post: post.status <= DISPUTED and post.deadline >= clock)
        return self.pick(rule, good, sorted(self.members))

    def prove(self) -> None:
        """A proof, of each kind."""
        one = self.open_for("prove")
        if one is None or (self.random.random() < 0.6 and not self.wrong("prove")):
            return  # proofs end receipts: leave some to the other rules
        who = self.challenger(one).address
        claim, tree = self.members[one].claim, self.trees[one]
        if tree is LIAR or self.wrong("prove"):
            self.both(
                "prove",
                lambda: self.model.prove(one, who, tree is LIAR),
                lambda: self.world.disputes.send(
                    who, "proveArtifactMismatch", one, claim, *tree.proof(0), b"one"
                ),
            )
        else:
            self._equivocate(one, who)
        self.touched.add(one)

    def _equivocate(self, one: bytes, who: str) -> None:
        lie = not self.wrong("prove")
        members = self.members[one]
        other = members.but(outcome=b"\7" * 32) if lie else members.but(route=b"\7" * 32)
        operator = self.accounts[self.model.solvers[self.model.posts[one].solver].operator]
        typed = members.location is not None
        hub = self.world.hub.address
        digest = other.typed_id(CHAIN, hub) if typed else other.legacy_digest(CHAIN, hub, 77)
        signature = operator.sign(digest)
        self.both(
            "prove",
            lambda: self.model.prove(one, who, lie),
            lambda: self.world.disputes.send(
                who,
                "proveEquivocation",
                one,
                members.claim,
                other.claim,
                typed,
                77,
                operator.address,
                signature,
            ),
        )

    def replay(self) -> None:
        """The same evidence under another intent."""
        clock, model = self.model.clock, self.model
        pairs = [
            (later, earlier)
            for later in self.live(lambda post: post.status <= DISPUTED and post.deadline >= clock)
            for earlier in sorted(self.touched)
            if earlier != later
            and model.posts[later].solver == model.posts[earlier].solver
            and model.posts[later].evidence == model.posts[earlier].evidence
            and (model.posts[earlier].posted_at, earlier) < (model.posts[later].posted_at, later)
        ]
        known = sorted(self.members)[:20]
        pair = self.pick("replay", pairs, [(a, b) for a in known for b in known])
        if pair is None:
            return
        later, earlier = pair
        who = self.challenger(later).address
        self.touched.add(later)
        self.both(
            "replay",
            lambda: model.prove_replay(later, earlier, who),
            lambda: self.world.disputes.send(
                who,
                "proveReplay",
                later,
                self.members[later].claim,
                earlier,
                self.members[earlier].claim,
            ),
        )

    def timeout(self) -> None:
        """A settlement that is overdue."""
        clock = self.model.clock
        good = self.live(
            lambda post: (
                post.status <= DISPUTED
                and 0 < post.expiry < clock <= post.deadline
                and not post.settled
            )
        )
        one = self.pick("timeout", good, sorted(self.members))
        if one is None:
            return
        who = self.challenger(one).address
        self.touched.add(one)
        self.both(
            "timeout",
            lambda: self.model.prove_timeout(one, who),
            lambda: self.world.disputes.send(who, "proveTimeout", one, self.members[one].claim),
        )

    def ask(self) -> None:
        """A question."""
        one = self.open_for("ask")
        if one is None:
            return
        who = self.challenger(one).address
        paid = self.model.posts[one].stake // 10 + self.wrong("ask")
        index = self.random.randrange(5)
        self.touched.add(one)
        self.both(
            "ask",
            lambda: self.model.ask(one, who, index, paid),
            lambda: self.world.disputes.send(
                who,
                "challengeAvailability",
                one,
                self.members[one].claim,
                index,
                value=paid,
            ),
        )

    def numbers(self, holds: Callable[[Any], bool]) -> list[int]:
        """Return open disputes of which something holds, while the clock runs."""
        if self.model.paused:
            return []
        recent = list(self.model.disputes.items())[-60:]
        return [number for number, one in recent if one.state == OPEN and holds(one)]

    def answer(self) -> None:
        """An answer."""
        model = self.model
        clock = model.clock
        good = self.numbers(lambda one: one.kind == AVAILABILITY and one.due >= clock)
        number = self.pick("answer", good, sorted(model.disputes)[-20:])
        if number is None or (self.random.random() < 0.3 and not self.wrong("answer")):
            return
        dispute = model.disputes[number]
        right = not self.wrong("answer")
        tree = self.trees[dispute.post]
        index = dispute.index if right else (dispute.index + 1) % 5
        count, root, _, leaf, path = tree.proof(index)
        self.both(
            "answer",
            lambda: model.answer(number, right),
            lambda: self.world.disputes.send(
                model.solvers[model.posts[dispute.post].solver].operator,
                "answerEntry",
                number,
                self.members[dispute.post].claim,
                count,
                root,
                leaf,
                path,
            ),
        )

    def resolve(self) -> None:
        """The end of a dispute."""
        model = self.model
        clock = model.clock
        good = self.numbers(
            lambda one: (
                one.due < clock or len(one.votes) == 3 or model.posts[one.post].status == SLASHED
            )
        )
        number = self.pick("resolve", good, sorted(model.disputes)[-20:])
        if number is not None:
            self.touched.add(model.disputes[number].post)
            self.both(
                "resolve",
                lambda: model.resolve(number),
                lambda: self.world.disputes.send(SYBIL.address, "resolve", number),
            )

    # --- arbitration

    def challenge(self) -> None:
        """A case for a panel."""
        clock = self.model.clock
        long = self.live(  # so long that a silent panel ends before the receipt does
            lambda post: post.status <= DISPUTED and post.deadline > clock + 9 * DAY
        )
        one = self.random.choice(long) if long else self.open_for("challenge")
        if one is None or len(self.model.pool) < 3:
            return
        who = self.challenger(one).address
        paid = self.model.posts[one].stake // 10 + 3 * FEE - self.wrong("challenge")
        self.touched.add(one)
        self.both(
            "challenge",
            lambda: self.model.challenge(one, who, paid),
            lambda: self.world.disputes.send(
                who,
                "challengeSubjective",
                one,
                self.members[one].claim,
                b"\6" * 32,
                value=paid,
            ),
        )

    def draw(self) -> None:
        """A panel."""
        model = self.model
        clock = model.clock
        good = self.numbers(
            lambda one: (
                one.kind == SUBJECTIVE
                and not one.panel
                and one.commit_until >= clock
                and model.block > one.seed_block
                and len(model.eligible(one)) >= 3
            )
        )
        number = self.pick("draw", good, sorted(model.disputes)[-20:])
        if number is None:
            return
        drawn = self.both(
            "draw",
            lambda: model.draw(number),
            lambda: self.world.disputes.send(SYBIL.address, "drawPanel", number),
        )
        if drawn:
            model.drawn(number, tuple(self.world.disputes.view("panelOf", number)))

    def vote(self) -> None:
        """A vote, committed or opened."""
        model = self.model
        clock = model.clock
        if self.random.random() < 0.5:
            good = self.numbers(
                lambda one: (
                    one.panel
                    and one.evidence_until < clock <= one.commit_until
                    and len(one.commitments) < 3
                )
            )
            number = self.pick("commit", good, sorted(model.disputes)[-20:])
            if number is not None:
                self._commit(number)
            return
        good = self.numbers(
            lambda one: (
                one.commit_until < clock <= one.due and len(one.votes) < len(one.commitments)
            )
        )
        number = self.pick("reveal", good, sorted(model.disputes)[-20:])
        if number is not None:
            self._reveal(number)

    def _commit(self, number: int) -> None:
        model = self.model
        dispute = model.disputes[number]
        left = [one for one in dispute.panel if one not in dispute.commitments]
        others = [*dispute.panel, JUDGES[5].address]
        who = self.random.choice(others if self.wrong("commit") or not left else left)
        fault, salt = self.random.random() < 0.5, self.random.randbytes(32)
        vote = abi_encode(["uint256", "address", "bool", "bytes32"], (number, who, fault, salt))
        done = self.both(
            "commit",
            lambda: model.commit(number, who, fault, salt),
            lambda: self.world.disputes.send(who, "commitVote", number, keccak(vote)),
        )
        if done:
            self.salts[number, who] = (fault, salt)

    def _reveal(self, number: int) -> None:
        model = self.model
        dispute = model.disputes[number]
        left = [one for one in dispute.commitments if one not in dispute.votes]
        others = [*dispute.commitments, JUDGES[5].address]
        who = self.random.choice(others if self.wrong("reveal") or not left else left)
        fault, salt = self.salts.get((number, who), (True, b"\0" * 32))
        if self.wrong("reveal"):
            fault = not fault
        self.both(
            "reveal",
            lambda: model.reveal(number, who, fault, salt),
            lambda: self.world.disputes.send(who, "revealVote", number, fault, salt),
        )

    def apply(self, judge: Account | None = None) -> None:
        """A stake of a judge."""
        new = [one for one in JUDGES[:5] if one.address not in self.model.arbitrators]
        who = judge or self.pick("apply", new, JUDGES[:5])
        if who is None:
            return
        paid = STAKE_MIN - self.wrong("apply")
        self.both(
            "apply",
            lambda: self.model.apply(who.address, paid),
            lambda: self.world.disputes.send(who.address, "applyAsArbitrator", value=paid),
        )

    def admit(self, arbitrator: str | None = None) -> None:
        """The owner's word."""
        model = self.model
        good = (
            [one for one, found in model.arbitrators.items() if not found.drawable]
            if not model.paused
            else []
        )
        who = arbitrator or self.pick("admit", good, [one.address for one in JUDGES])
        if who is not None:
            self.both(
                "admit",
                lambda: model.admit(who),
                lambda: self.world.disputes.send(self.world.owner.address, "admitArbitrator", who),
            )

    def depart(self) -> None:
        """Somebody stops judging, or is not to be drawn any more."""
        model, everyone = self.model, [one.address for one in JUDGES]
        if self.random.random() < 0.5:
            who = self.pick("dismiss", model.pool[4:], everyone)
            if who is not None:
                self.both(
                    "dismiss",
                    partial(model.dismiss, who),
                    partial(
                        self.world.disputes.send,
                        self.world.owner.address,
                        "dismissArbitrator",
                        who,
                    ),
                )
            return
        free = [one for one, found in model.arbitrators.items() if not found.cases]
        who = self.pick("leave", free if len(free) > 3 else [], everyone)
        if who is not None:
            self.both(
                "leave",
                lambda: model.leave(who),
                lambda: self.world.disputes.send(who, "leave"),
            )

    # --- the end of the world

    def unwind(self) -> None:
        """Time and strangers alone: every lock opens, everybody is paid, nothing is left."""
        model = self.model
        self.tick(60 * DAY)  # whatever pause there was is over, whatever was due is
        assert not model.paused
        for number, dispute in model.disputes.items():
            if dispute.state == OPEN:
                self.touched.add(dispute.post)
                model.resolve(number)
                self.world.disputes.send(SYBIL.address, "resolve", number)
        for identifier, post in model.posts.items():
            if post.status == PENDING:
                self.touched.add(identifier)
                model.finalize(identifier)
                self.world.hub.send(SYBIL.address, "finalize", identifier)
        assert all(post.status > DISPUTED for post in model.posts.values())
        self.compare()
        self._empty()

    def _empty(self) -> None:
        model, registry = self.model, self.world.registry
        for judge in list(model.arbitrators):
            model.leave(judge)
            self.world.disputes.send(judge, "leave")
        for number, solver in model.solvers.items():
            if solver.asked:
                model.cancel_withdrawal(number, solver.operator)
                registry.send(solver.operator, "cancelWithdrawal", number.to_bytes(32, "big"))
            if solver.bond:
                model.request_withdrawal(number, solver.operator, solver.bond)
                registry.send(
                    solver.operator, "requestWithdrawal", number.to_bytes(32, "big"), solver.bond
                )
        self.tick(7 * DAY)
        for number, solver in model.solvers.items():
            if solver.asked:
                model.withdraw(number, solver.operator)
                registry.send(solver.operator, "withdrawBond", number.to_bytes(32, "big"))
        for one in [one for one, amount in model.claimable.items() if amount]:
            model.claim(one)
            registry.send(SYBIL.address, "claim", one)
        assert model.escrowed == model.bonded == 0
        assert self.world.balance() == 0, "money is stuck"


# Calls by which solver 1 may rightly come to money: somebody else pays, or it is no dispute.
GENEROUS = {"deposit", "claim", "register"}
