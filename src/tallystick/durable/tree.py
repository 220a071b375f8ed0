# SPDX-License-Identifier: Apache-2.0
"""Puts all that others wrote below a directory on stable storage, in one call."""

from __future__ import annotations

import ctypes
import os

from tallystick.durable.file import FilePath, reason_of, shown
from tallystick.errors import DurableError


def sync_filesystem(path: FilePath) -> None:
    """Return when the file system that holds a directory has written all that it was given.

    One call, however many files a program has left there. Linux tells of failed writes; other
    systems only start to write.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as fault:
        raise DurableError(f"{shown(path)} can't be synced: {reason_of(fault)}") from fault
    try:
        _sync(descriptor, path)
    finally:
        os.close(descriptor)


def _sync(descriptor: int, path: FilePath) -> None:
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
    elif syncfs(descriptor) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise DurableError(f"what lies in {shown(path)} is not safe: {reason}")
