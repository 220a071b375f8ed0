# SPDX-License-Identifier: Apache-2.0
"""Installing: planned before it is done, nothing of others touched, all of it taken back."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

import pytest

from tallystick.daemon.installing import (
    LABEL,
    SERVICE,
    conflicts,
    plan_for,
    remove,
    write,
)
from tallystick.errors import SettingError

PROGRAM = "/opt/tally/bin/tally"
HOME = "/home/ann"


def plan(scope: Any = "system", platform: str = "linux", program: str = PROGRAM) -> Any:
    return plan_for(scope, platform, program=program, home=HOME)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("scope", ["system", "user"])
def test_written_once_and_taken_back(tmp_path: Path, scope: str, platform: str) -> None:
    """A second run changes nothing; uninstalling leaves what the operator may have changed."""
    root, what = str(tmp_path), plan(scope, platform)
    assert write(what, root) == [one.path for one in what.files]
    assert write(what, root) == []
    for one in what.files:
        text = (tmp_path / one.path[1:]).read_text()
        assert text == one.text
        assert "@TALLY@" not in text and "@HOME@" not in text
        assert PROGRAM in text or one.path.endswith((".conf", ".toml"))
    kept = [one.path for one in what.files if one.stays]
    assert remove(what, root) == [one.path for one in what.files if not one.stays]
    assert [one for one in kept if not (tmp_path / one[1:]).exists()] == []
    assert remove(what, root) == []


def test_an_upgrade_replaces_ours_and_keeps_settings(tmp_path: Path) -> None:
    """A unit of an older version is replaced; changed settings stay."""
    root, what = str(tmp_path), plan()
    write(what, root)
    settings = tmp_path / "etc/agentreceipts/daemon.toml"
    settings.write_text('issuer_id = "did:web:me"\n')
    assert write(plan(program="/opt/new/tally"), root) == [f"/etc/systemd/system/{SERVICE}"]
    assert settings.read_text() == 'issuer_id = "did:web:me"\n'


def test_what_others_wrote_is_not_touched(tmp_path: Path) -> None:
    """A file without our mark stops the installation before anything is written."""
    root, what = str(tmp_path), plan()
    other = tmp_path / "etc/tmpfiles.d/agentreceipts.conf"
    other.parent.mkdir(parents=True)
    other.write_text("d /somewhere")
    assert conflicts(what, root) == ["/etc/tmpfiles.d/agentreceipts.conf"]
    with pytest.raises(SettingError, match="not of our making"):
        write(what, root)
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [other]
    assert remove(what, root) == []


@pytest.mark.parametrize(
    ("scope", "platform", "program"),
    [
        ("system", "win32", PROGRAM),
        ("system", "linux", "/opt/my tally/bin/tally"),
        ("system", "linux", "tally"),
        ("user", "darwin", '/opt/"/tally'),
    ],
)
def test_what_can_not_work(scope: str, platform: str, program: str) -> None:
    """Paths that would need quotes, unknown systems."""
    with pytest.raises(SettingError):
        plan(scope, platform, program)


@pytest.mark.parametrize(
    ("program", "python"),
    [
        (PROGRAM, "/root/.pyenv/versions/3.12/bin/python3.12"),
        ("/home/ann/.venv/bin/tally", "/usr/bin/python3"),
    ],
)
def test_what_a_service_does_not_see(tmp_path: Path, program: str, python: str) -> None:
    """What lies in a home directory can be planned and shown, and is not written."""
    hidden = plan_for("system", "linux", program=program, home=HOME, interpreter=python)
    assert hidden.files
    with pytest.raises(SettingError, match="lies in a home directory"):
        write(hidden, str(tmp_path))
    assert not list(tmp_path.iterdir())
    assert remove(hidden, str(tmp_path)) == []


def test_a_python_in_a_home_directory() -> None:
    """An environment below /opt whose Python is a link into a home starts for no other user."""
    python = "/root/.pyenv/versions/3.12/bin/python3.12"
    hidden = plan_for("system", "linux", program=PROGRAM, home=HOME, interpreter=python)
    assert python in hidden.obstacle
    of_user = plan_for("user", "linux", program=PROGRAM, home=HOME, interpreter=python)
    assert of_user == plan("user")
    seen = plan_for("system", "linux", program=PROGRAM, home=HOME, interpreter="/usr/bin/python3")
    assert seen == plan("system")


def test_what_could_not_be_finished_is_not_begun(tmp_path: Path) -> None:
    """Without systemd, or as a plain user, a system service is refused before a file is there."""
    plans: dict[str, dict[str, Any]] = {
        "systemd does not run here": {"has_systemd": False},
        "only root": {"may_write": False},
    }
    for words, lacking in plans.items():
        what = plan_for("system", "linux", program=PROGRAM, home=HOME, **lacking)
        with pytest.raises(SettingError, match=words):
            write(what, str(tmp_path))
        assert not list(tmp_path.iterdir())
        of_user = plan_for("user", "linux", program=PROGRAM, home=HOME, **lacking)
        assert of_user.obstacle == ""


@pytest.mark.parametrize("scope", ["system", "user"])
def test_property_lists_are_ones(scope: str) -> None:
    """launchd's files parse, start the daemon, keep it running, and dump no core."""
    (file,) = plan(scope, "darwin").files
    told = plistlib.loads(file.text.encode())
    assert told["Label"] == LABEL
    assert told["ProgramArguments"] == [PROGRAM, "daemon", "run"]
    assert told["KeepAlive"] == {"SuccessfulExit": False}
    assert told["SoftResourceLimits"]["Core"] == 0
    assert told["RunAtLoad"] is True
    assert ("UserName" in told) is (scope == "system")
    # launchd takes decimal numbers: 027 for a group that reads, 077 for nobody.
    assert told["Umask"] == (0o027 if scope == "system" else 0o077)


def test_every_step_is_in_the_plan() -> None:
    """A system installation names users, directories, key and start."""
    what = plan()
    commands = [one[0] for one in what.after_writing]
    assert commands == ["systemd-sysusers", "systemd-tmpfiles", "systemctl"]
    assert any("daemon init" in one for one in what.next_steps)
    assert any("enable --now" in one for one in what.next_steps)
