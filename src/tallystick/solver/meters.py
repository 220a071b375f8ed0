# SPDX-License-Identifier: Apache-2.0
"""What a solver's service counts. `docs/reference/solver.md` is generated from `METERS`."""

from __future__ import annotations

from typing import Final

from tallystick.serve.metrics import Meter

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

METERS: Final = (
    Meter("tally_requests_total", "counter", ("route", "status"), "Requests answered."),
    Meter("tally_request_seconds", "histogram", ("route",), "From head to the end of an answer."),
    Meter(
        "tally_solver_intents_total",
        "counter",
        ("outcome",),
        "Intents by what the door said: accepted, already_accepted, no_room, malformed.",
    ),
    Meter("tally_solver_decisions_total", "counter", ("decision",), "allowed or refused."),
    Meter("tally_solver_reasons_total", "counter", ("code",), "Reasons of refusals."),
    Meter(
        "tally_solver_runs_total",
        "counter",
        ("job_type", "status"),
        "Runs that have their bundle: SUCCESS, FAILED or REFUSED. Job types that no job has are "
        "`other`.",
    ),
    Meter(
        "tally_solver_run_seconds",
        "histogram",
        ("job_type",),
        "From the queue's end to the signed bundle.",
        _SECONDS,
    ),
    Meter(
        "tally_solver_faults_total",
        "counter",
        ("kind",),
        "Runs that could not be brought to their end, by the error; they are tried again.",
    ),
    Meter("tally_solver_queue", "gauge", (), "Intents that wait."),
    Meter("tally_solver_running", "gauge", (), "Runs under way."),
    Meter("tally_connections", "gauge", (), "Connections that are open."),
    Meter("tally_up", "gauge", (), "1 while intents are taken."),
)
