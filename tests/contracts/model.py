# SPDX-License-Identifier: Apache-2.0
"""The contracts once more, in Python: what each call must do, or by which error it is refused.

Written from the rules, not from the sources: money is whole numbers in dictionaries, times are
plain, nothing is packed. A test drives both and compares them after every call.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.contracts.revm import BURN, DAY, ETHER, HOUR

STAKE_MIN = ETHER // 10
FEE = 3 * 10**15
PENALTY = 2 * FEE
PENDING, DISPUTED, FINALIZED, SLASHED, UNRESOLVED = range(5)
INACTIVE, ACTIVE, JAILED, BANNED = range(4)
OPEN, UPHELD, REJECTED, MOOT, UNDECIDED = range(1, 6)
AVAILABILITY, SUBJECTIVE = 9, 8


class Refusal(Exception):
    """What the contracts must answer."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def need(holds: bool, name: str) -> None:
    """Refuse by that name unless something holds."""
    if not holds:
        raise Refusal(name)


def stake_for(volume: int) -> int:
    """Return the stake of a receipt."""
    return max(STAKE_MIN, -(-volume * 5 // 100))


@dataclass
class Solver:
    """A solver."""

    operator: str
    bond: int = 0
    reserved: int = 0
    finalized: int = 0
    lost: int = 0
    strikes: int = 0
    jailed_until: int = 0
    nonce: int = 0
    asked: tuple[int, int, int] | None = None  # amount, ready, expires
    heir: tuple[str, int] | None = None

    def status(self, clock: int) -> int:
        """Return the status that follows from the rest."""
        if self.strikes >= 3:
            return BANNED
        if clock < self.jailed_until:
            return JAILED
        return ACTIVE if self.bond >= STAKE_MIN else INACTIVE


@dataclass
class Post:
    """A receipt."""

    solver: int
    intent: bytes
    evidence: bytes
    requester: str | None
    volume: int
    posted_at: int
    deadline: int
    expiry: int  # on the clock; 0 promises nothing
    status: int = PENDING
    open: int = 0
    settled: bool = False
    unresolved: bool = False

    @property
    def stake(self) -> int:
        """What it can cost."""
        return stake_for(self.volume)


@dataclass
class Dispute:
    """A dispute that takes time."""

    post: bytes
    challenger: str
    kind: int
    bond: int
    due: int
    index: int = 0
    evidence_until: int = 0
    commit_until: int = 0
    seed_block: int = 0
    panel: tuple[str, ...] = ()
    commitments: dict[str, tuple[bool, bytes]] = field(default_factory=dict)
    votes: dict[str, bool] = field(default_factory=dict)
    state: int = OPEN


@dataclass
class Arbitrator:
    """Somebody who judges."""

    stake: int
    cases: int = 0
    drawable: int = 0


class Model:
    """The state of the three contracts."""

    def __init__(self, treasury: str) -> None:
        self.treasury = treasury
        self.now = 0
        self.block = 0
        self.frozen = 0
        self.paused_at: int | None = None
        self.last_pause: int | None = None
        self.window = HOUR
        self.solvers: dict[int, Solver] = {}
        self.keys: dict[str, int] = {}
        self.posts: dict[bytes, Post] = {}
        self.posted: set[tuple[int, bytes]] = set()
        self.disputes: dict[int, Dispute] = {}
        self.arbitrators: dict[str, Arbitrator] = {}
        self.pool: list[str] = []
        self.escrowed = 0
        self.claimable: dict[str, int] = defaultdict(int)

    # --- the clock

    def _paused_for(self) -> int:
        if self.paused_at is None:
            return 0
        return min(self.now, self.paused_at + 7 * DAY) - self.paused_at

    @property
    def clock(self) -> int:
        """Time less pauses."""
        return self.now - self.frozen - self._paused_for()

    @property
    def paused(self) -> bool:
        """Whether the clock stands still."""
        return self.paused_at is not None and self.now < self.paused_at + 7 * DAY

    def running(self) -> int:
        """Return the clock, or refuse."""
        need(not self.paused, "EnforcedPause")
        return self.clock

    def pause(self) -> None:
        """Stop the clock."""
        rare = self.last_pause is None or self.now >= self.last_pause + 30 * DAY
        need(not self.paused and rare, "PausedTooOften")
        self.frozen += self._paused_for()
        self.paused_at = self.last_pause = self.now

    def unpause(self) -> None:
        """Let it run."""
        need(self.paused, "ExpectedPause")
        self.frozen += self._paused_for()
        self.paused_at = None

    # --- money

    @property
    def bonded(self) -> int:
        """All bonds."""
        return sum(one.bond for one in self.solvers.values())

    def credit(self, account: str, amount: int, *, escrow: bool = False) -> None:
        """Make money claimable."""
        if escrow:
            assert amount <= self.escrowed
            self.escrowed -= amount
        self.claimable[account] += amount

    def claim(self, account: str) -> int:
        """Pay out."""
        need(self.claimable[account] > 0, "NothingToClaim")
        return self.claimable.pop(account)

    # --- solvers

    def register(self, operator: str) -> bool:
        """Add a solver."""
        self.running()
        need(operator not in self.keys, "SolverAlreadyRegistered")
        self.solvers[len(self.solvers) + 1] = Solver(operator)
        self.keys[operator] = len(self.solvers)
        return True

    def deposit(self, solver: int, amount: int) -> None:
        """Add to a bond."""
        self.running()
        need(amount > 0, "ZeroAmount")
        self.solvers[solver].bond += amount

    def _operated(self, solver: int, sender: str) -> Solver:
        need(self.solvers[solver].operator == sender, "NotSolverOperator")
        return self.solvers[solver]

    def request_withdrawal(self, solver: int, sender: str, amount: int) -> None:
        """Ask for a part of the bond."""
        clock = self.running()
        one = self._operated(solver, sender)
        need(amount > 0, "ZeroAmount")
        need(one.asked is None, "WithdrawalPending")
        need(amount <= one.bond - one.reserved, "BondLocked")
        one.reserved += amount
        one.asked = (amount, clock + 7 * DAY, clock + 14 * DAY)

    def cancel_withdrawal(self, solver: int, sender: str) -> None:
        """Take it back."""
        one = self._operated(solver, sender)
        need(one.asked is not None, "NoWithdrawal")
        assert one.asked is not None
        one.reserved -= one.asked[0]
        one.asked = None

    def withdraw(self, solver: int, sender: str) -> None:
        """Make it claimable."""
        clock = self.running()
        one = self._operated(solver, sender)
        need(one.asked is not None, "NoWithdrawal")
        assert one.asked is not None
        amount, ready, expires = one.asked
        need(clock >= ready, "WithdrawalCooldownActive")
        need(clock <= expires, "WithdrawalExpired")
        one.bond -= amount
        one.reserved -= amount
        one.asked = None
        self.credit(sender, amount)

    def request_rotation(self, solver: int, sender: str, heir: str, consents: bool) -> None:
        """Ask to be followed."""
        clock = self.running()
        one = self._operated(solver, sender)
        need(heir not in self.keys, "SolverAlreadyRegistered")
        need(consents, "InvalidConsent")
        one.heir = (heir, clock + 2 * DAY)

    def complete_rotation(self, solver: int) -> None:
        """Let the heir follow."""
        clock = self.running()
        one = self.solvers[solver]
        need(one.heir is not None, "NoRotation")
        assert one.heir is not None
        need(clock >= one.heir[1], "RotationNotReady")
        need(one.heir[0] not in self.keys, "SolverAlreadyRegistered")
        one.operator = one.heir[0]
        self.keys[one.operator] = solver
        one.heir = None

    # --- receipts

    def post(
        self,
        identifier: bytes,
        *,
        solver: int,
        sender: str | None,
        signed: bool,
        intent: bytes,
        evidence: bytes,
        requester: str | None,
        volume: int,
        created_at: int,
        expiry: int,
    ) -> bool:
        """Post; `sender` matters for the source's form only."""
        clock = self.running()
        need(solver in self.solvers, "SolverNotFound")
        one = self.solvers[solver]
        need(one.status(clock) == ACTIVE, "InvalidSolver")
        need(stake_for(volume) <= one.bond - one.reserved, "InsufficientBondForVolume")
        if sender is not None:
            need(sender == one.operator, "InvalidSolver")
        need(signed, "InvalidReceiptSignature")
        need(abs(created_at - self.now) <= 600, "CreatedAtOutOfRange")
        need((solver, intent) not in self.posted, "ReceiptAlreadyExists")
        ahead = 0
        if expiry:
            need(expiry > self.now, "ReceiptExpired")
            need(expiry <= self.now + 30 * DAY, "ExpiryTooFar")
            ahead = expiry - self.now
        one.reserved += stake_for(volume)
        one.nonce += sender is not None
        self.posted.add((solver, intent))
        self.posts[identifier] = Post(
            solver,
            intent,
            evidence,
            requester,
            volume,
            self.now,
            clock + ahead + self.window,
            clock + ahead if expiry else 0,
        )
        return True

    def _end(self, post: Post) -> None:
        solver = self.solvers[post.solver]
        solver.reserved -= post.stake
        post.status = UNRESOLVED if post.unresolved else FINALIZED
        solver.finalized += not post.unresolved

    def finalize(self, identifier: bytes) -> None:
        """End a receipt that nobody disputes."""
        need(identifier in self.posts, "ReceiptNotFound")
        post = self.posts[identifier]
        need(post.status == PENDING, "ReceiptNotPending")
        need(self.running() > post.deadline, "ChallengeWindowActive")
        self._end(post)

    def _challengeable(self, post: Post) -> None:
        need(post.status <= DISPUTED, "ReceiptNotPending")
        need(self.running() <= post.deadline, "ChallengeWindowExpired")

    def _slash(self, post: Post, challenger: str) -> None:
        clock = self.running()
        solver, stake = self.solvers[post.solver], post.stake
        post.status = SLASHED
        solver.bond -= stake
        solver.reserved -= stake
        solver.lost += 1
        solver.strikes = min(solver.strikes + 1, 3)
        solver.jailed_until = clock + 7 * DAY
        rest = stake - stake * 20 // 100
        shares = {challenger: rest * 15 // 100}
        shares[self.treasury] = shares.get(self.treasury, 0) + rest * 5 // 100
        if post.requester is not None:
            shares[post.requester] = shares.get(post.requester, 0) + rest * 80 // 100
        for account, amount in shares.items():
            self.credit(account, amount)
        self.credit(BURN, stake - sum(shares.values()))

    def prove(self, identifier: bytes, challenger: str, contradiction: bool) -> None:
        """Show something that is or is not a proof."""
        need(identifier in self.posts, "ReceiptNotFound")
        need(contradiction, "NoContradiction")
        self._challengeable(self.posts[identifier])
        self._slash(self.posts[identifier], challenger)

    def prove_replay(self, identifier: bytes, earlier: bytes, challenger: str) -> None:
        """Show that evidence was posted before."""
        later, before = self.posts[identifier], self.posts[earlier]
        same = later.solver == before.solver and later.evidence == before.evidence
        order = (before.posted_at, earlier) <= (later.posted_at, identifier)
        self.prove(identifier, challenger, same and later.intent != before.intent and order)

    def prove_timeout(self, identifier: bytes, challenger: str) -> None:
        """Show that a settlement is overdue."""
        need(identifier in self.posts, "ReceiptNotFound")
        post = self.posts[identifier]
        need(post.expiry > 0 and not post.settled, "NoContradiction")
        need(self.running() > post.expiry, "SettlementWindowActive")
        self.prove(identifier, challenger, contradiction=True)

    def settle(self, identifier: bytes, proven: bool) -> None:
        """Prove a settlement."""
        post = self.posts[identifier]
        need(proven, "InvalidProof")
        need(post.expiry > 0 and not post.settled, "NothingToSettle")
        need(self.running() <= post.expiry, "ReceiptExpired")
        post.settled = True

    # --- disputes

    def _open(self, identifier: bytes, dispute: Dispute, paid: int) -> int:
        post = self.posts[identifier]
        self._challengeable(post)
        post.status = DISPUTED
        post.open += 1
        self.escrowed += paid
        self.disputes[len(self.disputes) + 1] = dispute
        return len(self.disputes)

    def ask(self, identifier: bytes, challenger: str, index: int, paid: int) -> int:
        """Ask for an entry."""
        post = self.posts[identifier]
        need(paid == post.stake // 10, "InsufficientChallengerBond")
        due = self.clock + DAY
        return self._open(
            identifier, Dispute(identifier, challenger, AVAILABILITY, paid, due, index), paid
        )

    def challenge(self, identifier: bytes, challenger: str, paid: int) -> int:
        """Ask a panel."""
        bond = self.posts[identifier].stake // 10
        need(paid == bond + 3 * FEE, "InsufficientChallengerBond")
        need(len(self.pool) >= 3, "NoPanel")
        clock = self.clock
        dispute = Dispute(identifier, challenger, SUBJECTIVE, bond, clock + 8 * DAY)
        dispute.evidence_until = clock + DAY
        dispute.commit_until = clock + 5 * DAY
        dispute.seed_block = self.block + 1
        return self._open(identifier, dispute, paid)

    def _pending(self, number: int) -> Dispute:
        need(number in self.disputes, "DisputeNotFound")
        need(self.disputes[number].state == OPEN, "DisputeAlreadyResolved")
        return self.disputes[number]

    def answer(self, number: int, proven: bool) -> None:
        """Answer a question."""
        dispute = self._pending(number)
        need(dispute.kind == AVAILABILITY, "InvalidDisputeReason")
        need(self.running() <= dispute.due, "ResponseWindowClosed")
        need(proven, "InvalidProof")
        self._reject(dispute, 0)

    def _close(self, post: Post, unresolved: bool) -> None:
        post.open -= 1
        post.unresolved |= unresolved
        if post.open == 0:
            post.status = PENDING
            if post.unresolved and self.running() > post.deadline:
                self._end(post)

    def _reject(self, dispute: Dispute, refund: int) -> None:
        post = self.posts[dispute.post]
        if post.status == SLASHED:
            dispute.state = MOOT
            self.credit(dispute.challenger, dispute.bond + refund, escrow=True)
            return
        dispute.state = REJECTED
        self.credit(dispute.challenger, refund, escrow=True)
        half = dispute.bond // 2
        self.credit(self.solvers[post.solver].operator, half, escrow=True)
        self.credit(BURN, dispute.bond - half, escrow=True)
        self._close(post, unresolved=False)

    def _uphold(self, dispute: Dispute, refund: int) -> None:
        dispute.state = UPHELD
        self.credit(dispute.challenger, dispute.bond + refund, escrow=True)
        self._slash(self.posts[dispute.post], dispute.challenger)

    def resolve(self, number: int) -> None:
        """End a dispute."""
        clock = self.running()
        dispute = self._pending(number)
        moot = self.posts[dispute.post].status == SLASHED
        if dispute.kind == AVAILABILITY:
            if moot:
                self._reject(dispute, 0)
                return
            need(clock > dispute.due, "ResponseWindowActive")
            self._uphold(dispute, 0)
            return
        need(moot or clock > dispute.due or len(dispute.votes) == 3, "ArbitrationActive")
        self._decide(dispute, moot)

    def _decide(self, dispute: Dispute, moot: bool) -> None:
        silent = [one for one in dispute.panel if one not in dispute.votes]
        for one in dispute.panel:
            self.arbitrators[one].cases -= 1
        for one in dispute.votes:
            self.credit(one, FEE, escrow=True)
        fines = 0
        if not moot:
            for one in silent:
                self.arbitrators[one].stake -= PENALTY
                fines += PENALTY
        refund = (3 - len(dispute.votes)) * FEE
        at_fault = sum(dispute.votes.values())
        if moot:
            self._reject(dispute, refund)
        elif at_fault >= 2:
            self.credit(BURN, fines, escrow=True)
            self._uphold(dispute, refund)
        elif len(dispute.votes) - at_fault >= 2:
            self.credit(BURN, fines, escrow=True)
            self._reject(dispute, refund)
        else:
            dispute.state = UNDECIDED
            self.credit(dispute.challenger, dispute.bond + 3 * FEE, escrow=True)
            self.credit(BURN, fines - len(dispute.votes) * FEE, escrow=True)
            self._close(self.posts[dispute.post], unresolved=True)

    # --- arbitrators

    def apply(self, sender: str, paid: int) -> None:
        """Put a stake down."""
        need(sender not in self.arbitrators, "AlreadyApplied")
        need(paid == STAKE_MIN, "InvalidStake")
        self.arbitrators[sender] = Arbitrator(paid)
        self.escrowed += paid

    def admit(self, arbitrator: str) -> None:
        """Let somebody be drawn."""
        found = self.arbitrators.get(arbitrator)
        need(
            found is not None and found.stake >= PENALTY and not found.drawable,
            "InvalidArbitrator",
        )
        assert found is not None
        found.drawable = self.running() + 7 * DAY
        self.pool.append(arbitrator)

    def dismiss(self, arbitrator: str) -> None:
        """Draw somebody no more."""
        need(arbitrator in self.pool, "InvalidArbitrator")
        self.pool.remove(arbitrator)
        self.arbitrators[arbitrator].drawable = 0

    def leave(self, sender: str) -> None:
        """Stop judging."""
        found = self.arbitrators.get(sender)
        need(found is not None and found.stake > 0, "InvalidArbitrator")
        assert found is not None
        need(found.cases == 0, "ArbitrationActive")
        if sender in self.pool:
            self.pool.remove(sender)
        del self.arbitrators[sender]
        self.credit(sender, found.stake, escrow=True)

    def eligible(self, dispute: Dispute) -> set[str]:
        """Return who can be drawn."""
        post = self.posts[dispute.post]
        parties = {dispute.challenger, post.requester, self.solvers[post.solver].operator}
        return {
            one
            for one in self.pool
            if self.arbitrators[one].drawable <= self.clock
            and self.arbitrators[one].stake >= (self.arbitrators[one].cases + 1) * PENALTY
            and one not in parties
        }

    def draw(self, number: int) -> bool:
        """Prepare a draw; whom the block's hash names is told afterwards. False: a new seed."""
        dispute = self._arbitrated(number)
        clock = self.running()
        need(not dispute.panel, "PanelAlreadyDrawn")
        need(clock <= dispute.commit_until, "CommitWindowClosed")
        need(self.block > dispute.seed_block, "SeedNotReady")
        if self.block - dispute.seed_block > 255:
            dispute.seed_block = self.block + 1
            return False
        need(len(self.eligible(dispute)) >= 3, "NoPanel")
        return True

    def drawn(self, number: int, panel: tuple[str, ...]) -> None:
        """Take the panel that was drawn."""
        dispute = self.disputes[number]
        assert len(set(panel)) == 3 and set(panel) <= self.eligible(dispute)
        dispute.panel = panel
        for one in panel:
            self.arbitrators[one].cases += 1

    def _arbitrated(self, number: int) -> Dispute:
        dispute = self._pending(number)
        need(dispute.kind == SUBJECTIVE, "InvalidDisputeReason")
        return dispute

    def commit(self, number: int, sender: str, fault: bool, salt: bytes) -> bool:
        """Commit a vote."""
        dispute = self._arbitrated(number)
        need(sender in dispute.panel, "NotAuthorizedArbitrator")
        clock = self.running()
        need(clock > dispute.evidence_until, "EvidenceWindowActive")
        need(clock <= dispute.commit_until, "CommitWindowClosed")
        need(sender not in dispute.commitments, "InvalidVote")
        dispute.commitments[sender] = (fault, salt)
        return True

    def reveal(self, number: int, sender: str, fault: bool, salt: bytes) -> None:
        """Open a vote."""
        dispute = self._arbitrated(number)
        need(sender in dispute.panel, "NotAuthorizedArbitrator")
        clock = self.running()
        need(clock > dispute.commit_until, "CommitWindowActive")
        need(clock <= dispute.due, "RevealWindowClosed")
        told = dispute.commitments.get(sender) == (fault, salt)
        need(sender not in dispute.votes and told, "InvalidVote")
        dispute.votes[sender] = fault
