# SPDX-License-Identifier: Apache-2.0
"""The policy gate: the source's `evaluatePolicy`, with what a solver knows of earlier runs."""

from __future__ import annotations

from collections.abc import Container

from tallystick.model.decision import Decision, evaluate
from tallystick.model.intent import Intent
from tallystick.model.policy import Policy


def evaluate_policy(
    intent: Intent, policy: Policy, now: str, *, already_run: Container[str] = ()
) -> Decision:
    """Decide on an intent at the instant `now`; `already_run` holds the ids of intents that ran.

    All reasons are collected: a caller sees in one pass what is wrong.
    """
    return evaluate(intent, policy, now, intent.intent_id in already_run)
