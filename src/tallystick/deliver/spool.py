# SPDX-License-Identifier: Apache-2.0
"""A directory of frames that could not be handed over: one file each, sent later, marked late.

Several processes may share it. A frame is removed only when the daemon has said that its receipt is
stored, so it may arrive twice and never not at all; both carry one idempotency key.

`durable.file` is imported where it is used: who never spools does not pay for it.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from _collections_abc import Callable, Mapping

from tallystick.deliver.frame_members import body_of
from tallystick.errors import (
    DurableError,
    EmitError,
    FrameRefused,
    LimitError,
    SettingError,
    WalLockedError,
)
from tallystick.limits import FRAME_BYTES_MAX, SPOOL_BYTES_MAX, SPOOL_FRAMES_MAX

_KEPT = ".frame"
_REFUSED = ".refused"
_LOCK = ".lock"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Spool:
    """The frames of one directory, oldest first."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Make the directory, for its owner alone, or check that nobody else can write to it."""
        from tallystick.durable.file import make_directory, reason_of, shown

        make_directory(path, 0o700)
        # Where a link leads now: who may change the link later changes nothing for us.
        self.path = os.path.realpath(path)
        try:
            found = os.lstat(self.path)
            if not stat.S_ISDIR(found.st_mode):
                raise SettingError(f"{shown(self.path)} is no directory, and can't keep frames")
            _check_above(self.path)
        except OSError as fault:
            raise SettingError(f"{shown(self.path)}: {reason_of(fault)}") from None
        if not _is_ours(found):
            raise SettingError(
                f"{shown(self.path)}: others could put frames there; wanted is a directory of "
                "yours that nobody else writes to (chmod 700)"
            )
        self._count = 0

    def __len__(self) -> int:
        return len(self._names())

    def keep(self, members: Mapping[str, object], now_ns: int) -> None:
        """Return when the frame is on stable storage; raise `EmitError` where there is no room."""
        from tallystick.durable.file import shown, write_replace

        number = os.urandom(8).hex()
        late = {
            "idempotency_key": f"spool:{number}",
            **{name: value for name, value in members.items() if value is not None},
            "late": True,
            "ack": True,
        }
        try:
            body = body_of(late)
        except (
            FrameRefused
        ) as fault:  # it fitted just so, and has no room for the mark of a late one
            raise EmitError(f"it can't be kept: {fault}") from None
        names = self._names()
        kept = sum(_size_of(name) for name in names)
        if len(names) >= SPOOL_FRAMES_MAX or kept + len(body) > SPOOL_BYTES_MAX:
            raise EmitError(f"{shown(self.path)} is full: {len(names)} frames, {kept} bytes")
        self._count += 1
        # Sorted as they were sent: by time, then by the order within this process.
        name = f"{now_ns:020d}-{self._count:06d}-{number}-{len(body)}{_KEPT}"
        try:
            write_replace(os.path.join(self.path, name), body, 0o600)
        except DurableError as fault:
            raise EmitError(str(fault)) from None

    def deliver(self, send: Callable[[bytes], None], until: float) -> int:
        """Send frames until there is none, or the time is up; another process may be at it.

        Returns how many files were set aside as `*.refused` because they hold no frame any more.
        """
        if not self._names():
            return 0
        from tallystick.durable.file import lock, reason_of, unlock

        try:
            directory = os.open(self.path, _FOLDER)
        except OSError as fault:
            raise EmitError(reason_of(fault)) from None
        try:
            held = lock(_LOCK, directory, self.path)
        except WalLockedError:
            return 0
        except OSError as fault:
            raise EmitError(reason_of(fault)) from None
        else:
            spoiled = 0
            try:
                for name in self._names():
                    if time.monotonic() >= until:
                        break
                    spoiled += self._deliver_one(name, directory, send)
            finally:
                unlock(held)
            return spoiled
        finally:
            os.close(directory)

    def _deliver_one(self, name: str, directory: int, send: Callable[[bytes], None]) -> bool:
        """Send one frame; return whether there was none in the file."""
        from tallystick.durable.file import reason_of

        aside = name.removesuffix(_KEPT) + _REFUSED
        try:
            body = _frame_in(name, directory)
            if body is None:
                os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
                return True
            try:
                send(body)
            except FrameRefused:
                # It will never be taken. The daemon's chain says that a frame was refused; here
                # lies which one.
                os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
                return False
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            pass  # somebody cleaned up
        except OSError as fault:
            raise EmitError(reason_of(fault)) from None
        return False

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(_KEPT))
        except OSError as fault:
            raise EmitError(f"{self.path!r}: {fault.strerror}") from None


def _size_of(name: str) -> int:
    size = name.removesuffix(_KEPT).rpartition("-")[2]
    return int(size) if size.isdigit() else FRAME_BYTES_MAX


def _frame_in(name: str, directory: int) -> bytes | None:
    """Return the frame in a file, or None where it holds none that the daemon would answer.

    Whatever lies there, it must not hold up the frames behind it: no pipe is waited for.
    """
    from tallystick.durable.file import read_descriptor

    try:
        descriptor = os.open(name, _FILE, dir_fd=directory)
    except OSError as fault:
        if fault.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or not _is_ours(found):
            return None
        body = read_descriptor(descriptor, FRAME_BYTES_MAX)
        import json  # only who has spooled pays for it

        members = json.loads(body)
    except (LimitError, ValueError, RecursionError):
        return None
    finally:
        os.close(descriptor)
    return body if isinstance(members, dict) and members.get("ack") is True else None


def _is_ours(found: os.stat_result) -> bool:
    """Whether a file or directory is ours, and nobody else may write to it."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _check_above(path: str) -> None:
    """Refuse a directory in one of somebody else, who could put another in its place."""
    from tallystick.durable.file import shown

    while (above := os.path.dirname(path)) != path:
        found = os.stat(above)
        is_open = found.st_mode & 0o002 and not found.st_mode & stat.S_ISVTX
        if is_open or found.st_uid not in (0, os.geteuid()):
            raise SettingError(f"{shown(above)}: others could replace the spool directory in it")
        path = above
