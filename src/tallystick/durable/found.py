# SPDX-License-Identifier: Apache-2.0
"""Which file stands under a name, asked again and again while it is written.

Where somebody has looked at a file's times, Linux stamps its next change anew, and the next sync
takes the disk one write more. So they are not looked at, where the system lets one choose.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

# Of <linux/stat.h> and <fcntl.h>: which have these numbers on every processor.
_AT_FDCWD: Final = -100
_AT_SYMLINK_NOFOLLOW: Final = 0x100
_STATX_INO_AND_SIZE: Final = 0x100 | 0x200
_STATX_BYTES: Final = 256
# The number of the file and its size, and behind its times the device.
_MEMBERS: Final = Struct("=32x2Q88x2I")
# Old kernels know no such call, and a sandbox may not.
_NO_SUCH_CALL: Final = (errno.ENOSYS, errno.EPERM, errno.EINVAL)


class Found(NamedTuple):
    """Which file it is, and how long."""

    identity: tuple[int, int, int]
    size: int


def find(path: str) -> Found | None:
    """Return what stands under a name, be it a link, or None where nothing can be seen there."""
    name = os.fsencode(path)
    if _statx is None or b"\0" in name:  # where a name in C would end
        return _found_by_stat(path)
    answer = bytearray(_STATX_BYTES)
    number = _statx(name, answer)
    if number:
        return _found_by_stat(path) if number in _NO_SUCH_CALL else None
    node, size, major, minor = _MEMBERS.unpack_from(answer)
    return Found((major, minor, node), size)


def _found_by_stat(path: str) -> Found | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except (OSError, ValueError):
        return None
    device = status.st_dev
    return Found((os.major(device), os.minor(device), status.st_ino), status.st_size)


def _system_call() -> Callable[[bytes, bytearray], int] | None:
    """Return what fills in an answer and returns the number of an error, or 0."""
    try:
        import ctypes  # a Python may have been built without

        call = ctypes.CDLL(None, use_errno=True).statx
    except (AttributeError, ImportError, OSError):
        return None
    kind = ctypes.c_char * _STATX_BYTES
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, kind)

    def ask(name: bytes, answer: bytearray) -> int:
        into = kind.from_buffer(answer)
        failed = call(_AT_FDCWD, name, _AT_SYMLINK_NOFOLLOW, _STATX_INO_AND_SIZE, into)
        return ctypes.get_errno() if failed else 0

    return ask


_statx: Final = _system_call()
