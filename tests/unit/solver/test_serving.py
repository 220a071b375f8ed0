# SPDX-License-Identifier: Apache-2.0
"""A service from its start to its end: who may call, what it finishes, what it leaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.solver_service import JOBS, Solving
from tests.solving import body, manifest_of

from tallystick.errors import RunBusyError, SettingError
from tallystick.solver.home import SolverHome
from tallystick.solver.overview import view_runs
from tallystick.solver.serving import address_of

_LATER = "2999-01-01T00:00:00Z"


def test_one_service_for_one_home(tmp_path: Path) -> None:
    """A second one does not start."""
    with (
        Solving(tmp_path),
        pytest.raises(RunBusyError, match="the solver's queue"),
        Solving(tmp_path),
    ):
        pass


def test_nobody_is_let_in_by_mistake(tmp_path: Path) -> None:
    """An address that others can reach needs a token, or the word that it is meant so."""
    with (
        pytest.raises(SettingError, match="no credential is known"),
        Solving(tmp_path, addr="0.0.0.0:0"),
    ):
        pass
    with Solving(tmp_path, addr="0.0.0.0:0", allow_anonymous=True) as service:
        assert service.url.startswith("http://0.0.0.0:")


def test_what_has_begun_is_drained(tmp_path: Path) -> None:
    """Runs that have begun get their bundles, and what waits begins at the next start."""
    with Solving(tmp_path, concurrency="1") as service:
        for number in range(3):
            given = body(jobType="WORK", nonce=str(number), expiresAt=_LATER)
            assert service.post(given).status == 202
        while service.meter("tally_solver_running") < 1:
            time.sleep(0.02)
    home = SolverHome(service.home)
    states = [view.state for view in view_runs(home)]
    assert set(states) == {"done"}
    waiting = len(list((service.home / "queue").iterdir()))
    assert len(states) + waiting == 3
    assert waiting
    with Solving(tmp_path) as again:
        while list((again.home / "queue").iterdir()):
            time.sleep(0.05)
    assert [view.status for view in view_runs(home)] == ["SUCCESS"] * 3


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """After the drain's time it ends as a failure that says so, with its evidence."""
    toml = JOBS.replace("sleep 0.3", "sleep 60")
    with Solving(tmp_path, toml, drain_timeout="200ms") as service:
        assert service.post(body(jobType="WORK", expiresAt=_LATER)).status == 202
        while service.meter("tally_solver_running") < 1:
            time.sleep(0.02)
        time.sleep(0.5)
    (view,) = view_runs(SolverHome(service.home))
    assert (view.state, view.status) == ("done", "FAILED")
    assert "the solver stops" in (view.error or "")
    manifest = manifest_of(SolverHome(service.home).run(view.run_id))
    assert manifest["executionSummary"]["status"] == "FAILED"


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:99999", "host:1x"])
def test_addresses_are_host_and_port(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(SettingError, match="addr"):
        address_of(text)


def test_an_address_of_version_six() -> None:
    """Its brackets belong to the address, not to the host."""
    assert address_of("[::1]:80") == ("::1", 80)
