# SPDX-License-Identifier: Apache-2.0
"""Runs one intent and dies by SIGKILL at a named point, as a machine that loses power does.

    python -m tests.faults.solver_victim FOLDER POINT run|resume

The points are the states of a run, and steps between them: `executing`, `claimed`, `manifest`,
`bundled`. What the runner does is counted in a file, so that a second execution would show.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

from tests.solving import Scripted, body, policy, solver

from tallystick.chain.issue import default_clock, random_uuid
from tallystick.solver.resume import resume_run, unfinished
from tallystick.solver.run import run_intent
from tallystick.solver.runner import Work
from tallystick.solver.setup import Solver

POINTS: Final = (
    "received", "decided", "running", "executing", "claimed", "manifest", "evidenced", "signed",
    "bundled", "done",
)  # fmt: skip


def victim(folder: Path, point: str) -> Solver:
    """Return a solver that kills its process when a run comes to a point."""

    def die(_run_id: str, state: str) -> None:
        if state == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def work(order: Work) -> None:
        with open(folder / "executions", "ab") as file:
            file.write(b"x")
        (Path(order.artifacts) / "half.txt").write_text("half")
        die("", "executing")
        (Path(order.artifacts) / "whole.txt").write_text("whole")

    return solver(
        folder,
        {"WORK": Scripted(work)},
        policy=policy(jobTypeAllowlist=["WORK"]),
        clock=default_clock,
        ids=random_uuid,
        on_state=die,
    )


def main(folder: Path, point: str, verb: str) -> None:
    """Run, or resume all that is unfinished, until the point is reached."""
    made = victim(folder, point)
    if verb == "run":
        run_intent(made, body(jobType="WORK", expiresAt=None))
        return
    for run_id in unfinished(made.home):
        resume_run(made, run_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
