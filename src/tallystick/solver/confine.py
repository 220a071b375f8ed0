# SPDX-License-Identifier: Apache-2.0
"""Starts one program with what confines it in force: run as a program of its own, by its path.

Nothing but the standard library is used, since it runs as `python -I -S`. It reads what to do from
a pipe, and writes what is in force to a file before the program starts: a line of JSON with facts.
A second line, with a fault, says that the program did not start.

With namespaces the program sees its own process tree, no network (unless allowed), and a file
system that it can only read, but for its working directory, a `/tmp` and a `/dev/shm` of its own.
Of devices it has a few that are harmless: disks, terminals and logs are not there.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any, NoReturn

_CLONE_NEWNS = 0x00020000
_CLONE_NEWUTS = 0x04000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 0x2, 0x4, 0x8
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_MOUNT_SETATTR = 442  # the same number on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 0x1, 0x2, 0x4
# Where others leave files, and shared memory: the program gets new ones, to write into.
_NEW = ("/tmp", "/dev/shm")  # noqa: S108  # these are
# A device is written to also where its file system is read-only: there are these, and no other.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
# Who the program is inside: nobody, who has no capabilities there once it has started.
_INSIDE = 65534


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


class Failed(Exception):
    """One step did not work; says which and why."""


def confine(order: dict[str, Any], status: int) -> NoReturn:
    """Put in force what is ordered, say so, and become the program. Never returns."""
    try:
        _die_with(order["parent"])
        _bound(order["limits"])
        facts: dict[str, object] = {"kind": "none", "noNewPrivileges": _no_new_privileges()}
        if order["kind"] == "namespaces":
            facts |= _enter(order)
        _say(status, facts)
        _start(order)
    except (Failed, OSError, ValueError) as fault:
        _say(status, {"fault": str(fault)})
    os._exit(127)


def _start(order: dict[str, Any]) -> NoReturn:
    os.chdir(order["cwd"])
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores both, and children inherit
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606  # that is its work


def _enter(order: dict[str, Any]) -> dict[str, object]:
    """Enter new namespaces; what returns is the program's own process, watched by a first one."""
    spaces = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC | _CLONE_NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", spaces | (0 if order["network"] else _CLONE_NEWNET))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_INSIDE} {uid} 1")
    _write("/proc/self/gid_map", f"{_INSIDE} {gid} 1")
    _follow(os.fork())
    _mounts(order)
    _follow(os.fork())
    return {
        "kind": "namespaces",
        "network": bool(order["network"]),
        "filesystem": "read-only but for artifacts and private /tmp and /dev/shm",
        "namespaces": "user mount pid ipc uts" + ("" if order["network"] else " net"),
    }


def _mounts(order: dict[str, Any]) -> None:
    # Opened before anything is hidden, and in the new namespace: no other's can be bound.
    held = os.open(order["cwd"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    shown = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in order["shown"]]
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    devices = _new_devices()
    new = [path for path in _NEW if os.path.isdir(path)]
    for path in new:
        _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=1777")
    for path, source in shown:
        _bind(source, path)
    for path in order["hidden"]:
        if os.path.isdir(path):
            _mount("tmpfs", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755")
        elif os.path.exists(path):
            _mount("/dev/null", path, None, _MS_BIND)
    _bind(held, order["cwd"])
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _attributes("/", _AT_RECURSIVE, set_=_ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)
    for path in devices:
        _attributes(path, 0, clear=_ATTR_NODEV)
    for path in (*new, order["cwd"]):
        _attributes(path, 0, clear=_ATTR_RDONLY)


def _new_devices() -> list[str]:
    """Put a folder of a few harmless devices in the place of `/dev`; return where devices work."""
    held = [
        (path, os.open(path, os.O_PATH | os.O_CLOEXEC))
        for path in (f"/dev/{name}" for name in _DEVICES)
        if os.path.exists(path)
    ]
    has_memory = os.path.isdir("/dev/shm")  # noqa: S108  # to have one of its own
    _mount("tmpfs", "/dev", "tmpfs", _MS_NOSUID, "mode=755")
    for path, source in held:
        _bind(source, path)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"/dev/{name}")
    if has_memory:
        os.mkdir("/dev/shm")  # noqa: S108  # likewise
    os.mkdir("/dev/pts")
    _mount("devpts", "/dev/pts", "devpts", _MS_NOSUID | _MS_NOEXEC, "newinstance,ptmxmode=0666")
    return [*(path for path, _ in held), "/dev/pts"]


def _bind(source: int, path: str) -> None:
    """Let what was opened before stand under its path again."""
    if os.path.isdir(f"/proc/self/fd/{source}"):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "ab"):
            pass  # a place to mount on
    _mount(f"/proc/self/fd/{source}", path, None, _MS_BIND)
    os.close(source)


def _follow(child: int) -> None:
    """In a parent: wait for the child, and end as it ended. In the child: go on."""
    if child == 0:
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return
    while True:
        pid, ended = os.waitpid(-1, 0)
        if pid == child:
            # As the first process of its namespace, this one takes all others with it.
            os._exit(128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended))


def _die_with(parent: int) -> None:
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise Failed("the solver ended before the program began")


def _no_new_privileges() -> bool:
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return True


def _bound(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        which = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(which)
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (most, most))


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    texts = [None if one is None else os.fsencode(one) for one in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), os.fsencode(data) if data else None, what=target)


def _attributes(path: str, flags: int, *, set_: int = 0, clear: int = 0) -> None:
    wanted = _Attributes(set_, clear, 0, 0)
    _call(
        "syscall",
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(path),
        ctypes.c_uint(flags),
        ctypes.byref(wanted),
        ctypes.c_size_t(ctypes.sizeof(wanted)),
        what=f"mount_setattr {path}",
    )


def _call(name: str, *arguments: Any, what: str = "") -> None:
    function = getattr(_LIBC, name)
    if function(*arguments) < 0:
        raise Failed(f"{what or name}: {os.strerror(ctypes.get_errno())}")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _say(status: int, line: dict[str, object]) -> None:
    os.write(status, json.dumps(line).encode() + b"\n")


_LIBC = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    with os.fdopen(int(sys.argv[1]), "rb") as orders:
        ordered = json.loads(orders.read())
    # Bubblewrap goes on to write there, and keeps it from the program.
    os.set_inheritable(int(sys.argv[2]), ordered["reports"])
    confine(ordered, int(sys.argv[2]))
