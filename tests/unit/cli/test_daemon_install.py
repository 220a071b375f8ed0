# SPDX-License-Identifier: Apache-2.0
"""`tally daemon install`: shows, writes and takes back, and says what is left to people."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.command import tally

from tallystick.cli import daemon_install

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


def test_what_would_be_refused_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dry run from a Python in a home directory shows all, and says what is in the way."""
    monkeypatch.setattr(sys, "executable", "/root/.pyenv/bin/python3")
    monkeypatch.setattr(sys, "argv", ["/opt/tally/bin/tally"])
    done = tally("daemon", "install", "--system", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert "ExecStart=/opt/tally/bin/tally" in done.out
    assert "lies in a home directory" in done.out.rpartition("# refused, if this were no dry")[2]
    done = tally("daemon", "install", "--system")
    assert (done.code, done.out) == (2, "")
    assert "lies in a home directory" in done.err
    assert tally("daemon", "install", "--system", "--root", str(tmp_path)).code == 0


def test_systemd_without_a_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where systemd does not answer, the unit is written and it is said how it will."""
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text("#!/bin/sh\nexit 1\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(systemctl.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    done = tally("daemon", "install", "--user")
    assert done.code == 3
    assert "wrote " in done.out
    assert "`systemctl --user daemon-reload` ended with 1" in done.err
    for advice in ("log in", "loginctl enable-linger", "XDG_RUNTIME_DIR=/run/user/"):
        assert advice in done.err


def test_a_host_that_can_not_run_it_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What stands in the way is said before anything is written; below a root, nothing does."""
    monkeypatch.setattr(sys, "executable", "/opt/tally/bin/python3")
    monkeypatch.setattr(sys, "argv", ["/opt/tally/bin/tally"])
    monkeypatch.setattr("tallystick.cli.daemon_install._BOOTED", str(tmp_path / "none"))
    shown = tally("daemon", "install", "--system", "--dry-run")
    assert (shown.code, "systemd does not run here" in shown.out) == (0, True)
    done = tally("daemon", "install", "--system")
    assert (done.code, done.out) == (2, "")
    assert "systemd does not run here" in done.err
    monkeypatch.setattr("tallystick.cli.daemon_install._BOOTED", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    shown = tally("daemon", "install", "--system", "--dry-run")
    assert (shown.code, "only root" in shown.out) == (0, True)
    done = tally("daemon", "install", "--system")
    assert (done.code, done.out) == (2, "")
    assert "sudo" in done.err
    assert tally("daemon", "install", "--system", "--root", str(tmp_path)).code == 0


@pytest.mark.parametrize(("is_booted", "code"), [(True, 3), (False, 0)])
def test_removed_without_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_booted: bool, code: int
) -> None:
    """Where none runs, nobody has to forget the unit; where one does and won't, that is told."""
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(daemon_install, "_BOOTED", str(tmp_path if is_booted else tmp_path / "no"))
    assert tally("daemon", "install", "--user").code == 3  # written, and not taken up
    unit = next(tmp_path.rglob("tally-daemon.service"))
    done = tally("daemon", "install", "--user", "--uninstall")
    assert (done.code, unit.exists()) == (code, False), done.err
