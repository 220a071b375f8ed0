# SPDX-License-Identifier: Apache-2.0
"""`tally solver`: decides on intents, runs them, and looks after what they left."""

from __future__ import annotations

from typing import Any, Final

import click

from tallystick.cli import solver_run, solver_serve
from tallystick.cli.groups import VerbGroup
from tallystick.cli.output import Exit, Stop, say, say_json, say_table
from tallystick.cli.settings import setting_options
from tallystick.cli.solver_settings import home_of, run_beginning
from tallystick.solver.variables import SOLVER

_EPILOG: Final = """\
\b
Examples
  tally keygen --out tally-solver
  tally solver run intent.json
  tally solver list
  tally solver status 3f9a
  tally solver resume

\b
Exit codes: see `tally solver VERB --help`.
"""
_LIST_EPILOG: Final = """\
\b
Examples
  tally solver list
  tally solver list --home /var/lib/tally/solver --unfinished
  tally solver list --json

\b
Exit codes: 0 listed, 2 usage, 3 could not be read.
"""
_STATUS_EPILOG: Final = """\
\b
Examples
  tally solver status 3f9a
  tally solver status 3f9a --json

\b
Exit codes: 0 shown, 1 there is no such run, 2 usage, 3 could not be read.
"""
_HOME: Final = tuple(one for one in SOLVER if one.name == "home")


@click.group("solver", cls=VerbGroup, short_help="Run intents, and leave evidence.", epilog=_EPILOG)
def command() -> None:
    """Decide on intents, run them at most once, and leave a signed bundle of each."""


@command.command("list", short_help="List all runs.", epilog=_LIST_EPILOG)
@setting_options(table=_HOME)
@click.option("--unfinished", is_flag=True, help="Only runs that are not done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
def listing(unfinished: bool, as_json: bool, config: str | None, **flags: Any) -> None:
    """List the runs of a solver, oldest first."""
    from tallystick.errors import Error
    from tallystick.solver.overview import view_runs

    runs: list[Any] = []
    views = view_runs(home_of(config, flags))
    try:
        runs.extend(one for one in views if one.state != "done" or not unfinished)
    except Error:
        if runs:
            _say_runs(runs, as_json=as_json)
        raise
    if runs or as_json:
        _say_runs(runs, as_json=as_json)
    else:
        say("no unfinished runs" if unfinished else "no runs yet")


def _say_runs(runs: list[Any], *, as_json: bool) -> None:
    if as_json:
        for one in runs:
            say_json(one)
        return
    say_table(
        ("run", "received", "job", "state", "status"),
        [
            (
                one.run_id[:12],
                one.received,
                one.job_type,
                f"{one.state}, cut off" if one.is_cut_off else one.state,
                one.status or "",
            )
            for one in runs
        ],
        folding={"job"},
    )


@command.command("status", short_help="Show one run.", epilog=_STATUS_EPILOG)
@click.argument("run_id", metavar="RUN", callback=run_beginning)
@setting_options(table=_HOME)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def status(run_id: str, as_json: bool, config: str | None, **flags: Any) -> None:
    """Show how far a run came, and what became of it. RUN is the beginning of its id."""
    from tallystick.solver.overview import view_run

    home = home_of(config, flags)
    found = view_run(home, home.find(run_id))
    if found is None:
        raise Stop(Exit.REFUSED, "this run was cut off before its intent was received")
    if as_json:
        say_json(found, indent=2)
        return
    say(f"run       {found.run_id}")
    say(f"intent    {found.intent_id}  {found.job_type}")
    for state, at in found.steps:
        say(f"{state:<9} {at}")
    if found.is_cut_off:
        say(("cut off", "bad"), "   no process is at it; `tally solver resume` finishes it")
    for reason in found.reasons:
        say("refused   ", (reason, "bad"))
    if found.status is not None:
        is_good = found.status == "SUCCESS"
        say("status    ", (found.status, "good" if is_good else "bad"))
        if found.error and not found.reasons:
            say(f"error     {found.error}")
        say(f"manifest  sha256:{found.manifest}")


for _verb in (solver_run.run, solver_run.resume, solver_run.sign, solver_serve.serve):
    command.add_command(_verb)
