# SPDX-License-Identifier: Apache-2.0
"""What the system is given to start the daemon, judged by the system's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick.daemon.installing import plan_for, write

ROOT = Path(__file__).resolve().parent.parent.parent
EXPOSURE_MAX = 2.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def formula_of(place: Path, name: str) -> str:
    """Return what the tool prints for an archive."""
    (place / name).write_bytes(b"archive")
    tool = [sys.executable, str(ROOT / "tools" / "formula.py"), str(place / name)]
    return subprocess.run(tool, check=True, capture_output=True, text=True).stdout


def installed(place: Path, scope: str) -> Path:
    """Install below a directory, and return the unit."""
    plan = plan_for(
        "system" if scope == "system" else "user", "linux", program="/bin/true", home="/home/ann"
    )
    write(plan, str(place))
    return place / plan.files[0].path[1:]


def analyze(place: Path, scope: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    manager = ["--user"] if scope == "user" else []
    return subprocess.run(
        ["systemd-analyze", *manager, "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(place), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )


@needs_systemd
@pytest.mark.parametrize("scope", ["system", "user"])
def test_units_are_sound(tmp_path: Path, scope: str) -> None:
    """systemd finds nothing to say about the units: no unknown setting, no missing program."""
    done = analyze(tmp_path, scope, "verify", str(installed(tmp_path, scope)))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_system_unit_is_locked_up(tmp_path: Path) -> None:
    """Its exposure is 2.0 at most on systemd's scale of 10, and what must stay open is open."""
    unit = installed(tmp_path, "system")
    done = analyze(tmp_path, "system", "security", "--offline=true", str(unit))
    found = re.search(r"Overall exposure level for [^:]*: ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX
    settings = dict(
        line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w*=", line)
    )
    # Both would blind the attestation.
    assert not {"PrivateUsers", "ProtectProc", "PrivatePIDs"} & settings.keys()
    # Both would give the directories to the daemon's own group, and lock emitters and readers out.
    assert not {"StateDirectory", "RuntimeDirectory"} & settings.keys()
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == "CAP_SYS_PTRACE"
    assert (settings["Type"], settings["WatchdogSec"]) == ("notify", "30s")


@pytest.mark.parametrize("scope", ["system", "user"])
def test_a_start_is_tried_for_ever(tmp_path: Path, scope: str) -> None:
    """A signer may be away for longer than a few starts; what people must look at stops it."""
    text = installed(tmp_path, scope).read_text()
    settings = dict(
        line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]\w*=", line)
    )
    assert (settings["StartLimitIntervalSec"], settings["Restart"]) == ("0", "on-failure")
    assert settings["RestartPreventExitStatus"].split() == ["1", "2"]
    assert "StartLimitBurst" not in settings


@needs_systemd
def test_the_drop_in_takes_the_capability_away(tmp_path: Path) -> None:
    """With it the unit has no capability at all, and is still sound."""
    unit = installed(tmp_path, "system")
    text = (ROOT / "src/tallystick/daemon/units/without-ptrace.conf").read_text()
    unit.write_text(unit.read_text() + text)
    assert analyze(tmp_path, "system", "verify", str(unit)).returncode == 0
    done = analyze(tmp_path, "system", "security", "--offline=true", str(unit))
    assert re.search(r"✓ CapabilityBoundingSet=~CAP_SYS_PTRACE", done.stdout)


@pytest.mark.skipif(
    shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed"
)
def test_users_and_groups(tmp_path: Path) -> None:
    """The daemon is in all three groups, and has no shell to log in to."""
    installed(tmp_path, "system")
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}"],
        check=True,
        capture_output=True,
    )
    users = (tmp_path / "etc/passwd").read_text()
    assert re.search(
        r"^agentreceipts:.*:/var/lib/agentreceipts:/usr/sbin/nologin$", users, re.MULTILINE
    )
    groups = (tmp_path / "etc/group").read_text()
    assert re.search(r"^agentreceipts:x:", groups, re.MULTILINE)
    for name in ("agentreceipts-emit", "agentreceipts-read"):
        assert re.search(rf"^{name}:x:\d+:agentreceipts$", groups, re.MULTILINE)


def test_directories_hand_their_groups_on(tmp_path: Path) -> None:
    """Sockets are made for those who may emit, the store for those who may read."""
    installed(tmp_path, "system")
    rows = [
        line.split()[1:5]
        for line in (tmp_path / "etc/tmpfiles.d/agentreceipts.conf").read_text().splitlines()
        if line.startswith("d ")
    ]
    assert rows == [
        ["/etc/agentreceipts", "0755", "root", "root"],
        ["/var/lib/agentreceipts", "2750", "agentreceipts", "agentreceipts-read"],
        ["/run/agentreceipts", "2750", "agentreceipts", "agentreceipts-emit"],
    ]


def test_the_formula_is_whole(tmp_path: Path) -> None:
    """The Homebrew formula of an archive names its hash, and each block that opens is closed."""
    text = formula_of(tmp_path, "tallystick-1.2.3.tar.gz")
    assert "@" not in re.sub(r"python@", "", text).split("\n", 3)[3]
    assert re.search(r'^  url ".*/tallystick-1\.2\.3\.tar\.gz"$', text, re.MULTILINE)
    assert re.search(r'^  sha256 "[0-9a-f]{64}"$', text, re.MULTILINE)
    code = re.sub(r"<<~EOS.*?^ *EOS$", "", text, flags=re.DOTALL | re.MULTILINE)
    opened = re.findall(r"^ *(?:class|def|service do|test do)\b", code, re.MULTILINE)
    assert len(opened) == len(re.findall(r"^ *end$", code, re.MULTILINE)) == 5
    assert re.search(r'^    run \[opt_bin/"tally", "daemon", "run"\]$', code, re.MULTILINE)
    with pytest.raises(subprocess.CalledProcessError):
        formula_of(tmp_path, "other-1.tar.gz")


@pytest.mark.skipif(shutil.which("ruby") is None, reason="ruby is not installed")
def test_ruby_reads_the_formula(tmp_path: Path) -> None:
    """Ruby's own parser takes it."""
    path = tmp_path / "tallystick.rb"
    path.write_text(formula_of(tmp_path, "tallystick-1.2.3.tar.gz"))
    subprocess.run(["ruby", "-c", str(path)], check=True, capture_output=True)
