# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a Unix socket, by the word of the kernel and of nobody else.

The credentials are those of the process that connected. What more is told of it is read from
`/proc` while the kernel's handle on that very process (SO_PEERPIDFD) still names it: a process id
that another one has taken in the meantime vouches for nothing. Without such a handle (before
Linux 6.5) the start time is compared instead. A status says why something is not known.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import sys
from typing import Final

from tallystick.daemon.attestation import Attestation, Status, text_of_path
from tallystick.errors import PeerError
from tallystick.limits import CGROUP_CHARS_MAX, JSON_INTEGER_MAX
from tallystick.model.action import PeerCredential
from tallystick.model.extension import Peer

__all__ = ["Attestation", "attest", "attest_linux", "facts_of", "parse_cgroup", "parse_stat"]

_UCRED: Final = struct.Struct("=iII")
# In Linux's headers since 6.5; not in Python's.
_SO_PEERPIDFD: Final = 77
# What stands for an id that has no counterpart in our user namespace.
_NO_ID: Final = 2**32 - 1
_PROC_BYTES_MAX: Final = 16 * 1024


def attest(connection: socket.socket, platform: str = sys.platform) -> Attestation:
    """Return who connected, or raise `PeerError` where the kernel does not say."""
    if platform.startswith("linux"):
        return attest_linux(connection)
    if platform == "darwin":
        from tallystick.daemon.peer_darwin import attest_darwin  # Linux needs no ctypes

        return attest_darwin(connection)
    raise PeerError(f"nothing on {platform} tells who is at the other end of a socket")


def attest_linux(connection: socket.socket, proc: str = "/proc") -> Attestation:
    """Return what Linux says of the process that connected."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError as fault:
        raise PeerError(f"the system gave no peer credentials: {fault.strerror}") from fault
    pid, uid, gid = _UCRED.unpack(raw)
    handle, is_gone = _handle_of(connection)
    try:
        exe_path, peer = facts_of(pid, handle, proc, is_gone=is_gone)
    finally:
        if handle is not None:
            os.close(handle)
    return Attestation(
        credential=PeerCredential(
            exe_path=exe_path,
            gid=None if gid == _NO_ID else gid,
            pid=pid,
            platform="linux",
            uid=None if uid == _NO_ID else uid,
        ),
        peer=peer,
    )


def facts_of(
    pid: int, handle: int | None, proc: str = "/proc", *, is_gone: bool = False
) -> tuple[str | None, Peer]:
    """Return path and facts of a process, `handle` being the kernel's own hold on it, if any."""
    if pid <= 0:
        # The peer lives in a process namespace that we can't look into.
        return None, Peer(exe_status="hidden")
    if is_gone:
        return None, Peer(exe_status="gone")
    folder = f"{proc}/{pid}"
    before = _stat_of(folder)
    exe_path, status = _exe_of(folder, pid, handle)
    cgroup = None if before is None else _cgroup_of(folder)
    if not _is_same(pid, handle, folder, before, proc):
        # What was read may be of another process that was given the same number.
        return None, Peer(exe_status="gone")
    if before is None:
        return exe_path, Peer(exe_status=status)
    ppid, session, start_time = before
    return exe_path, Peer(
        cgroup=cgroup, exe_status=status, ppid=ppid, session=session, start_time=start_time
    )


def parse_stat(text: str) -> tuple[int, int, int] | None:
    """Return parent, session and start (clock ticks since boot) of `/proc/<pid>/stat`."""
    # The name in brackets may itself hold brackets, blanks and line feeds.
    _, bracket, rest = text.rpartition(")")
    fields = rest.split()
    if not bracket or len(fields) < 20:
        return None
    try:
        ppid, session, start_time = int(fields[1]), int(fields[3]), int(fields[19])
    except ValueError:
        return None
    return (ppid, session, start_time) if 0 <= start_time <= JSON_INTEGER_MAX else None


def parse_cgroup(text: str) -> str | None:
    """Return the control group that says most: of version 2, else the longest of version 1."""
    paths = []
    # By line feeds alone: a folder's name may hold all else that `splitlines` would cut at.
    for line in text.split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not path.startswith("/"):
            continue
        if number == "0" and not controllers and path != "/":
            return path[:CGROUP_CHARS_MAX]
        paths.append(path)
    return max(paths, key=len)[:CGROUP_CHARS_MAX] if paths else None


def _handle_of(connection: socket.socket) -> tuple[int | None, bool]:
    """Return the kernel's handle on the peer, and whether the peer is known to be gone."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4)
    except OSError as fault:
        # An older kernel knows no such option; a newer one has no handle on who is gone.
        return None, fault.errno == errno.ESRCH
    return int(struct.unpack("=i", raw)[0]), False


def _exe_of(folder: str, pid: int, handle: int | None) -> tuple[str | None, Status]:
    try:
        return text_of_path(os.readlink(f"{folder}/exe".encode())), "ok"
    except PermissionError:
        return None, "denied"
    except OSError:
        # Gone; or, where /proc is mounted with hidepid, there and not shown.
        is_shown = os.path.exists(folder)
        return None, "hidden" if not is_shown and _is_running(pid, handle) else "gone"


def _is_running(pid: int, handle: int | None) -> bool:
    try:
        if handle is not None:
            signal.pidfd_send_signal(handle, 0)
        else:
            os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _is_same(
    pid: int, handle: int | None, folder: str, before: tuple[int, int, int] | None, proc: str
) -> bool:
    """Whether the number still belongs to the process that connected, after all was read."""
    if handle is None:
        after = _stat_of(folder)
        return (after is None) == (before is None) and (
            after is None or before is None or after[2] == before[2]
        )
    for line in (_read(f"{proc}/self/fdinfo/{handle}") or "").splitlines():
        if line.startswith("Pid:"):
            # -1 once it is gone and its number free for others.
            return line[4:].strip() == str(pid)
    return _is_running(pid, handle)


def _stat_of(folder: str) -> tuple[int, int, int] | None:
    text = _read(f"{folder}/stat")
    return None if text is None else parse_stat(text)


def _cgroup_of(folder: str) -> str | None:
    text = _read(f"{folder}/cgroup")
    return None if text is None else parse_cgroup(text)


def _read(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, _PROC_BYTES_MAX).decode("utf-8", "backslashreplace")
    except OSError:
        return None
    finally:
        os.close(descriptor)
