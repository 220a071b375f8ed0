# SPDX-License-Identifier: Apache-2.0
"""Where the receipts of a run go: into a chain that the solver signs, or to a daemon."""

from __future__ import annotations

import os
from typing import Any, Literal, Protocol

from tallystick.errors import RunError
from tallystick.model.decision import Decision
from tallystick.model.intent import Intent
from tallystick.solver.daemon_journal import ACKNOWLEDGED, DaemonJournal
from tallystick.solver.journal import RunJournal
from tallystick.solver.runner import Records
from tallystick.solver.setup import Solver
from tallystick.solver.workspace import RECEIPTS


class Journal(Protocol):
    """Has receipts made of what a run does."""

    @property
    def records(self) -> Records:
        """What a runner records its own actions by."""
        ...

    def decided(self, intent: Intent, decision: Decision) -> None:
        """Record the gate's decision, all reasons included."""
        ...

    def close(self, status: Literal["complete", "interrupted"]) -> None:
        """Record the end of the run, unless that is recorded already."""
        ...

    def binding(self) -> dict[str, Any]:
        """Return what the manifest says of the chain."""
        ...


def open_journal(
    solver: Solver, intent: Intent, run_id: str, run_dir: str, *, decision: Decision | None = None
) -> Journal:
    """Return the journal of a run; one that was begun goes on where it was begun.

    `decision` is the one that was made already, where it was.
    """
    is_told = os.path.lexists(os.path.join(run_dir, ACKNOWLEDGED))
    if is_told and not solver.daemon:
        raise RunError("this run was begun with a daemon, and the solver has none now")
    is_own = not is_told and os.path.lexists(os.path.join(run_dir, RECEIPTS))
    if solver.daemon and not is_own:
        return DaemonJournal(solver, intent, run_id, run_dir, decision=decision)
    return RunJournal(solver, intent, run_id, run_dir)
