# SPDX-License-Identifier: Apache-2.0
"""Attempts: an intent's runs have ids in order, and it has run when one was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallystick.errors import AttemptsError
from tallystick.solver.attempts import attempts_of, has_run, next_attempt
from tallystick.solver.home import SolverHome, run_id_of
from tallystick.solver.states import RunStates, State

_INTENT = "ab" * 32


def _attempt(home: SolverHome, *states: State) -> str:
    run_id = next_attempt(home, _INTENT, "2026-01-01T00:00:00.000Z")
    folder = Path(home.run(run_id))
    folder.mkdir()
    run = RunStates(str(folder), lambda: 0)
    for state in states:
        run.advance(state)
    return run_id


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        ((), False),
        (("received",), False),
        (("received", "decided"), False),
        (("received", "decided", "evidenced", "signed", "done"), False),
        (("received", "decided", "running"), True),
        (("received", "decided", "running", "evidenced", "signed", "done"), True),
    ],
)
def test_an_intent_has_run_when_a_run_was_started(
    tmp_path: Path, states: tuple[State, ...], counts: bool
) -> None:
    """A refusal does not use an intent up, and neither does a crash before its start."""
    home = SolverHome(tmp_path)
    home.make()
    assert not has_run(home, _INTENT)
    run_id = _attempt(home, *states)
    assert has_run(home, _INTENT) is counts
    assert run_id == run_id_of(_INTENT, 1)
    assert _attempt(home) == run_id_of(_INTENT, 2)
    assert [one.run_id for one in attempts_of(home, _INTENT)] == [
        run_id_of(_INTENT, 1),
        run_id_of(_INTENT, 2),
    ]


def test_an_attempt_without_its_directory_counts_as_none(tmp_path: Path) -> None:
    """A crash between the note and the directory leaves an id that is not used again."""
    home = SolverHome(tmp_path)
    home.make()
    next_attempt(home, _INTENT, "2026-01-01T00:00:00.000Z")
    assert not has_run(home, _INTENT)
    assert next_attempt(home, _INTENT, "2026-01-01T00:00:01.000Z") == run_id_of(_INTENT, 2)


def test_runs_of_one_intent_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hands a refused intent in without end is refused before anything is written."""
    monkeypatch.setattr("tallystick.solver.attempts.INTENT_ATTEMPTS_MAX", 2)
    home = SolverHome(tmp_path)
    home.make()
    _attempt(home)
    _attempt(home)
    for _ in range(3):
        with pytest.raises(AttemptsError, match="another nonce"):
            next_attempt(home, _INTENT, "2026-01-01T00:00:00.000Z")
    assert len(attempts_of(home, _INTENT)) == 2
