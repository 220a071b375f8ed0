# SPDX-License-Identifier: Apache-2.0
"""Taking runs up: what is done is not done again, and nothing is executed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.solving import Scripted, body, manifest_of, solver

from tallystick.errors import Error, RunBusyError, RunError, SignerUnavailable
from tallystick.solver.home import held, run_id_of
from tallystick.solver.resume import resume_run, unfinished
from tallystick.solver.run import run_intent
from tallystick.solver.setup import Solver
from tallystick.solver.states import FILE, RunStates
from tallystick.solver.workspace import INTENT


class _Away:
    """A signer whose service can't be reached from the third signature on."""

    def __init__(self, inner: object, signatures: int) -> None:
        self._inner = inner
        self.left = signatures

    def sign(self, message: bytes, /) -> bytes:
        if self.left <= 0:
            raise SignerUnavailable("the KMS is away")
        self.left -= 1
        return self._inner.sign(message)  # type: ignore[attr-defined,no-any-return]  # a signer

    def get_public_key(self) -> bytes:
        return self._inner.get_public_key()  # type: ignore[attr-defined,no-any-return]  # a signer


def _cut_off(folder: Path, signatures: int) -> tuple[Solver, _Away, Scripted]:
    """Return a solver with a run that stopped after so many signatures."""
    runner = Scripted(lambda work: (Path(work.artifacts) / "a").write_text("a") and None)
    base = solver(folder)
    away = _Away(base.signer, signatures)
    made = solver(folder, {"WORK": runner}, signer=away, clock=base.clock, ids=base.ids)
    with pytest.raises(SignerUnavailable):
        run_intent(made, body(jobType="WORK"))
    return made, away, runner


def test_a_signer_that_was_away_signs_later(tmp_path: Path) -> None:
    """The manifest is there already: it is signed as it is, and the run has its outcome."""
    made, away, runner = _cut_off(tmp_path, 4)
    (run_id,) = unfinished(made.home)
    before = manifest_of(made.home.run(run_id))
    assert RunStates(made.home.run(run_id), lambda: 0).state == "evidenced"
    away.left = 10
    found = resume_run(made, run_id)
    assert (found.status, found.error) == ("SUCCESS", None)
    assert manifest_of(made.home.run(run_id)) == before
    assert Path(found.bundle).exists()
    assert runner.calls == 1
    assert unfinished(made.home) == []
    again = resume_run(made, run_id)
    assert again == found


@pytest.mark.parametrize(("signatures", "calls"), [(0, 0), (1, 1), (2, 1), (3, 1)])
def test_what_was_cut_off_ends_as_a_failure(tmp_path: Path, signatures: int, calls: int) -> None:
    """Wherever the signer went away, the run ends with evidence, and is not executed again."""
    made, away, runner = _cut_off(tmp_path, signatures)
    assert runner.calls == calls
    (run_id,) = unfinished(made.home)
    away.left = 10
    found = resume_run(made, run_id)
    assert found.status == "FAILED"
    assert "cut off by a crash" in (found.error or "")
    assert runner.calls == calls
    assert manifest_of(made.home.run(run_id))["executionSummary"]["details"]["cutOff"]


def test_a_refusal_that_was_cut_off_stays_a_refusal(tmp_path: Path) -> None:
    """Its reasons were noted with the decision."""
    base = solver(tmp_path)
    away = _Away(base.signer, 1)
    made = solver(tmp_path, signer=away, clock=base.clock, ids=base.ids)
    with pytest.raises(SignerUnavailable):
        run_intent(made, body(jobType="NONE"))
    away.left = 10
    (run_id,) = unfinished(made.home)
    found = resume_run(made, run_id)
    assert found.status == "REFUSED"
    assert [one.code for one in found.decision.reasons] == ["JOB_TYPE_NOT_ALLOWED"]


def test_a_run_that_is_under_way_is_left_alone(tmp_path: Path) -> None:
    """Its process has the lock: it is neither unfinished nor to be resumed."""
    made, _, _ = _cut_off(tmp_path, 4)
    (run_id,) = unfinished(made.home)
    with held(f"{made.home.run(run_id)}/lock", "the run"):
        assert unfinished(made.home) == []
        with pytest.raises(RunBusyError):
            resume_run(made, run_id)


def test_a_run_without_an_intent_is_told(tmp_path: Path) -> None:
    """A crash before anything was acknowledged leaves nothing to finish."""
    made = solver(tmp_path)
    run_id = run_id_of("ab" * 32, 1)
    Path(made.home.run(run_id)).mkdir()
    assert unfinished(made.home) == []
    with pytest.raises(RunError, match="nothing is there"):
        resume_run(made, run_id)


def test_a_run_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    """It counts as unfinished, since nobody can say that it is done, and says why it is not."""
    made, away, _ = _cut_off(tmp_path, 4)
    (run_id,) = unfinished(made.home)
    damaged = run_id_of("ab" * 32, 1)
    Path(made.home.run(damaged)).mkdir()
    Path(made.home.run(damaged), INTENT).write_bytes(b"{}")
    Path(made.home.run(damaged), FILE).write_bytes(b"garbage\n")
    assert sorted(unfinished(made.home)) == sorted([run_id, damaged])
    with pytest.raises(Error):
        resume_run(made, damaged)
    away.left = 10
    resume_run(made, run_id)
    assert unfinished(made.home) == [damaged]
