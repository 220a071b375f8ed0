# SPDX-License-Identifier: Apache-2.0
"""Workers: so many runs at a time, cut-off ones first, and put-off ones again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.honest_log import SHEET_NOTE
from tests.logs import LOG_KEY
from tests.promising import PromisingCollector
from tests.solving import Scripted, body, intent, policy, solver

from tallystick.errors import SignerUnavailable
from tallystick.model.bundle import LOG_PROOF, BundleReader
from tallystick.model.bundle_head import read_head
from tallystick.serve.metrics import Meters
from tallystick.solver import workers as room
from tallystick.solver.attempts import next_attempt
from tallystick.solver.home import held
from tallystick.solver.meters import METERS
from tallystick.solver.overview import view_runs
from tallystick.solver.posting import Post
from tallystick.solver.run import run_intent
from tallystick.solver.run_log import RunLog
from tallystick.solver.setup import Solver
from tallystick.solver.waiting import Waitlist
from tallystick.solver.workers import Workers
from tallystick.solver.workspace import Workspace


class _Flaky:
    """A signer that is away while it is told so."""

    def __init__(self, inner: Solver) -> None:
        self._inner = inner.signer
        self.is_away = False

    def sign(self, message: bytes, /) -> bytes:
        if self.is_away:
            raise SignerUnavailable("away")
        return self._inner.sign(message)

    def get_public_key(self) -> bytes:
        return self._inner.get_public_key()


@contextmanager
def _working(made: Solver, count: int = 2) -> Iterator[tuple[Waitlist, Workers, Meters]]:
    line, meters = Waitlist(made.home, 100, lambda: 0), Meters(METERS)
    found = Workers(made, line, meters, count)
    found.start()
    try:
        yield line, found, meters
    finally:
        found.drain(20_000)


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def _accept(line: Waitlist, nonce: str) -> None:
    line.accept(intent(jobType="WORK", nonce=nonce), body(jobType="WORK", nonce=nonce), "t")


def test_only_so_many_run_at_a_time(tmp_path: Path) -> None:
    """With two workers, two runs overlap and never three."""
    at_once, most, lock, overlap = 0, 0, threading.Lock(), threading.Event()

    def work(_order: object) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if most == 2:
                overlap.set()
        assert overlap.wait(20)
        time.sleep(0.2)
        with lock:
            at_once -= 1

    made = solver(tmp_path, {"WORK": Scripted(work)})
    with _working(made) as (line, found, _):
        for number in range(5):
            _accept(line, str(number))
        _until(lambda: len(line) == 0)
        _until(lambda: found.running == 0)
        assert found.are_alive
    assert most == 2
    assert [view.status for view in view_runs(made.home)] == ["SUCCESS"] * 5


def test_a_signer_that_comes_back_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that could not be signed is taken up again, and not executed again."""
    monkeypatch.setattr(room, "SOLVER_RETRY_MS", 100)
    base = solver(tmp_path)
    flaky = _Flaky(base)
    runner = Scripted(lambda order: None)

    def at(_run_id: str, state: str) -> None:
        if state == "manifest":
            flaky.is_away = runner.calls == 1

    made = solver(tmp_path, {"WORK": runner}, signer=flaky)
    with _working(made, 1) as (line, found, meters):
        noted = found._solver.on_state

        def on_state(run_id: str, state: str) -> None:
            noted(run_id, state)
            at(run_id, state)

        found._solver = msgspec.structs.replace(found._solver, on_state=on_state)
        _accept(line, "a")
        _until(lambda: b"tally_solver_faults_total{" in meters.render())
        flaky.is_away = False
        _until(lambda: all(view.state == "done" for view in view_runs(made.home)))
    (view,) = view_runs(made.home)
    assert view.status == "SUCCESS"
    assert runner.calls == 1


def test_a_collector_that_comes_back_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that its log did not take is asked for again; its bundle then holds the proof."""
    monkeypatch.setattr(room, "SOLVER_RETRY_MS", 100)
    runner = Scripted(lambda order: None)
    with PromisingCollector(lambda: time.time_ns() // 10**6) as collector:
        collector.signs_at_once, collector.sheet = True, None
        log = RunLog(collector.url, LOG_KEY.verifier, None)
        made = solver(tmp_path, {"WORK": runner}, log=log)
        with _working(made, 1) as (line, _, meters):
            _accept(line, "a")
            _until(lambda: b'kind="EmitError"' in meters.render())
            collector.sheet = SHEET_NOTE
            _until(lambda: all(view.state == "done" for view in view_runs(made.home)))
        (view,) = view_runs(made.home)
    with Path(made.home.run(view.run_id), "bundle.tally").open("rb") as stream:
        assert LOG_PROOF in read_head(BundleReader(stream.read)).files
    assert (view.status, runner.calls) == ("SUCCESS", 1)


def test_runs_put_off_hold_up_no_intent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a collector is away and some run is always due, intents are run all the same."""
    monkeypatch.setattr(room, "SOLVER_RETRY_MS", 0)
    runner = Scripted(lambda order: None)
    with PromisingCollector(lambda: time.time_ns() // 10**6) as collector:
        collector.sheet = None
        log = RunLog(collector.url, LOG_KEY.verifier, None)
        made = solver(tmp_path, {"WORK": runner}, log=log)
        with _working(made, 1) as (line, _, _meters):
            for number in range(3):
                _accept(line, str(number))
            _until(lambda: runner.calls == 3)
    assert {view.state for view in view_runs(made.home)} <= {"running", "evidenced", "signed"}


def test_what_a_crash_cut_off_comes_first(tmp_path: Path) -> None:
    """At the start, unfinished runs get their end before anything new begins."""
    base = solver(tmp_path)
    flaky = _Flaky(base)
    runner = Scripted(lambda order: None)
    made = solver(tmp_path, {"WORK": runner}, signer=flaky, clock=base.clock, ids=base.ids)
    flaky.is_away = True
    with pytest.raises(SignerUnavailable):
        run_intent(made, body(jobType="WORK"))
    flaky.is_away = False
    with _working(made):
        _until(lambda: all(view.state == "done" for view in view_runs(made.home)))
    (view,) = view_runs(made.home)
    assert view.status == "FAILED"
    assert runner.calls == 0


def test_an_intent_that_could_not_be_received_waits(tmp_path: Path) -> None:
    """A disk that fails before a run has its first state loses no intent."""
    made = solver(
        tmp_path,
        policy=policy(jobTypeAllowlist=["WORK"]),
        runners={"WORK": Scripted(lambda o: None)},
    )
    runs = Path(made.home.runs)
    runs.rmdir()
    with _working(made, 1) as (line, _, meters):
        _accept(line, "a")
        _until(lambda: b"tally_solver_faults_total{" in meters.render())
        runs.mkdir()
        _until(lambda: any(view.state == "done" for view in view_runs(made.home)))
    assert [view.status for view in view_runs(made.home)] == ["SUCCESS"]


def test_a_run_that_another_is_at_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the other one goes away without ending it, it is taken up after all."""
    monkeypatch.setattr(room, "SOLVER_RETRY_MS", 100)
    flaky = _Flaky(solver(tmp_path))
    made = solver(tmp_path, signer=flaky)
    flaky.is_away = True
    with pytest.raises(SignerUnavailable):
        run_intent(made, body())
    flaky.is_away = False
    (run_id,) = made.home.run_ids()
    with ExitStack() as stack:
        stack.enter_context(held(Workspace(made.home.run(run_id)).lock, "another"))
        _, found, _ = stack.enter_context(_working(made, 1))
        found._later[run_id] = 0.0  # as if this process had been at it before
        _until(lambda: found._later.get(run_id, 0.0) > 0.0)
    with _working(made, 1):
        _until(lambda: all(view.state == "done" for view in view_runs(made.home)))


@pytest.mark.parametrize(("left_s", "wait_s"), [(0, 30), (600, 600), (2**64, 3600)])
def test_an_open_post_is_looked_at_again(tmp_path: Path, left_s: int, wait_s: int) -> None:
    """When its window is over; within an hour, whatever a node told of the time."""
    made = solver(tmp_path)
    post = Post(post_id="0x1", chain_id=1, status="pending", seconds_left=left_s)
    outcome = msgspec.structs.replace(run_intent(made, body()), post=post)
    found = Workers(made, Waitlist(made.home, 1, lambda: 0), Meters(METERS), 1)
    before = time.monotonic()
    found._ended(outcome, 1.0)
    assert before + wait_s <= found._later[outcome.run_id] <= time.monotonic() + wait_s


def test_an_intent_that_is_gone_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever empties the queue's folder loses what was in it, and nothing that comes later."""
    monkeypatch.setattr(room, "_POLL_S", 0.05)
    made = solver(tmp_path)
    line = Waitlist(made.home, 10, lambda: 0)
    for name in ("gone", "kept"):
        waiting = line.accept(intent(nonce=name), body(nonce=name), "t")
        if name == "gone":
            Path(waiting.path).unlink()
    workers = Workers(made, line, Meters(METERS), 1)
    workers.start()
    try:
        _until(lambda: [view.state for view in view_runs(made.home)] == ["done"])
        assert workers.are_alive
    finally:
        workers.drain(5_000)


def test_an_intent_that_was_spent_meanwhile_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intent that may not be received any more is told of, and not tried for ever."""
    monkeypatch.setattr("tallystick.solver.attempts.INTENT_ATTEMPTS_MAX", 1)
    made = solver(tmp_path)
    line = Waitlist(made.home, 10, lambda: 0)
    for name in ("spent", "kept"):
        line.accept(intent(nonce=name), body(nonce=name), "t")
    next_attempt(made.home, intent(nonce="spent").intent_id, "2026-01-01T00:00:00.000Z")
    workers = Workers(made, line, Meters(METERS), 1)
    workers.start()
    try:
        _until(lambda: [view.state for view in view_runs(made.home)] == ["done"])
        assert not list(Path(made.home.queue).iterdir())
    finally:
        workers.drain(5_000)
