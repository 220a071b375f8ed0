# SPDX-License-Identifier: Apache-2.0
"""Threads that take intents from the queue and bring them to their bundles.

At its start the service finishes what a crash cut off, and executes none of it again. A run whose
evidence could not be signed just now (a KMS that is away) is taken up later from where it stands.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from tallystick.errors import AttemptsError, Error, RunBusyError
from tallystick.limits import OPEN_POST_WAIT_MS_MAX, SOLVER_RETRY_MS
from tallystick.serve.logs import LOGGER, event
from tallystick.serve.metrics import Meters
from tallystick.solver.resume import resume_run, unfinished
from tallystick.solver.run import RunOutcome, run_intent
from tallystick.solver.setup import Solver
from tallystick.solver.states import RunStates
from tallystick.solver.waiting import Waiting, Waitlist

_POLL_S: Final = 0.5


class Workers:
    """Runs as many intents at a time as it may."""

    def __init__(self, solver: Solver, line: Waitlist, meters: Meters, count: int) -> None:
        self._stops = threading.Event()
        self._solver = msgspec.structs.replace(
            solver, on_state=self._note_state, is_cancelled=self._stops.is_set
        )
        self._line = line
        self._meters = meters
        self._lock = threading.Lock()
        self._here = threading.local()
        # Runs to take up again, and not before when.
        self._later: dict[str, float] = {}
        # Runs that were told of, and whose posts are open.
        self._posted: set[str] = set()
        self._running = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"tally-run-{number}", daemon=True)
            for number in range(count)
        ]

    @property
    def running(self) -> int:
        """How many runs are under way."""
        return self._running

    @property
    def are_alive(self) -> bool:
        """Whether somebody takes intents."""
        return all(one.is_alive() for one in self._threads)

    def start(self) -> None:
        """Begin; what a crash cut off comes first."""
        self._later = dict.fromkeys(unfinished(self._solver.home), 0.0)
        for one in self._threads:
            one.start()

    def drain(self, timeout_ms: int) -> int:
        """Let runs that have begun end; after the timeout, end them. Return how many were."""
        self._line.close()
        end = time.monotonic() + timeout_ms / 1000
        for one in self._threads:
            one.join(max(0.0, end - time.monotonic()))
        late = sum(one.is_alive() for one in self._threads)
        self._stops.set()
        for one in self._threads:
            one.join()
        return late

    def _work(self) -> None:
        while True:
            due = self._due()
            if due is not None:
                if self._is_done(due):
                    continue  # by another process
                if self._guarded(partial(resume_run, self._solver, due), due, run_id=due):
                    continue
                # In vain: with many of them, something is always due, and an intent has its turn.
            taken = self._taken(_POLL_S if due is None else 0.0)
            if taken is not None:
                self._begin(*taken)
            elif self._line.is_closed:
                return

    def _taken(self, wait_s: float) -> tuple[Waiting, bytes] | None:
        try:
            return self._line.take(wait_s)
        except (Error, OSError, msgspec.MsgspecError) as fault:
            # Somebody was at the queue's folder: one intent that can't be read ends no worker.
            event(logging.ERROR, "intent_not_read", error=str(fault))
            return None

    def _begin(self, waiting: Waiting, data: bytes) -> None:
        self._here.waiting = waiting
        try:
            work = partial(run_intent, self._solver, data, tenant=waiting.tenant)
            if not self._guarded(work, waiting.intent_id) and self._here.run_id is None:
                # Not even received: it waits again, and whoever looks for the next one waits a bit.
                self._line.put_back(waiting)
                self._stops.wait(_POLL_S)
            else:
                self._line.ended(waiting)
        finally:
            self._here.waiting = None

    def _guarded(
        self, work: Callable[[], RunOutcome], what: str, *, run_id: str | None = None
    ) -> bool:
        """Work, and tell how it went; return whether it came to its end."""
        started = time.monotonic()
        self._here.run_id = run_id  # until a state tells which
        self._count_running(1)
        try:
            result = work()
        except RunBusyError:
            # Another process is at it: where that one does not end it, this one will.
            self._again(self._here.run_id)
        except AttemptsError as fault:
            # Somebody ran it by hand since it came; it would wait for ever.
            event(logging.WARNING, "intent_spent", of=what, error=str(fault))
            self._line.begun(self._here.waiting)
            return True
        except Error as fault:
            self._put_off(fault, what)
        except Exception:  # noqa: BLE001  # one run's bug must not end all others
            LOGGER.exception("internal_fault")
            self._put_off(Error("a bug of ours"), what)
        else:
            self._ended(result, time.monotonic() - started)
            return True
        finally:
            self._count_running(-1)
        return False

    def _ended(self, result: RunOutcome, seconds: float) -> None:
        """Tell of a run once; where its post is open, look again when that may be final."""
        with self._lock:
            is_new = result.run_id not in self._posted
        if is_new:
            self._tell(result, seconds)
        if result.post is None:
            return
        fields = {"run": result.run_id, "post": result.post.post_id, "status": result.post.status}
        if result.post.is_open:
            with self._lock:
                self._posted.add(result.run_id)
                left_s = min(result.post.seconds_left, OPEN_POST_WAIT_MS_MAX / 1000)
                pause_s = max(left_s, SOLVER_RETRY_MS / 1000)
                self._later[result.run_id] = time.monotonic() + pause_s
        if is_new or not result.post.is_open:
            event(logging.INFO, "run_posted", **fields)
        if not result.post.is_open:
            with self._lock:
                self._posted.discard(result.run_id)

    def _due(self) -> str | None:
        now = time.monotonic()
        with self._lock:
            for run_id, at in self._later.items():
                if at <= now and not self._line.is_closed:
                    del self._later[run_id]
                    return run_id
        return None

    def _is_done(self, run_id: str) -> bool:
        try:
            return RunStates(self._solver.home.run(run_id), self._solver.clock).state == "done"
        except Error:
            return False  # whoever takes it up finds out why, and tells

    def _put_off(self, fault: Error, what: str) -> None:
        run_id = self._here.run_id
        kind = type(fault).__name__
        event(logging.ERROR, "run_failed", of=what, run=run_id, error=str(fault), kind=kind)
        with self._lock:
            self._meters.count("tally_solver_faults_total", kind)
        self._again(run_id)

    def _again(self, run_id: str | None) -> None:
        if run_id is not None:
            with self._lock:
                self._later[run_id] = time.monotonic() + SOLVER_RETRY_MS / 1000

    def _note_state(self, run_id: str, state: str) -> None:
        self._here.run_id = run_id
        waiting = getattr(self._here, "waiting", None)
        if state == "received" and waiting is not None:
            self._line.begun(waiting)

    def _count_running(self, by: int) -> None:
        with self._lock:
            self._running += by

    def _tell(self, result: RunOutcome, seconds: float) -> None:
        job = result.job_type if result.job_type in self._solver.runners else "other"
        decision = "allowed" if result.decision.allowed else "refused"
        fields: dict[str, Any] = {"run": result.run_id, "intent": result.intent_id, "job": job}
        event(logging.INFO, "run_done", status=result.status, ms=round(seconds * 1000), **fields)
        with self._lock:
            self._meters.count("tally_solver_decisions_total", decision)
            for reason in result.decision.reasons:
                self._meters.count("tally_solver_reasons_total", reason.code)
            self._meters.count("tally_solver_runs_total", job, result.status)
            self._meters.observe("tally_solver_run_seconds", seconds, job)
