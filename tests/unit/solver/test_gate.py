# SPDX-License-Identifier: Apache-2.0
"""The gate: the source's function, with the ids of intents that ran."""

from __future__ import annotations

from tests.solving import NOW, codes, intent, policy

from tallystick.solver.gate import evaluate_policy


def test_a_known_intent_is_refused() -> None:
    """An intent whose id has run is a replay, and another one is not."""
    found = intent()
    assert evaluate_policy(found, policy(), NOW).allowed
    assert codes(evaluate_policy(found, policy(), NOW, already_run={found.intent_id})) == [
        "INTENT_REPLAYED"
    ]
    assert evaluate_policy(intent(nonce="2"), policy(), NOW, already_run={found.intent_id}).allowed
