# SPDX-License-Identifier: Apache-2.0
"""The same on macOS: LOCAL_PEERCRED and LOCAL_PEEREPID, then libproc for path, parent and start.

BUG: macOS has no handle on a process: the start time is compared before and after instead, and a
process that took the number between connecting and the first look is not told apart.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

import msgspec

from tallystick.daemon.attestation import Attestation, Status, text_of_path
from tallystick.errors import PeerError
from tallystick.limits import JSON_INTEGER_MAX
from tallystick.model.action import PeerCredential
from tallystick.model.extension import Peer

# <sys/un.h>: the level of local sockets, and its options.
SOL_LOCAL: Final = 0
LOCAL_PEERCRED: Final = 0x001
LOCAL_PEEREPID: Final = 0x003

# <sys/ucred.h>, struct xucred: version, uid, number of groups, two bytes of padding, 16 groups.
_XUCRED: Final = struct.Struct("=IIhxx16I")
_XUCRED_VERSION: Final = 0
# <sys/proc_info.h>, struct proc_bsdinfo: 12 words, two names, six words, start in two parts.
_BSDINFO: Final = struct.Struct("=12I16s32s5Ii2Q")
_PROC_PIDTBSDINFO: Final = 3
_PATH_BYTES: Final = 4096


class ProcessTold(msgspec.Struct, frozen=True, kw_only=True):
    """What libproc says of one process."""

    pid: int
    ppid: int
    # Microseconds since 1970: macOS counts from there.
    start_time: int


class Libproc(msgspec.Struct, frozen=True, kw_only=True):
    """The calls into macOS, as a value: they raise OSError as the system does."""

    path: Callable[[int], bytes]
    bsdinfo: Callable[[int], bytes]
    session: Callable[[int], int]


def parse_xucred(raw: bytes) -> tuple[int, int | None]:
    """Return uid and first group of a `struct xucred`."""
    if len(raw) < _XUCRED.size:
        raise PeerError(f"the system gave {len(raw)} bytes of peer credentials")
    version, uid, count, *groups = _XUCRED.unpack_from(raw)
    if version != _XUCRED_VERSION:
        raise PeerError(f"the system gave peer credentials of version {version}")
    return uid, groups[0] if 0 < count <= len(groups) else None


def parse_bsdinfo(raw: bytes) -> ProcessTold:
    """Return what a `struct proc_bsdinfo` says."""
    if len(raw) < _BSDINFO.size:
        raise PeerError(f"the system gave {len(raw)} bytes about a process")
    fields = _BSDINFO.unpack_from(raw)
    start_time = min(fields[-2] * 1_000_000 + fields[-1], JSON_INTEGER_MAX)
    return ProcessTold(pid=fields[3], ppid=fields[4], start_time=start_time)


def attest_darwin(connection: socket.socket, libproc: Libproc | None = None) -> Attestation:
    """Return what macOS says of the process that connected."""
    try:
        uid, gid = parse_xucred(connection.getsockopt(SOL_LOCAL, LOCAL_PEERCRED, _XUCRED.size))
    except OSError as fault:
        raise PeerError(f"the system gave no peer credentials: {fault.strerror}") from fault
    try:
        (pid,) = struct.unpack("=i", connection.getsockopt(SOL_LOCAL, LOCAL_PEEREPID, 4))
    except OSError:  # ENOTCONN: the peer has closed already
        pid = 0
    exe_path, peer = (
        (None, Peer(exe_status="gone")) if pid <= 0 else told_of(pid, libproc or system_libproc())
    )
    credential = PeerCredential(exe_path=exe_path, gid=gid, pid=pid, platform="darwin", uid=uid)
    return Attestation(credential=credential, peer=peer)


def told_of(pid: int, libproc: Libproc) -> tuple[str | None, Peer]:
    """Return path and facts of a process, if it is the same one all along."""
    before, status = _process(pid, libproc)
    if before is None:
        return None, Peer(exe_status=status)
    try:
        exe_path, exe_status = text_of_path(libproc.path(pid)), "ok"
    except OSError as fault:
        exe_path, exe_status = "", _status_of(fault)
    try:
        session: int | None = libproc.session(pid)
    except OSError:
        session = None
    after, _ = _process(pid, libproc)
    if after != before:
        return None, Peer(exe_status="gone")
    return exe_path or None, Peer(
        exe_status=exe_status,  # type: ignore[arg-type]  # mypy widens a literal in a tuple
        ppid=before.ppid,
        session=session,
        start_time=before.start_time,
    )


def _process(pid: int, libproc: Libproc) -> tuple[ProcessTold | None, Status]:
    try:
        return parse_bsdinfo(libproc.bsdinfo(pid)), "ok"
    except OSError as fault:
        return None, _status_of(fault)
    except PeerError:
        return None, "hidden"


def _status_of(fault: OSError) -> Status:
    return "denied" if fault.errno in (errno.EPERM, errno.EACCES) else "gone"


def system_libproc() -> Libproc:
    """Return the calls into the running macOS."""
    import ctypes

    library = ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True)

    def checked(count: int) -> int:
        if count <= 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return count

    def path(pid: int) -> bytes:
        buffer = ctypes.create_string_buffer(_PATH_BYTES)
        checked(library.proc_pidpath(pid, buffer, _PATH_BYTES))
        return buffer.value

    def bsdinfo(pid: int) -> bytes:
        buffer = ctypes.create_string_buffer(_BSDINFO.size)
        place = ctypes.c_uint64(0)
        count = library.proc_pidinfo(pid, _PROC_PIDTBSDINFO, place, buffer, _BSDINFO.size)
        return buffer.raw[: checked(count)]

    return Libproc(path=path, bsdinfo=bsdinfo, session=os.getsid)
