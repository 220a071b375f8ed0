# SPDX-License-Identifier: Apache-2.0
"""Whatever is called, in whatever order: the money adds up, and everybody gets out.

Hypothesis chooses which calls come, time and again; after each one the contracts are compared with
the model, and the registry's money with the books. Each run ends with time alone: strangers end
every dispute and every receipt, everybody withdraws, and nothing may be left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from tests.contracts.drive import Drive, Seen
from tests.contracts.revm import DAY, HOUR

SHARDS = 2
CALLS_MIN = 100_000  # of all shards together
EXAMPLES = int(os.environ.get("TALLY_CHAIN_EXAMPLES", "30"))  # of each shard
STEPS = 100
TURNS_MAX = 4  # a shard whose examples were short, or met too little, has more turns

# How often a rule tries before Hypothesis chooses again.
BURSTS = {
    "register": 2,
    "deposit": 6,
    "withdraw": 10,
    "rotate": 5,
    "claim": 12,
    "post": 24,
    "post_typed": 24,
    "finalize": 40,
    "settle": 10,
    "prove": 4,
    "replay": 4,
    "timeout": 10,
    "ask": 8,
    "answer": 12,
    "resolve": 25,
    "challenge": 5,
    "draw": 10,
    "vote": 24,
    "apply": 1,
    "admit": 2,
    "depart": 2,
}
# And how often others try then.
MEANWHILE = 40
RULES = {*BURSTS, "pause", "commit", "reveal", "dismiss", "leave"} - {"vote", "depart"}
MOVES = {
    *(("post", was, now) for was, now in ((0, 1), (0, 2), (0, 3), (0, 4), (1, 0), (1, 3), (1, 4))),
    *(
        ("solver", was, now)
        for was, now in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 1), (1, 3), (2, 3))
    ),
}
# Right too, but too rare to be waited for: other tests bring them about.
RARE = {("solver", 0, 3), ("solver", 2, 0)}
# Every error that the calls of these rules can meet, each met.
ERRORS = {
    "AlreadyApplied",
    "ArbitrationActive",
    "BondLocked",
    "ChallengeWindowActive",
    "ChallengeWindowExpired",
    "CreatedAtOutOfRange",
    "DisputeAlreadyResolved",
    "EnforcedPause",
    "ExpiryTooFar",
    "InsufficientBondForVolume",
    "InsufficientChallengerBond",
    "InvalidArbitrator",
    "InvalidConsent",
    "InvalidDisputeReason",
    "InvalidProof",
    "InvalidReceiptSignature",
    "InvalidSolver",
    "InvalidStake",
    "InvalidVote",
    "NoContradiction",
    "NotAuthorizedArbitrator",
    "NothingToClaim",
    "NothingToSettle",
    "NotSolverOperator",
    "PausedTooOften",
    "ReceiptAlreadyExists",
    "ReceiptExpired",
    "ReceiptNotPending",
    "ResponseWindowActive",
    "RotationNotReady",
    "SolverAlreadyRegistered",
    "WithdrawalCooldownActive",
    "ZeroAmount",
}


class _Contracts(RuleBasedStateMachine):
    seen = Seen()
    shard = 0

    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive(self.seen)

    def burst(self, name: str, seed: int) -> None:
        """Let a moment pass, then call again and again."""
        drive = self.drive
        drive.random = Random(seed * SHARDS + self.shard)
        drive.tick(drive.random.choice([12, 12, 60, 600, HOUR, DAY // 2]))
        if name == "pause":
            drive.pause()
            drive.deposit(1, 1)  # refused, if the clock stands still now
            if drive.random.random() < 0.9:
                drive.tick(drive.random.choice([12, HOUR, DAY]))
                drive.pause()
        for _ in range(BURSTS.get(name, 0)):
            self.call(name)
        for other in drive.random.choices(list(BURSTS), list(BURSTS.values()), k=MEANWHILE):
            self.call(other)
        drive.compare(everything=False)

    def call(self, name: str) -> None:
        """Try once."""
        if name == "post_typed":
            self.drive.post(typed=True)
        else:
            getattr(self.drive, name)()

    @rule(seconds=st.sampled_from([HOUR // 2, HOUR, HOUR + 60]))
    def wait(self, seconds: int) -> None:
        """Let an hour pass."""
        self.drive.tick(seconds)

    @rule(seconds=st.sampled_from([DAY + 60, DAY + 60, 3 * DAY, 4 * DAY]))
    def wait_long(self, seconds: int) -> None:
        """Let days pass."""
        self.drive.tick(seconds)

    def teardown(self) -> None:
        """Time alone releases everything."""
        self.drive.unwind()


def _rule(name: str) -> Callable[..., Any]:
    def act(self: _Contracts, seed: int) -> None:
        self.burst(name, seed)

    act.__name__ = name
    return rule(seed=st.integers(0, 2**32 - 1))(act)


def _run(seen: Seen, number: int) -> None:
    members = {name: _rule(name) for name in (*BURSTS, "pause")}
    machine = type("Contracts", (_Contracts,), {**members, "seen": seen, "shard": number})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("shard", range(SHARDS))
def test_any_calls_in_any_order(shard: int) -> None:
    """Solvent, monotonic, without gain from disputing oneself, open to all by time alone.

    And none of it is vacuous: so many calls, at least half of each rule's successful, every
    transition and every error met.
    """
    seen = Seen()
    for turn in range(TURNS_MAX):
        _run(seen, shard + turn * SHARDS)
        is_long = sum(seen.calls.values()) >= CALLS_MIN // SHARDS
        if is_long and set(seen.moves) >= MOVES and set(seen.errors) >= ERRORS:
            break
    assert sum(seen.calls.values()) >= CALLS_MIN // SHARDS, sum(seen.calls.values())
    assert set(seen.calls) >= RULES, RULES - set(seen.calls)
    idle = {
        name: (seen.passed[name], count)
        for name, count in seen.calls.items()
        if seen.passed[name] * 2 < count
    }
    assert not idle
    assert MOVES <= set(seen.moves) <= MOVES | RARE, set(seen.moves) ^ MOVES
    assert set(seen.errors) >= ERRORS, ERRORS - set(seen.errors)
