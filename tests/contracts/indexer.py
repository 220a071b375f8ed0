# SPDX-License-Identifier: Apache-2.0
"""All state of the contracts, rebuilt from what they told and from the times of the blocks.

It asks no contract anything. What follows from time (jail, an expired pause) it reckons by itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.contracts.revm import DAY, ETHER, ZERO, Event

_DISPUTED, _SLASHED = 1, 3
_OPEN = 1
_FEE = 3 * 10**15
_CAPITAL = re.compile("(?=[A-Z])")  # PanelDrawn: _panel_drawn


@dataclass
class Solver:
    """What `getSolver` gives, the status aside, and what else the registry keeps of a solver."""

    operator: str
    registered_at: int
    strikes: int = 0
    jailed_until: int = 0
    bond: int = 0
    reserved: int = 0
    finalized: int = 0
    lost: int = 0
    withdrawal: tuple[int, int, int] = (0, 0, 0)
    rotation: tuple[str, int] = (ZERO, 0)

    def status(self, clock: int) -> int:
        """Return what the registry computes."""
        if self.strikes >= 3:
            return 3
        if clock < self.jailed_until:
            return 2
        return int(self.bond >= ETHER // 10)


@dataclass
class Post:
    """What `getPost` gives."""

    solver: bytes
    intent: bytes
    posted_at: int
    expiry: int
    status: int = 0
    requester: str | None = None
    settled: bool = False
    unresolved: bool = False
    open: int = 0
    deadline: int = 0
    volume: int = 0

    @property
    def stake(self) -> int:
        """The bond that it requires."""
        return max(ETHER // 10, (self.volume * 500 + 9_999) // 10_000)


@dataclass
class Dispute:
    """What `disputes` gives, with the panel and its votes."""

    values: dict[str, Any]
    state: int = _OPEN
    panel: tuple[str, ...] = (ZERO,) * 3
    drawn: bool = False
    seed_block: int = 0
    commitments: dict[str, bytes] = field(default_factory=dict)
    votes: dict[str, int] = field(default_factory=dict)


class Index:
    """What somebody knows who read every event, in order."""

    def __init__(self) -> None:
        self.solvers: dict[bytes, Solver] = {}
        self.keys: dict[str, tuple[int, int, int]] = {}
        self.posts: dict[bytes, Post] = {}
        self.post_of: dict[tuple[bytes, bytes], bytes] = {}
        self.nonces: defaultdict[bytes, int] = defaultdict(int)
        self.disputes: dict[int, Dispute] = {}
        self.arbitrators: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self.pool: list[str] = []
        self.claimable: defaultdict[str, int] = defaultdict(int)
        self.named: dict[str, Any] = {"heir": ZERO}  # single values, by the names of their views
        self.bonded = self.escrowed = 0
        self._frozen = 0  # before the pause that there is, or was
        self._pause: tuple[int, int] | None = None
        self._now = 0

    def clock(self, now: int) -> int:
        """Return the time in which deadlines count."""
        held = 0 if self._pause is None else min(now, self._pause[1]) - self._pause[0]
        return now - self._frozen - held

    def hear(self, events: list[Event], now: int) -> None:
        """Take in what one transaction told, in a block of that time."""
        self._now = now
        for event in events:
            getattr(self, _CAPITAL.sub("_", event.name).lower())(event.values)

    # --- the registry

    def _solver_registered(self, told: dict[str, Any]) -> None:
        number = int.from_bytes(told["solverId"], "big")
        self.solvers[told["solverId"]] = Solver(told["operator"], self._now)
        self.keys[told["operator"]] = (number, self._now, 0)

    def _bond_deposited(self, told: dict[str, Any]) -> None:
        solver = self.solvers[told["solverId"]]
        solver.bond += told["amount"]
        assert solver.bond == told["bond"]
        self.bonded += told["amount"]

    def _withdrawal_requested(self, told: dict[str, Any]) -> None:
        solver = self.solvers[told["solverId"]]
        solver.reserved += told["amount"]
        solver.withdrawal = (told["amount"], told["readyAt"], told["expiresAt"])

    def _withdrawal_cancelled(self, told: dict[str, Any]) -> None:
        solver = self.solvers[told["solverId"]]
        solver.reserved -= told["amount"]
        solver.withdrawal = (0, 0, 0)

    def _bond_withdrawn(self, told: dict[str, Any]) -> None:
        self._withdrawal_cancelled(told)
        solver = self.solvers[told["solverId"]]
        solver.bond -= told["amount"]
        assert solver.bond == told["bond"]
        self.bonded -= told["amount"]
        self.escrowed += told["amount"]  # `Credited` has taken it from there

    def _rotation_requested(self, told: dict[str, Any]) -> None:
        self.solvers[told["solverId"]].rotation = (told["operator"], told["readyAt"])

    def _rotation_cancelled(self, told: dict[str, Any]) -> None:
        self.solvers[told["solverId"]].rotation = (ZERO, 0)

    def _operator_key_rotated(self, told: dict[str, Any]) -> None:
        self._rotation_cancelled(told)
        old, new = told["oldOperator"], told["newOperator"]
        number, since, _ = self.keys[old]
        self.keys[old] = (number, since, self._now)
        self.keys[new] = (number, self._now, 0)
        self.solvers[told["solverId"]].operator = new

    def _stake_released(self, told: dict[str, Any]) -> None:
        solver = self.solvers[told["solverId"]]
        solver.reserved -= told["stake"]
        solver.finalized += told["raised"]

    def _solver_slashed(self, told: dict[str, Any]) -> None:
        solver = self.solvers[told["solverId"]]
        solver.reserved -= told["stake"]
        solver.bond -= told["stake"]
        solver.lost += 1
        self.bonded -= told["stake"]
        self.escrowed += told["stake"]  # its shares were credited

    def _solver_status_changed(self, told: dict[str, Any]) -> None:
        solver = self.solvers[told["solverId"]]
        solver.strikes, solver.jailed_until = told["strikes"], told["jailedUntil"]
        assert told["status"] == solver.status(self.clock(self._now))

    def _escrowed(self, told: dict[str, Any]) -> None:
        self.escrowed += told["amount"]

    def _credited(self, told: dict[str, Any]) -> None:
        self.claimable[told["account"]] += told["amount"]
        self.escrowed -= told["amount"]

    def _claimed(self, told: dict[str, Any]) -> None:
        self.claimable[told["account"]] -= told["amount"]

    def _paused(self, told: dict[str, Any]) -> None:
        self._frozen = self._now - self.clock(self._now)
        self._pause = (self._now, told["until"])
        assert told["until"] == self._now + 7 * DAY

    def _unpaused(self, told: dict[str, Any]) -> None:
        assert told["frozen"] == self._now - self.clock(self._now)
        self._frozen, self._pause = told["frozen"], None

    def _modules_wired(self, told: dict[str, Any]) -> None:
        self.named |= told

    def _ownership_offered(self, told: dict[str, Any]) -> None:
        self.named["heir"] = told["heir"]

    def _ownership_transferred(self, told: dict[str, Any]) -> None:
        self.named |= {"owner": told["owner"], "heir": ZERO}

    # --- the hub

    def _receipt_posted(self, told: dict[str, Any]) -> None:
        solver, intent = told["solverId"], told["intentHash"]
        self.posts[told["receiptId"]] = Post(solver, intent, self._now, told["expiry"])
        self.post_of[solver, intent] = told["receiptId"]

    def _receipt_recorded(self, told: dict[str, Any]) -> None:
        post = self.posts[told["receiptId"]]
        post.deadline, post.volume = told["deadline"], told["declaredVolume"]
        # The time of the promise, in the clock of the deadlines.
        post.expiry = post.expiry and post.deadline - self.named["challengeWindow"]
        self.solvers[post.solver].reserved += post.stake
        if "nonce" in told:
            self.nonces[post.solver] = told["nonce"] + 1

    def _typed_receipt_recorded(self, told: dict[str, Any]) -> None:
        self.posts[told["receiptId"]].requester = told["requester"]
        self._receipt_recorded(told)

    def _dispute_opened(self, told: dict[str, Any]) -> None:
        post = self.posts[told["receiptId"]]
        post.status = _DISPUTED
        post.open += told["reason"] in (8, 9)  # the others decide at once

    def _dispute_closed(self, told: dict[str, Any]) -> None:
        post = self.posts[told["receiptId"]]
        post.status, post.open = told["status"], told["openDisputes"]
        post.unresolved |= told["unresolved"]

    def _receipt_finalized(self, told: dict[str, Any]) -> None:
        self.posts[told["receiptId"]].status = 2

    def _receipt_unresolved(self, told: dict[str, Any]) -> None:
        self.posts[told["receiptId"]].status = 4

    def _receipt_slashed(self, told: dict[str, Any]) -> None:
        self.posts[told["receiptId"]].status = _SLASHED

    def _settlement_proven(self, told: dict[str, Any]) -> None:
        self.posts[told["receiptId"]].settled = True

    def _challenge_window_changed(self, told: dict[str, Any]) -> None:
        self.named["challengeWindow"] = told["window"]

    # --- the dispute module

    def _availability_challenged(self, told: dict[str, Any]) -> None:
        self.disputes[told["disputeId"]] = Dispute(told)

    def _subjective_challenged(self, told: dict[str, Any]) -> None:
        self.disputes[told["disputeId"]] = Dispute(told, seed_block=told["seedBlock"])

    def _availability_answered(self, told: dict[str, Any]) -> None:
        """Nothing is kept; `DisputeResolved` follows."""

    _manifest_revealed = _evidence_submitted = _availability_answered

    def _panel_drawn(self, told: dict[str, Any]) -> None:
        dispute = self.disputes[told["disputeId"]]
        dispute.panel, dispute.drawn = tuple(told["panel"]), True
        for one in dispute.panel:
            self.arbitrators[one][1] += 1

    def _panel_reseeded(self, told: dict[str, Any]) -> None:
        self.disputes[told["disputeId"]].seed_block = told["seedBlock"]

    def _vote_committed(self, told: dict[str, Any]) -> None:
        self.disputes[told["disputeId"]].commitments[told["arbitrator"]] = told["commitment"]

    def _vote_revealed(self, told: dict[str, Any]) -> None:
        self.disputes[told["disputeId"]].votes[told["arbitrator"]] = 1 + told["fault"]

    def _dispute_resolved(self, told: dict[str, Any]) -> None:
        dispute = self.disputes[told["disputeId"]]
        dispute.state = told["state"]
        if dispute.drawn:
            for one in dispute.panel:
                self.arbitrators[one][1] -= 1

    def _arbitrator_applied(self, told: dict[str, Any]) -> None:
        self.arbitrators[told["arbitrator"]] = [told["stake"], 0, 0]

    def _arbitrator_admitted(self, told: dict[str, Any]) -> None:
        self.arbitrators[told["arbitrator"]][2] = told["drawableAt"]
        self.pool.append(told["arbitrator"])

    def _arbitrator_dismissed(self, told: dict[str, Any]) -> None:
        who = told["arbitrator"]
        self.arbitrators[who][2] = 0
        last = self.pool.pop()
        if last != who:
            self.pool[self.pool.index(who)] = last

    def _arbitrator_left(self, told: dict[str, Any]) -> None:
        who = told["arbitrator"]
        if who in self.pool:
            self._arbitrator_dismissed(told)
        self.arbitrators[who] = [0, 0, 0]

    def _arbitrator_paid(self, told: dict[str, Any]) -> None:
        assert told["fee"] == _FEE  # `Credited` has it

    def _arbitrator_penalised(self, told: dict[str, Any]) -> None:
        self.arbitrators[told["arbitrator"]][0] -= told["penalty"]
