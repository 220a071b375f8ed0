# SPDX-License-Identifier: Apache-2.0
"""What the status says; see tests/systems/test_daemon_verbs.py for a daemon that runs."""

from __future__ import annotations

import time
from pathlib import Path

from tests.ledgers import Home

from tallystick.daemon.connections import Connections
from tallystick.daemon.intake import Intake
from tallystick.daemon.listener import Listener
from tallystick.daemon.loop import Loop
from tallystick.daemon.quotas import Bounds
from tallystick.daemon.reports import Reports
from tallystick.daemon.settings import load_settings
from tallystick.daemon.statements import Statements
from tallystick.daemon.tallies import Tallies


def test_all_parts_are_asked(tmp_path: Path) -> None:
    """Before the first frame there are zeros, no last commit and no fault; and no key anywhere."""
    tmp_path.chmod(0o700)
    home = Home(tmp_path)
    (tmp_path / "run").mkdir(mode=0o750)
    environ = {
        "XDG_DATA_HOME": str(tmp_path),
        "AGENTRECEIPTS_SOCKET": str(tmp_path / "run" / "s"),
        "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "true",
    }
    settings, _ = load_settings({}, environ=environ)
    ledger, tallies = home.open(), Tallies()
    loop = Loop(lambda: time.monotonic_ns() // 1_000_000)
    intake = Intake(
        ledger,
        tallies=tallies,
        finished=lambda _: None,
        on_stop=lambda _: None,
    )
    connections = Connections(
        loop, submit=intake.submit, clock_ns=lambda: 1, tallies=tallies, bounds=Bounds()
    )
    listener = Listener(settings.socket)
    reports = Reports(
        settings,
        ledger=ledger,
        tallies=tallies,
        intake=intake,
        connections=connections,
        clock_ns=lambda: home.now_ms * 1_000_000,
    )
    status = reports.status(Statements(settings), listener)
    assert status["started"] == "2026-03-10T12:00:00.000Z"
    assert status["socket_in_place"] is True
    assert status["socket_is_safe"] is False
    assert status["commit"] == {"count": 0, "recent_us": {}, "last_fsync": None}
    assert status["chains"] == {"open": 0, "roots": 0, "agents": 0}
    assert (status["ledger"]["root"], status["ledger"]["clock_behind_ms"]) == (None, 0)
    assert status["fault"] is None
    assert str(home.key) not in str(status)
    ledger.commit([home.frame()])
    home.now_ms -= 3_600_000
    status = reports.status(Statements(settings), listener)
    assert status["ledger"]["clock_behind_ms"] == 3_600_000
    listener.close()
    intake.close()
    ledger.close()
    loop.close()
