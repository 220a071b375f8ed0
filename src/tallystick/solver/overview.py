# SPDX-License-Identifier: Apache-2.0
"""What a solver's home holds, for people: each run, how far it came, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from tallystick.durable.file import shown
from tallystick.errors import Error, RunError
from tallystick.solver.home import SolverHome, is_held
from tallystick.solver.states import FILE, steps_of
from tallystick.solver.workspace import LOCK


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run as its files tell of it."""

    run_id: str
    intent_id: str
    job_type: str
    state: str  # its last state, or `cut off` where no process is at it
    since: str
    received: str
    allowed: bool | None
    reasons: tuple[str, ...]
    status: str | None
    error: str | None
    manifest: str | None
    steps: tuple[tuple[str, str], ...]  # state and time of each
    is_cut_off: bool
    tenant: str | None = None


def view_run(home: SolverHome, run_id: str) -> RunView | None:
    """Return what is known of a run, or None where no intent was received."""
    folder = home.run(run_id)
    steps = steps_of(folder)
    if not steps:
        return None
    last = steps[-1]
    facts: dict[str, dict[str, Any]] = {step.state: step.facts for step in steps}
    decided, evidenced = facts.get("decided", {}), facts.get("evidenced", {})
    told = {
        "run_id": run_id,
        "intent_id": facts["received"].get("intent_id"),
        "job_type": facts["received"].get("job_type"),
        "state": last.state,
        "since": last.at,
        "received": steps[0].at,
        "allowed": decided.get("allowed"),
        "reasons": decided.get("reasons", ()),
        "status": evidenced.get("status"),
        "error": evidenced.get("error"),
        "manifest": evidenced.get("manifest"),
        "steps": [(step.state, step.at) for step in steps],
        "is_cut_off": last.state not in ("posted", "done")
        and not is_held(os.path.join(folder, LOCK)),
        "tenant": facts["received"].get("tenant"),
    }
    try:
        return msgspec.convert(told, RunView)
    except msgspec.ValidationError as fault:
        raise RunError(f"{shown(os.path.join(folder, FILE))}: {fault}") from None


def view_runs(home: SolverHome) -> Iterator[RunView]:
    """Yield all runs, oldest first; then raise for the first one that can't be read."""
    found: list[RunView] = []
    faults: list[Error] = []
    for run_id in home.run_ids():
        try:
            view = view_run(home, run_id)
        except Error as fault:
            faults.append(fault)
            continue
        if view is not None:
            found.append(view)
    yield from sorted(found, key=lambda one: one.received)
    if faults:
        raise faults[0]
