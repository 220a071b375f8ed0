# SPDX-License-Identifier: Apache-2.0
"""`tally daemon install`: shows, writes and takes back, and says what is left to people."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.command import tally

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="paths are those of systemd")


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    """It shows each file with its content, the commands, and the steps."""
    done = tally("daemon", "install", "--user", "--dry-run", "--root", str(tmp_path))
    assert done.code == 0
    assert "ExecStart=" in done.out
    assert "systemctl --user daemon-reload" in done.out
    assert "daemon init" in done.out
    assert not list(tmp_path.rglob("*.service"))


def test_written_and_removed(tmp_path: Path) -> None:
    """Below a root, files are written and removed, and no command is run."""
    root = str(tmp_path)
    done = tally("daemon", "install", "--user", "--root", root)
    assert done.code == 0
    assert "wrote" in done.out
    unit = next(tmp_path.rglob("tally-daemon.service"))
    assert "daemon run" in unit.read_text()
    shown = tally("daemon", "install", "--user", "--uninstall", "--dry-run", "--root", root)
    assert (shown.code, str(unit) in shown.out, unit.exists()) == (0, True, True)
    done = tally("daemon", "install", "--user", "--uninstall", "--root", root)
    assert (done.code, unit.exists()) == (0, False)
    assert "left as they were" in done.out


def test_a_scope_is_needed(tmp_path: Path) -> None:
    """Neither system nor user is a fault of usage, as are both, or a file of somebody else."""
    assert tally("daemon", "install").code == 2
    assert tally("daemon", "install", "--user", "--system").code == 2
    assert tally("daemon", "install", "--user", "--root", str(tmp_path)).code == 0
    next(tmp_path.rglob("tally-daemon.service")).write_text("[Unit]\n")
    done = tally("daemon", "install", "--user", "--root", str(tmp_path))
    assert done.code == 2
    assert "not of our making" in done.err
