# SPDX-License-Identifier: Apache-2.0
"""The files of an SQLite database: made, kept from others, and told apart."""

from __future__ import annotations

import os
import stat

from tallystick.durable.file import shown
from tallystick.errors import StoreError


def prepare_files(path: str, mode_max: int | None) -> None:
    """Make the file of a database where there is none, and see to what others may do with it.

    SQLite gives its log and its index the same permission bits as the file.
    """
    mode = 0o600 if mode_max is None else mode_max
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        if mode_max is None:
            return
    else:
        try:
            os.fchmod(descriptor, mode)  # whatever the umask is
        finally:
            os.close(descriptor)
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        _tighten(name, mode)


def _tighten(path: str, mode_max: int) -> None:
    """Take from a file what others may do with it, beyond what is allowed; never add anything."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{shown(path)} is not a regular file, perhaps a symbolic link: refused")
    if status.st_uid != os.geteuid():
        raise StoreError(
            f"{shown(path)} belongs to another user ({status.st_uid}); run this as that user"
        )
    mode = stat.S_IMODE(status.st_mode)
    if mode & ~mode_max:
        os.chmod(path, mode & mode_max)
