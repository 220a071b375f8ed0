# SPDX-License-Identifier: Apache-2.0
"""What people see of runs: states, reasons, outcome, and whether somebody is at it."""

from __future__ import annotations

from pathlib import Path

from tests.solving import body, solver

from tallystick.solver.home import SolverHome, held
from tallystick.solver.overview import view_run, view_runs
from tallystick.solver.run import run_intent
from tallystick.solver.states import RunStates


def test_a_run_tells_its_story(tmp_path: Path) -> None:
    """Each state with its time, the decision and the outcome."""
    made = solver(tmp_path)
    found = run_intent(made, body(), tenant="acme")
    view = view_run(made.home, found.run_id)
    assert view is not None
    assert [state for state, _ in view.steps] == [
        "received", "decided", "running", "evidenced", "signed", "done",
    ]  # fmt: skip
    assert (view.state, view.status, view.allowed, view.tenant) == ("done", "SUCCESS", True, "acme")
    assert view.manifest == found.manifest_sha256
    assert not view.is_cut_off


def test_a_refusal_tells_its_reasons(tmp_path: Path) -> None:
    """All of them, as texts."""
    made = solver(tmp_path)
    found = run_intent(made, body(jobType="NONE"))
    view = view_run(made.home, found.run_id)
    assert view is not None
    assert view.reasons == ("jobType 'NONE' not in allowlist",)
    assert view.status == "REFUSED"
    assert view.allowed is False


def test_a_cut_off_run_is_told_from_one_under_way(tmp_path: Path) -> None:
    """Whoever holds its lock is at it."""
    home = SolverHome(tmp_path)
    home.make()
    run_id = "ab" * 32
    Path(home.run(run_id)).mkdir()
    assert view_run(home, run_id) is None
    RunStates(home.run(run_id), lambda: 0).advance("received", intent_id="i", job_type="J")
    view = view_run(home, run_id)
    assert view is not None
    assert view.is_cut_off
    with held(f"{home.run(run_id)}/lock", "the run"):
        view = view_run(home, run_id)
        assert view is not None
        assert not view.is_cut_off


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    """By when they were received, not by their ids."""
    made = solver(tmp_path)
    ids = [run_intent(made, body(nonce=str(number))).run_id for number in range(4)]
    assert [view.run_id for view in view_runs(made.home)] == ids
