# SPDX-License-Identifier: Apache-2.0
"""A directory of frames that could not be handed over: one file each, sent later, marked late.

Several processes may share it. A frame is removed only when the daemon has said that its receipt is
stored, so it may arrive twice and never not at all; both carry one idempotency key.

`durable.file` is imported where it is used: who never spools does not pay for it.
"""

from __future__ import annotations

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
    UnreadableError,
    WalLockedError,
)
from tallystick.limits import FRAME_BYTES_MAX, SPOOL_BYTES_MAX, SPOOL_FRAMES_MAX

_KEPT = ".frame"
_REFUSED = ".refused"
_LOCK = ".lock"


class Spool:
    """The frames of one directory, oldest first."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Make the directory, for its owner alone, or check that nobody else can write to it."""
        from tallystick.durable.file import make_directory, reason_of, shown

        self.path = os.fspath(path)
        make_directory(self.path, 0o700)
        try:
            found = os.stat(self.path)
        except OSError as fault:
            raise SettingError(f"{shown(self.path)}: {reason_of(fault)}") from None
        if not stat.S_ISDIR(found.st_mode):
            raise SettingError(f"{shown(self.path)} is no directory, and can't keep frames")
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
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
        body = body_of(late)
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

    def deliver(self, send: Callable[[bytes], None], until: float) -> None:
        """Send frames until there is none, or the time is up; another process may be at it."""
        if not self._names():
            return
        from tallystick.durable.file import lock, reason_of, unlock

        try:
            directory = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as fault:
            raise EmitError(reason_of(fault)) from None
        try:
            held = lock(_LOCK, directory, self.path)
        except WalLockedError:
            return
        except OSError as fault:
            raise EmitError(reason_of(fault)) from None
        else:
            try:
                for name in self._names():
                    if time.monotonic() >= until:
                        return
                    self._deliver_one(name, send)
            finally:
                unlock(held)
        finally:
            os.close(directory)

    def _deliver_one(self, name: str, send: Callable[[bytes], None]) -> None:
        from tallystick.durable.file import read_bounded, reason_of

        path = os.path.join(self.path, name)
        try:
            body = read_bounded(path, FRAME_BYTES_MAX)
            try:
                send(body)
            except FrameRefused:
                # It will never be taken. The daemon's chain says that a frame was refused; here
                # lies which one.
                os.rename(path, path.removesuffix(_KEPT) + _REFUSED)
                return
            os.unlink(path)
        except FileNotFoundError:
            pass  # somebody cleaned up
        except (LimitError, UnreadableError) as fault:
            raise EmitError(str(fault)) from None
        except OSError as fault:
            raise EmitError(reason_of(fault)) from None

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(_KEPT))
        except OSError as fault:
            raise EmitError(f"{self.path!r}: {fault.strerror}") from None


def _size_of(name: str) -> int:
    size = name.removesuffix(_KEPT).rpartition("-")[2]
    return int(size) if size.isdigit() else FRAME_BYTES_MAX
