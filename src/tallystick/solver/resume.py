# SPDX-License-Identifier: Apache-2.0
"""Takes up runs where a crash left them: evidence is finished, executions are never repeated.

Where no manifest was written, nobody can say what the cut-off execution did: the run ends as a
signed failure over what is there. Where one was, it stands, and only what follows it is done.
"""

from __future__ import annotations

import os
from typing import Any, Final

from tallystick.durable.file import read_bounded
from tallystick.errors import Error, RunError
from tallystick.limits import INTENT_BYTES_MAX
from tallystick.model.decision import Decision, Reason
from tallystick.model.intent import parse_intent
from tallystick.model.manifest import manifest_sha256, parse_manifest
from tallystick.model.policy import parse_policy
from tallystick.solver.home import held, is_held
from tallystick.solver.journals import open_journal
from tallystick.solver.lineage import written_manifest
from tallystick.solver.run import Progress, Run, RunOutcome, decide, finish, seal, told
from tallystick.solver.setup import Solver
from tallystick.solver.states import RunStates
from tallystick.solver.workspace import INTENT, POLICY, Workspace

_CUT_OFF: Final = "cut off by a crash while {state}; it is not started again"


def resume_run(solver: Solver, run_id: str, *, progress: Progress | None = None) -> RunOutcome:
    """Bring one run to its end, or raise `RunBusyError` where a process is at it."""
    import msgspec

    space = Workspace(solver.home.run(run_id))
    if not os.path.lexists(os.path.join(space.path, INTENT)):
        raise RunError("this run was cut off before its intent was received; nothing is there")
    with held(space.lock, "the run"):
        intent = parse_intent(read_bounded(os.path.join(space.path, INTENT), INTENT_BYTES_MAX))
        policy = parse_policy(read_bounded(os.path.join(space.path, POLICY), INTENT_BYTES_MAX))
        # It was decided by the policy of then, which its manifest has to name.
        run = Run(msgspec.structs.replace(solver, policy=policy), intent, run_id)
        state = run.states.state
        if state is None:
            raise RunError("this run was cut off before its intent was received; nothing is there")
        if state in ("received", "decided", "running"):
            found = written_manifest(space.path)
            if found is None:
                return _fail(run, state, progress)
            # The crash came between the manifest and its state: what is written stands.
            summary = parse_manifest(found).execution_summary
            assert summary is not None  # a run's manifest has one
            run.advance(
                "evidenced",
                manifest=manifest_sha256(found),
                status=summary.status,
                error=summary.error,
            )
        return seal(run, _decision(run))


def unfinished(solver_home: Any) -> list[str]:
    """Return the runs that no process is at and that are not done.

    What became of a run whose states can't be read, nobody knows: whoever takes it up tells why.
    One such run must not hide the others.
    """
    return [
        run_id
        for run_id in solver_home.run_ids()
        if _may_be_open(solver_home.run(run_id))
        and not is_held(os.path.join(solver_home.run(run_id), "lock"))
    ]


def _may_be_open(run_dir: str) -> bool:
    try:
        return RunStates(run_dir, lambda: 0).state not in (None, "done")
    except Error:
        return True


def _fail(run: Run, state: str, progress: Progress | None) -> RunOutcome:
    if state == "received":
        # Never decided: the gate answers now, and what it allows is not run all the same.
        with held(
            f"{run.solver.home.attempts(run.intent.intent_id)}.lock", "the intent", wait=True
        ):
            journal, decision = decide(run)
    else:
        decision = _decision(run)
        journal = open_journal(
            run.solver, run.intent, run.run_id, run.space.path, decision=decision
        )
    if not decision.allowed:
        ran = told("REFUSED", f"refused: {decision}", {}, runner=None, sandbox={})
        return finish(run, journal, decision, ran, progress=progress)
    error = _CUT_OFF.format(state=state)
    if state != "running":
        error = f"cut off by a crash while {state}; nothing was executed"
    runner = run.states.facts("running").get("runner")
    ran = told("FAILED", error, {"cutOff": state}, runner=runner, sandbox={})
    return finish(run, journal, decision, ran, progress=progress, status="interrupted")


def _decision(run: Run) -> Decision:
    noted = run.states.facts("decided")
    reasons = zip(noted.get("codes", ()), noted.get("reasons", ()), strict=True)
    return Decision(noted.get("allowed", False), tuple(Reason(*one) for one in reasons))
