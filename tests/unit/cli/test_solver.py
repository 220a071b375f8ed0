# SPDX-License-Identifier: Apache-2.0
"""`tally solver list` and `status`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command import tally
from tests.solving import body, configured

from tallystick.solver.home import SolverHome
from tallystick.solver.states import FILE

_LATER = "2999-01-01T00:00:00Z"


def _home(folder: Path) -> Path:
    home = configured(folder)
    for job in ("SAFE_REPORT", "MINE"):
        given = body(jobType=job, expiresAt=_LATER)
        tally("solver", "run", "-", "--home", str(home), stdin=given)
    return home


def test_runs_are_listed(tmp_path: Path) -> None:
    """Oldest first, as a table or as JSON; --unfinished leaves out what is done."""
    home = str(_home(tmp_path))
    shown = tally("solver", "list", "--home", home)
    assert [line.split()[-1] for line in shown.out.splitlines()[2:]] == ["SUCCESS", "REFUSED"]
    told = [
        json.loads(line)
        for line in tally("solver", "list", "--home", home, "--json").out.splitlines()
    ]
    assert [one["job_type"] for one in told] == ["SAFE_REPORT", "MINE"]
    unfinished = tally("solver", "list", "--home", home, "--unfinished")
    assert unfinished.out == "no unfinished runs\n"
    nowhere = tally("solver", "list", "--home", f"{home}/nowhere")
    assert (nowhere.code, nowhere.out) == (3, "")


def test_a_run_is_shown(tmp_path: Path) -> None:
    """States with their times, reasons, and that nobody is at a run that is not done."""
    home = _home(tmp_path)
    found = {}
    for run_id in SolverHome(home).run_ids():
        told = json.loads(tally("solver", "status", run_id, "--home", str(home), "--json").out)
        found[told["status"]] = run_id
    refused = tally("solver", "status", found["REFUSED"][:10], "--home", str(home))
    assert refused.code == 0
    assert "refused   jobType 'MINE' not in allowlist" in refused.out
    states = home / "runs" / found["SUCCESS"] / FILE
    states.write_bytes(b"".join(states.read_bytes().splitlines(keepends=True)[:3]))
    assert "cut off" in tally("solver", "status", found["SUCCESS"], "--home", str(home)).out
    assert "cut off" in tally("solver", "list", "--home", str(home)).out


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Exit code 1: no run has that id, or nothing was received under it."""
    home = _home(tmp_path)
    assert tally("solver", "status", "dead", "--home", str(home)).code in (0, 1)
    run_id = "ab" * 32
    (home / "runs" / run_id).mkdir()
    done = tally("solver", "status", run_id, "--home", str(home))
    assert done.code == 1
    assert "before its intent was received" in done.err


def test_a_text_of_an_intent_does_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    """Escapes in a requester's name are shown as escapes."""
    home = configured(tmp_path, 'policy_requester_allowlist = ["a"]')
    given = body(requester="\x1b[2Jroot", expiresAt=_LATER)
    done = tally("solver", "run", "-", "--home", str(home), stdin=given)
    assert done.code == 1
    assert "\x1b" not in done.out + done.err
    assert "\\x1b[2Jroot" in done.out
