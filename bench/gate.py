# SPDX-License-Identifier: Apache-2.0
"""Decisions of the policy gate for each second: one that allows, and one with all reasons.

python bench/gate.py                     200 000 decisions of each kind
python bench/gate.py --decisions 20000   a shorter look
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any

from measure import Row, paired, show, show_times

from tallystick.model.intent import Intent, parse_intent
from tallystick.model.policy import policy_of
from tallystick.solver.gate import evaluate_policy

NOW = "2026-03-04T05:06:07.000Z"
PER_SECOND = 50_000
POLICY = policy_of(
    {
        "jobTypeAllowlist": ["SAFE_REPORT", "BUILD", "SCORE"],
        "requesterAllowlist": [f"requester-{number}" for number in range(100)],
        "maxArtifactMb": 1,
        "maxHorizonSeconds": 86_400,
    }
)


def intent(**changes: Any) -> Intent:
    """Return an intent that was parsed as a service parses it."""
    members = {
        "intentVersion": "1.0.0",
        "requester": "requester-7",
        "createdAt": "2026-03-04T05:00:00Z",
        "expiresAt": "2026-03-04T12:00:00Z",
        "jobType": "SAFE_REPORT",
        "inputs": {"subject": "soil", "data": {"ph": 6.5}},
        **changes,
    }
    return parse_intent(json.dumps(members).encode())


def decide(asked: Intent, count: int, already_run: frozenset[str]) -> None:
    """Decide on one intent so many times."""
    for _ in range(count):
        evaluate_policy(asked, POLICY, NOW, already_run=already_run)


def rows(count: int, rounds: int) -> list[Row]:
    """Measure both, and return the table."""
    good = intent()
    bad = intent(
        requester="mallory",
        jobType="MINE",
        expiresAt="2027-01-01T00:00:00Z",
        inputs={"subject": "x" * (1 << 20), "data": {}},
    )
    known = frozenset({bad.intent_id})
    assert evaluate_policy(good, POLICY, NOW).allowed
    assert len(evaluate_policy(bad, POLICY, NOW, already_run=known).reasons) == 5
    allowed, refused = paired(
        rounds, lambda: decide(good, count, frozenset()), lambda: decide(bad, count, known)
    )
    show_times("decisions of the gate", count, allowed=allowed, refused=refused)
    return [
        Row(f"{what}, decisions per second", count / statistics.median(times), at_least=PER_SECOND)
        for what, times in (("allowed", allowed), ("refused with five reasons", refused))
    ]


def main() -> int:
    """Measure, print the table, and tell by the exit code whether all is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--decisions", type=int, default=200_000, help="decisions of each kind")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each")
    options = parser.parse_args()
    print()
    return show(rows(options.decisions, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
