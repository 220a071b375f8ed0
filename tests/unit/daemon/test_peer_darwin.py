# SPDX-License-Identifier: Apache-2.0
"""macOS by its byte layouts: the structures of its headers, and a system that plays its part."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any, cast

import pytest

from tallystick.daemon.peer_darwin import (
    LOCAL_PEERCRED,
    LOCAL_PEEREPID,
    SOL_LOCAL,
    Libproc,
    attest_darwin,
    parse_bsdinfo,
    parse_xucred,
    told_of,
)
from tallystick.errors import PeerError


def xucred(*, version: int = 0, uid: int = 501, groups: tuple[int, ...] = (20, 12)) -> bytes:
    """Return a `struct xucred` of 76 bytes, written byte by byte."""
    raw = version.to_bytes(4, "little") + uid.to_bytes(4, "little")
    raw += len(groups).to_bytes(2, "little") + b"\0\0"
    padded = (*groups, *[0] * (16 - len(groups)))
    return raw + b"".join(group.to_bytes(4, "little") for group in padded)


def bsdinfo(
    *, pid: int = 4711, ppid: int = 1, start: tuple[int, int] = (1_700_000_000, 5)
) -> bytes:
    """Return a `struct proc_bsdinfo` of 136 bytes, with each field at its offset."""
    raw = bytearray(136)
    struct.pack_into("<I", raw, 12, pid)
    struct.pack_into("<I", raw, 16, ppid)
    struct.pack_into("<I", raw, 20, 501)
    raw[48:54] = b"python"
    struct.pack_into("<QQ", raw, 120, *start)
    return bytes(raw)


class Connection:
    """Plays a socket of macOS."""

    def __init__(self, *, pid: int | None = 4711, raw: bytes | None = None) -> None:
        self.pid, self.raw = pid, raw

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """Answer as macOS does."""
        assert level == SOL_LOCAL == 0
        if option == LOCAL_PEERCRED:
            assert size == 76
            if self.raw is None:
                raise OSError(errno.EINVAL, "Invalid argument")
            return self.raw
        assert (option, size) == (LOCAL_PEEREPID, 4)
        if self.pid is None:
            raise OSError(errno.ENOTCONN, "Socket is not connected")
        return self.pid.to_bytes(4, "little")


def system(**changed: Any) -> Libproc:
    """Return the calls of a macOS on which one process runs."""
    calls = {
        "path": lambda pid: b"/usr/local/bin/python3",
        "bsdinfo": lambda pid: bsdinfo(pid=pid),
        "session": lambda pid: 77,
    }
    return Libproc(**{**calls, **changed})


def raising(number: int) -> Any:
    """Return a call that fails as the system does."""

    def call(pid: int) -> bytes:
        raise OSError(number, os.strerror(number))

    return call


def connected(**members: Any) -> socket.socket:
    """Return a played socket, typed as a real one."""
    return cast("socket.socket", Connection(**members))


def test_all_facts() -> None:
    """User, first group, number, path, parent, session and start."""
    told = attest_darwin(connected(raw=xucred()), system())
    assert told.credential.to_dict() == {
        "exe_path": "/usr/local/bin/python3",
        "gid": 20,
        "pid": 4711,
        "platform": "darwin",
        "uid": 501,
    }
    assert told.peer.to_dict() == {
        "exe_status": "ok",
        "ppid": 1,
        "session": 77,
        "start_time": 1_700_000_000_000_005,
    }


def test_layouts() -> None:
    """Each number is read from the place that the headers give it."""
    assert parse_xucred(xucred(uid=0, groups=(0,))) == (0, 0)
    assert parse_xucred(xucred(groups=())) == (501, None)
    told = parse_bsdinfo(bsdinfo(pid=9, ppid=8, start=(3, 4)))
    assert (told.pid, told.ppid, told.start_time) == (9, 8, 3_000_004)
    for raw in (b"", xucred()[:-1], xucred(version=1)):
        with pytest.raises(PeerError):
            parse_xucred(raw)
    with pytest.raises(PeerError):
        parse_bsdinfo(bsdinfo()[:-1])


def test_no_credentials_no_attestation() -> None:
    """Where the system gives none, the connection has no peer."""
    with pytest.raises(PeerError):
        attest_darwin(connected(), system())


def test_who_closed_already_is_gone() -> None:
    """ENOTCONN leaves the user and takes the process."""
    told = attest_darwin(connected(raw=xucred(), pid=None), system())
    assert (told.credential.uid, told.credential.pid) == (501, 0)
    assert told.peer.exe_status == "gone"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"bsdinfo": raising(errno.ESRCH)}, "gone"),
        ({"bsdinfo": raising(errno.EPERM)}, "denied"),
        ({"bsdinfo": lambda pid: b"short"}, "hidden"),
        ({"path": raising(errno.EPERM)}, "denied"),
        ({"path": raising(errno.ESRCH)}, "gone"),
        ({"session": raising(errno.ESRCH)}, "ok"),
    ],
)
def test_what_is_not_told_has_a_status(changed: dict[str, Any], status: str) -> None:
    """Silence is never left unexplained."""
    _, peer = told_of(4711, system(**changed))
    assert peer.exe_status == status


def test_a_reused_number_vouches_for_nothing() -> None:
    """A process that began between the two looks is another one."""
    starts = iter([(1, 0), (2, 0)])
    exe_path, peer = told_of(9, system(bsdinfo=lambda pid: bsdinfo(pid=pid, start=next(starts))))
    assert (exe_path, peer.exe_status, peer.ppid) == (None, "gone", None)
