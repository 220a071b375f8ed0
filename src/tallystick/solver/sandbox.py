# SPDX-License-Identifier: Apache-2.0
"""What a program may see and do, in the words of what confines it: bubblewrap or our launcher."""

from __future__ import annotations

import os
import shutil
import stat
from typing import Final, Literal

import msgspec

Kind = Literal["bubblewrap", "namespaces", "none"]

LAUNCHER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "confine.py")
PROGRAMS: Final = "/usr/local/bin:/usr/bin:/bin"
# Sockets that have a path, of this network namespace: a namespace of its own shuts none of them.
_SOCKETS: Final = "/proc/net/unix"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What one program may see and do."""

    cwd: str
    hidden: tuple[str, ...] = ()
    # What a program needs although it lies in `/tmp`, where it sees one of its own.
    shown: tuple[str, ...] = ()
    network: bool = False
    limits: dict[str, int] = {}


def bubblewrap(argv: list[str], cell: Cell, status: int) -> list[str]:
    """Return the command line that runs `argv` in a cell by bubblewrap.

    It writes to the descriptor `status` how the program ended, where the program began at all.
    """
    line = [shutil.which("bwrap", path=PROGRAMS) or "bwrap", "--json-status-fd", str(status)]
    line += ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if cell.network:
        line.append("--share-net")
    line += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]  # noqa: S108
    for path in shown_in_tmp(cell):
        line += ["--ro-bind", path, path]
    for path in cell.hidden:
        if os.path.isdir(path):
            line += ["--tmpfs", path]
        elif os.path.exists(path):
            line += ["--ro-bind", "/dev/null", path]
    return [*line, "--bind", cell.cwd, cell.cwd, "--chdir", cell.cwd, "--", *argv]


def shown_in_tmp(cell: Cell) -> list[str]:
    """Return what has to be put back into the new `/tmp`: what lies in a folder comes with it."""
    found: list[str] = []
    for path in sorted({os.path.realpath(one) for one in cell.shown} | set(cell.shown)):
        is_within = any(path.startswith(f"{outer}/") for outer in found)
        if path.startswith("/tmp/") and os.path.exists(path) and not is_within:  # noqa: S108
            found.append(path)
    return found


def open_sockets(path: str = _SOCKETS) -> list[str]:
    """Return the paths of all sockets that this user may connect to just now.

    Whoever may write to a socket's file may connect, also where its file system is read-only.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError:
        return []  # no Linux
    # Seven columns, and then the path, if it has one; those that begin with @ are in no folder.
    bound = {fields[7] for line in lines if len(fields := line.split(maxsplit=7)) == 8}
    return sorted(one for one in bound if one.startswith("/") and _is_socket(one))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode) and os.access(path, os.W_OK)
    except (OSError, ValueError):
        return False


def order_of(
    argv: list[str], env: dict[str, str], cell: Cell, kind: Kind, status: int = -1
) -> dict[str, object]:
    """Return what the launcher is told; `status` is where bubblewrap tells how it went."""
    return {
        "argv": bubblewrap(argv, cell, status) if kind == "bubblewrap" else argv,
        "reports": kind == "bubblewrap",
        "env": env,
        "cwd": cell.cwd,
        "kind": "namespaces" if kind == "namespaces" else "none",
        "network": cell.network,
        "hidden": list(cell.hidden),
        "shown": shown_in_tmp(cell),
        "limits": cell.limits,
        "parent": os.getpid(),
    }


def facts_of(told: dict[str, object], cell: Cell, kind: Kind) -> dict[str, str | int | bool]:
    """Return what was in force, for the manifest, from what the launcher said."""
    facts: dict[str, str | int | bool] = {
        name: value
        for name, value in told.items()
        # What bubblewrap says of its processes is spelled with hyphens.
        if name != "fault" and "-" not in name and isinstance(value, (str, int))
    }
    if kind == "bubblewrap":
        facts |= {
            "kind": "bubblewrap",
            "network": cell.network,
            "filesystem": "read-only but for artifacts and private /tmp and /dev",
            "namespaces": "user mount pid ipc uts cgroup" + ("" if cell.network else " net"),
        }
    facts |= {f"limit{name.capitalize()}": value for name, value in cell.limits.items()}
    return facts
