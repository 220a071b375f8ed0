# SPDX-License-Identifier: Apache-2.0
"""States: a run goes forward only, and a second reader sees how far it came."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from tallystick.errors import RunError
from tallystick.solver.states import NEXT, STATES, RunStates, State


def _states(folder: Path) -> RunStates:
    return RunStates(str(folder), lambda: 0)


def _bring(states: RunStates, wanted: State) -> None:
    """Bring a new run to a state by the way that posting takes."""
    for state in STATES:
        states.advance(state)
        if state == wanted:
            return


def test_each_step_is_read_back(tmp_path: Path) -> None:
    """What was noted with a state is there for whoever opens the run next."""
    states = _states(tmp_path)
    assert states.state is None
    states.advance("received", intent_id="a")
    states.advance("decided", at="2026-01-01T00:00:00.000Z", allowed=True)
    again = _states(tmp_path)
    assert again.state == "decided"
    assert again.facts("received") == {"intent_id": "a"}
    assert again.at("decided") == "2026-01-01T00:00:00.000Z"
    assert again.at("running") is None
    assert again.facts("done") == {}
    assert again.has_reached("received")
    assert not again.has_reached("running")


@pytest.mark.parametrize(("before", "after"), list(product(STATES, STATES)))
def test_only_the_drawn_ways_exist(tmp_path: Path, before: State, after: State) -> None:
    """From each state a run goes where the table says, and nowhere else."""
    states = _states(tmp_path)
    _bring(states, before)
    if after in NEXT[before]:
        states.advance(after)
        assert _states(tmp_path).state == after
    else:
        with pytest.raises(RunError, match=f"a run that is {before} can't become {after}"):
            states.advance(after)
        assert _states(tmp_path).state == before


def test_a_run_begins_with_being_received(tmp_path: Path) -> None:
    """No other state is a first one."""
    for state in STATES[1:]:
        with pytest.raises(RunError, match="a run that is new"):
            _states(tmp_path).advance(state)


def test_nothing_leads_back_to_running() -> None:
    """From no state behind it does any way lead to `running`: an execution is never repeated."""
    reached, waiting = set(), ["running"]
    while waiting:
        for state in NEXT[waiting.pop()]:  # type: ignore[index]  # a state
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    assert "running" not in reached
    assert {"posted", "final", "done"} <= reached
