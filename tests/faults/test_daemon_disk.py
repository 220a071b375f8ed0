# SPDX-License-Identifier: Apache-2.0
"""Disks that fill up or fail under a daemon: it says so, ends, and has kept its word."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.daemons import DaemonHome, DaemonProcess, wait_until

LIMITED = (
    "import os, resource, sys; "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)

# A daemon whose engine fails at a certain commit, as a disk does that answers EIO.
FAILING = """
import sqlite3, sys
from tallystick.store import sqlite
from tallystick.store.ledger import LedgerStore
real, left = LedgerStore.append, [3]
def append(store, rows):
    left[0] -= 1
    if left[0] < 0:
        raise store.engine._told("could not be written", sqlite3.OperationalError("disk I/O error"))
    real(store, rows)
LedgerStore.append = append
from tallystick.cli.main import main
sys.argv = ["tally", "daemon", "run"]
main()
"""


@pytest.fixture
def home(tmp_path: Path) -> DaemonHome:
    return DaemonHome(tmp_path / "home")


def ask_until_it_ends(daemon: DaemonProcess) -> list[dict[str, Any]]:
    """Send frames one by one until there is no answer, or a refusal; return the answers."""
    answers: list[dict[str, Any]] = []
    with daemon.line() as line:
        try:
            while not answers or answers[-1]["ok"]:
                answers.append(line.ask())
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
    return answers


def test_a_full_disk_ends_it_and_nothing_acknowledged_is_lost(home: DaemonHome) -> None:
    """No more room: who waits is told, exit code 3, and a start with room goes on."""
    with home.daemon(before=[sys.executable, "-c", LIMITED]) as daemon:
        answers = ask_until_it_ends(daemon)
        assert daemon.ended() == 3
        assert "store_failed" in daemon.logged()
    stored = {one for (one,) in home.rows("id")}
    assert len(answers) > 10
    assert {one["id"] for one in answers if one["ok"]} <= stored
    if not answers[-1]["ok"]:
        assert answers[-1]["code"] == "STORE"
    with home.daemon() as daemon:
        with daemon.line() as line:
            assert line.ask()["sequence"] == len(stored) + 1
        assert daemon.stop() == 0
    home.check()


def test_a_disk_that_fails_ends_it(home: DaemonHome) -> None:
    """EIO at a commit: the frame is refused, not acknowledged; the daemon stops and says why."""
    with home.daemon(before=[sys.executable, "-c", FAILING]) as daemon:
        answers = ask_until_it_ends(daemon)
        assert daemon.ended() == 3
        assert "disk I/O error" in daemon.logged()
    assert [one["ok"] for one in answers] == [True, True, True, False]
    assert answers[-1]["code"] == "STORE"
    assert len(home.rows()) == 3
    home.check()


def test_a_store_replaced_underneath_is_noticed(home: DaemonHome) -> None:
    """Another file under the store's name: no more is acknowledged into the one that is gone."""
    with home.daemon() as daemon:
        with daemon.line() as line:
            first = line.ask()
            kept = home.db.read_bytes()
            home.db.unlink()
            home.db.write_bytes(kept)
            answers = [first]
            try:
                while answers[-1]["ok"] and len(answers) < 5:
                    answers.append(line.ask())
            except (EOFError, ConnectionResetError, BrokenPipeError):
                pass
        assert len([one for one in answers if one["ok"]]) <= 2
        assert daemon.ended() != 0


def heard(ear: socket.socket) -> bytes:
    """Return what is there, or nothing."""
    try:
        return ear.recv(100)
    except BlockingIOError:
        return b""


def test_a_daemon_that_hangs_gives_no_sign_of_life(home: DaemonHome) -> None:
    """Stopped, it tells the manager nothing: the watchdog is of the loop, not of a thread."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(home.folder / "notify"))
        ear.settimeout(60)
        more = {"NOTIFY_SOCKET": ear.getsockname(), "WATCHDOG_USEC": "100000"}
        with home.daemon(**more) as daemon:
            while ear.recv(100) != b"WATCHDOG=1":
                pass
            daemon.signal(signal.SIGSTOP)
            wait_until(lambda: "T" in Path(f"/proc/{daemon.pid}/stat").read_text().split()[2])
            ear.setblocking(False)
            while heard(ear):
                pass
            time.sleep(0.5)
            assert not heard(ear)
            daemon.signal(signal.SIGCONT)
            ear.settimeout(60)
            assert ear.recv(100) == b"WATCHDOG=1"
            assert daemon.stop() == 0
    assert os.path.exists(home.db)
