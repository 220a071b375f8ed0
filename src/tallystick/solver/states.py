# SPDX-License-Identifier: Apache-2.0
"""How far a run has come: a file of its states, each durable before the next step begins.

    received → decided → running → evidenced → signed → done
                     └──────────────↑             └→ posted → final → done

A refused intent goes from `decided` to `evidenced`. A run that a crash cut off goes there from
wherever it was, and is never started again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

import msgspec

from tallystick.chain.issue import timestamp
from tallystick.durable.file import shown
from tallystick.errors import RunError
from tallystick.solver.records import append_fact, read_facts

State = Literal["received", "decided", "running", "evidenced", "signed", "posted", "final", "done"]
STATES: Final[tuple[State, ...]] = get_args(State)
# From each state, where a run may go; `posted` and `final` belong to what posts on a chain.
NEXT: Final[Mapping[State, frozenset[State]]] = {
    "received": frozenset({"decided", "evidenced"}),
    "decided": frozenset({"running", "evidenced"}),
    "running": frozenset({"evidenced"}),
    "evidenced": frozenset({"signed"}),
    "signed": frozenset({"posted", "done"}),
    "posted": frozenset({"final"}),
    "final": frozenset({"done"}),
    "done": frozenset(),
}
FILE: Final = "states.jsonl"


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One state that a run has reached, when, and what is known since."""

    at: str
    state: State
    facts: dict[str, Any] = {}  # msgspec copies it


def steps_of(run_dir: str) -> list[Step]:
    """Return the steps that a run has gone; raise where no run goes so, or it can't be read."""
    path = os.path.join(run_dir, FILE)
    steps, before = read_facts(path, Step), None
    for step in steps:
        if step.state not in _following(before):
            raise RunError(f"{shown(path)} holds states in an order that no run has")
        before = step.state
    return steps


def _following(state: State | None) -> frozenset[State]:
    return frozenset({"received"}) if state is None else NEXT[state]


class RunStates:
    """The states of one run; only who holds the run's lock may advance them."""

    def __init__(self, run_dir: str, clock: Callable[[], int]) -> None:
        self.path = os.path.join(run_dir, FILE)
        self._clock = clock
        self.steps = steps_of(run_dir)

    @property
    def state(self) -> State | None:
        """The last state, or None before the first."""
        return self.steps[-1].state if self.steps else None

    def facts(self, state: State) -> dict[str, Any]:
        """Return what was noted when a state was reached; nothing where it was not."""
        for step in self.steps:
            if step.state == state:
                return step.facts
        return {}

    def at(self, state: State) -> str | None:
        """Return when a state was reached."""
        for step in self.steps:
            if step.state == state:
                return step.at
        return None

    def has_reached(self, state: State) -> bool:
        """Whether the run has been in a state."""
        return any(step.state == state for step in self.steps)

    def advance(self, state: State, *, at: str | None = None, **facts: Any) -> Step:
        """Note the next state, and return when that is on stable storage."""
        before = self.state
        if state not in _following(before):
            raise RunError(f"a run that is {before or 'new'} can't become {state}")
        step = Step(at=at or timestamp(self._clock()), state=state, facts=facts)
        append_fact(self.path, step)
        self.steps.append(step)
        return step
