# SPDX-License-Identifier: Apache-2.0
"""A text file that only grows, line by line: what `append` returned from survives a power cut.

Several processes may append to one file: each line is written under the file's lock. A line that
a crash tore off was never acknowledged; the next writer cuts it away.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from tallystick.durable.file import Durable, FilePath, reason_of, shown, write_at
from tallystick.errors import DurableError

_FLAGS: Final = os.O_RDWR | os.O_CREAT
_TAIL_BYTES: Final = 64 * 1024


class LineFile:
    """An append-only file of lines. Safe from many threads and many processes."""

    def __init__(self, path: FilePath, *, durable: Durable | None = None) -> None:
        """Open or create the file; its directory must exist."""
        self.path = os.fspath(path)
        self._durable = durable or Durable()
        self._turn = threading.Lock()
        self._fault: OSError | None = None
        parent, name = os.path.split(self.path)
        try:
            directory = os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._descriptor = self._durable.open(name, _FLAGS, 0o600, directory)
                self._durable.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise DurableError(f"{shown(path)} could not be opened: {reason_of(error)}") from error

    def append(self, line: bytes) -> None:
        """Write one line (without its line feed) and return when it is on stable storage."""
        import fcntl  # not everywhere; only who appends needs it

        with self._turn:
            if self._fault is not None:
                # After a failed sync nobody knows what is on the disk: nothing more is promised.
                raise DurableError(f"{shown(self.path)} failed before: {reason_of(self._fault)}")
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                try:
                    end = self._end_of_lines()
                    write_at(self._descriptor, line + b"\n", end, self._durable)
                    self._durable.fdatasync(self._descriptor)
                finally:
                    fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            except OSError as error:
                self._fault = error
                raise DurableError(
                    f"{shown(self.path)} could not be written: {reason_of(error)}"
                ) from error

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
                self._fault = self._fault or OSError(0, "it was closed")

    def _end_of_lines(self) -> int:
        """Return where the next line begins, cutting off one that a crash tore."""
        size = os.fstat(self._descriptor).st_size
        end = size
        while end > 0:
            start = max(0, end - _TAIL_BYTES)
            tail = os.pread(self._descriptor, end - start, start)
            last = tail.rfind(b"\n")
            if last >= 0:
                end = start + last + 1
                break
            end = start
        if end < size:
            self._durable.ftruncate(self._descriptor, end)
        return end
