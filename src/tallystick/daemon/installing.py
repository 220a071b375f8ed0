# SPDX-License-Identifier: Apache-2.0
"""What it takes to have the system start the daemon: files, commands, and what is left to people.

A plan says it all before anything is done. Keys, stores, users and groups are never removed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from tallystick.durable.file import make_directory, read_bounded, shown, write_replace
from tallystick.errors import SettingError, UnreadableError
from tallystick.limits import UNIT_BYTES_MAX

Scope = Literal["system", "user"]

SERVICE: Final = "tally-daemon.service"
LABEL: Final = "org.tallystick.daemon"
_UNITS: Final = Path(__file__).parent / "units"
# In each file that we write: what has it may be replaced and removed.
_MARK: Final = "Written by `tally daemon install"
# What needs no quotes in a unit, a plist and a shell.
_PLAIN: Final = re.compile(r"/[A-Za-z0-9/._+~-]+")


class PlannedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file, and whether it stays when all is taken back: it is the operator's from then on."""

    path: str
    text: str
    stays: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Files to write, commands to run after that or before removing, steps for people."""

    files: tuple[PlannedFile, ...]
    after_writing: tuple[tuple[str, ...], ...]
    before_removing: tuple[tuple[str, ...], ...]
    after_removing: tuple[tuple[str, ...], ...]
    next_steps: tuple[str, ...]
    # Why the service could not start here: then nothing is written.
    obstacle: str = ""
    # What to do where the service manager does not answer.
    unanswered: str = ""


def plan_for(
    scope: Scope,
    platform: str,
    *,
    program: str,
    home: str,
    interpreter: str = "",
    may_write: bool = True,
    has_systemd: bool = True,
) -> Plan:
    """Return what installing means here, or raise `SettingError`.

    `interpreter` is the file of the Python that runs the program, links followed: `obstacle` says
    where the service would not see it, and where a system service could not be installed at all.
    """
    if not _PLAIN.fullmatch(program):
        raise SettingError(f"{program!r}: its path must be absolute and need no quotes")
    if not _PLAIN.fullmatch(home):
        raise SettingError(f"{home!r}: the home directory's path must need no quotes")
    if platform.startswith("linux"):
        if scope == "user":
            return _systemd_user(program, home)
        obstacle = _hidden(program) or _hidden(interpreter)
        return _systemd_system(program, obstacle or _lacking(may_write, has_systemd))
    if platform == "darwin":
        return _launchd(scope, program, home)
    raise SettingError(f"there is no way yet to install the daemon on {platform}")


def conflicts(plan: Plan, root: str = "") -> list[str]:
    """Return the paths where something else stands that was not written by us."""
    return [
        one.path
        for one in plan.files
        if not one.stays and _text_of(root + one.path) not in (None, one.text)
        if _MARK not in (_text_of(root + one.path) or "")
    ]


def write(plan: Plan, root: str = "") -> list[str]:
    """Write the files, each whole or not at all; return the paths that are new or changed."""
    if plan.obstacle:
        raise SettingError(plan.obstacle)
    found = conflicts(plan, root)
    if found:
        raise SettingError(
            f"{shown(found[0])} is there already and not of our making; move it away first"
        )
    changed = []
    for one in plan.files:
        now = _text_of(root + one.path)
        if now == one.text or (one.stays and now is not None):
            continue
        _make_folders(os.path.dirname(root + one.path))
        write_replace(root + one.path, one.text.encode(), 0o644)
        changed.append(one.path)
    return changed


def remove(plan: Plan, root: str = "") -> list[str]:
    """Remove what was written by us; return the paths that are gone."""
    gone = []
    for one in plan.files:
        if not one.stays and _MARK in (_text_of(root + one.path) or ""):
            os.unlink(root + one.path)
            gone.append(one.path)
    return gone


def _hidden(program: str) -> str:
    """Say what `ProtectHome=` hides: an environment elsewhere may have its Python there."""
    if program.startswith(("/home/", "/root/", "/run/user/")):
        return (
            f"{program} lies in a home directory, which the service does not see: install "
            "tallystick below /opt or /usr first, with a Python of the system"
        )
    return ""


def _lacking(may_write: bool, has_systemd: bool) -> str:
    """Say before users and files are made that the last step would fail."""
    if not has_systemd:
        return (
            "systemd does not run here, as in a container: start `tally daemon run` by other "
            "means; for a package or an image, --root DIR writes the files alone"
        )
    if not may_write:
        return "only root installs for the whole host: say it with sudo, or give --user"
    return ""


def _systemd_system(program: str, obstacle: str) -> Plan:
    as_daemon = "runuser -u agentreceipts --"
    return Plan(
        files=(
            _file(f"/etc/systemd/system/{SERVICE}", "system.service", program),
            _file("/etc/sysusers.d/agentreceipts.conf", "sysusers.conf"),
            _file("/etc/tmpfiles.d/agentreceipts.conf", "tmpfiles.conf"),
            _file("/etc/agentreceipts/daemon.toml", "daemon.toml", stays=True),
        ),
        after_writing=(
            ("systemd-sysusers", "/etc/sysusers.d/agentreceipts.conf"),
            ("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/agentreceipts.conf"),
            ("systemctl", "daemon-reload"),
        ),
        before_removing=(("systemctl", "disable", "--now", SERVICE),),
        after_removing=(("systemctl", "daemon-reload"),),
        next_steps=(
            f"{as_daemon} {program} daemon init --config /etc/agentreceipts/daemon.toml",
            f"systemctl enable --now {SERVICE}",
            "usermod -aG agentreceipts-emit NAME    (who may emit)",
            "usermod -aG agentreceipts-read NAME    (who may read and verify)",
        ),
        obstacle=obstacle,
    )


def _systemd_user(program: str, home: str) -> Plan:
    return Plan(
        files=(_file(f"{home}/.config/systemd/user/{SERVICE}", "user.service", program),),
        after_writing=(("systemctl", "--user", "daemon-reload"),),
        before_removing=(("systemctl", "--user", "disable", "--now", SERVICE),),
        after_removing=(("systemctl", "--user", "daemon-reload"),),
        next_steps=(
            f"{program} daemon init",
            f"systemctl --user enable --now {SERVICE}",
            "loginctl enable-linger    (to have it run while you are logged out)",
        ),
        unanswered=(
            "systemd has no session of yours: log in as this user (not with su or sudo), or let "
            "root run `loginctl enable-linger NAME` and set XDG_RUNTIME_DIR=/run/user/UID; then do "
            "the same again"
        ),
    )


def _launchd(scope: Scope, program: str, home: str) -> Plan:
    steps: tuple[str, ...]
    if scope == "user":
        path, domain = f"{home}/Library/LaunchAgents/{LABEL}.plist", f"gui/{os.getuid()}"
        template, steps = "agent.plist", (f"{program} daemon init",)
    else:
        path, domain, template = f"/Library/LaunchDaemons/{LABEL}.plist", "system", "daemon.plist"
        data = "/usr/local/var/agent-receipts"
        steps = (
            "sysadminctl -addUser _agentreceipts -roleAccount -UID 477 -home /var/empty",
            "dseditgroup -o create _agentreceipts && dseditgroup -o create _agentreceipts_emit",
            "dseditgroup -o edit -a _agentreceipts -t user _agentreceipts_emit",
            f"install -d -m 2751 -o _agentreceipts -g _agentreceipts_emit {data}",
            f"sudo -u _agentreceipts XDG_DATA_HOME=/usr/local/var {program} daemon init",
        )
    return Plan(
        files=(_file(path, template, program, home),),
        after_writing=(),
        before_removing=(("launchctl", "bootout", f"{domain}/{LABEL}"),),
        after_removing=(),
        next_steps=(*steps, f"launchctl bootstrap {domain} {path}"),
    )


def _file(
    path: str, template: str, program: str = "", home: str = "", *, stays: bool = False
) -> PlannedFile:
    text = (_UNITS / template).read_text(encoding="utf-8")
    return PlannedFile(
        path=path, text=text.replace("@TALLY@", program).replace("@HOME@", home), stays=stays
    )


def _text_of(path: str) -> str | None:
    """Return what stands in a file, or None where there is none."""
    try:
        return read_bounded(path, UNIT_BYTES_MAX).decode("utf-8", "replace")
    except UnreadableError:
        if os.path.lexists(path):
            raise
        return None


def _make_folders(path: str) -> None:
    if path and not os.path.isdir(path):
        _make_folders(os.path.dirname(path))
        make_directory(path, 0o755)
