# SPDX-License-Identifier: Apache-2.0
"""Which runs an intent has had: at most one of them was ever started."""

from __future__ import annotations

import os
from typing import Final

import msgspec

from tallystick.errors import AttemptsError
from tallystick.limits import INTENT_ATTEMPTS_MAX
from tallystick.solver.home import SolverHome, run_id_of
from tallystick.solver.records import append_fact, read_facts
from tallystick.solver.states import FILE, Step

SPENT: Final = (
    f"was asked for {INTENT_ATTEMPTS_MAX} times, and is not received again; "
    "with another nonce it is a new one"
)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an intent, written before the run has a directory."""

    at: str
    run_id: str


def attempts_of(home: SolverHome, intent_id: str) -> list[Attempt]:
    """Return the runs that an intent has had, oldest first."""
    return read_facts(home.attempts(intent_id), Attempt)


def next_attempt(home: SolverHome, intent_id: str, at: str) -> str:
    """Note another run of an intent and return its id; the caller holds the intent's lock."""
    known = attempts_of(home, intent_id)
    if len(known) >= INTENT_ATTEMPTS_MAX:
        raise AttemptsError(f"this intent {SPENT}")
    run_id = run_id_of(intent_id, len(known) + 1)
    append_fact(home.attempts(intent_id), Attempt(at=at, run_id=run_id))
    return run_id


def has_run(home: SolverHome, intent_id: str) -> bool:
    """Whether any run of an intent was started; the caller holds the intent's lock."""
    for attempt in attempts_of(home, intent_id):
        steps = read_facts(os.path.join(home.run(attempt.run_id), FILE), Step)
        if any(step.state == "running" for step in steps):
            return True
    return False
