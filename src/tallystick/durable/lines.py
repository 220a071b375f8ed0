# SPDX-License-Identifier: Apache-2.0
"""A text file that only grows, line by line: what `append` returned from survives a power cut.

Several processes may append to one file: each line is written under the file's lock. A line that
a crash tore off was never acknowledged; the next writer cuts it away. Whatever else stands there
without a line feed stays: a whole line gets one, and a file of somebody else is left alone.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import Final
from weakref import WeakSet

import msgspec

from tallystick.durable.file import Durable, FilePath, reason_of, refuse_planted, shown, write_at
from tallystick.errors import DurableError
from tallystick.limits import RECEIPT_BYTES_MAX

_FLAGS: Final = os.O_RDWR | os.O_CREAT
_TAIL_BYTES: Final = 64 * 1024
# So much of a torn line must begin as the one that follows it: `{"@context"` is 11 bytes.
_HEAD_BYTES: Final = 11


class LineFile:
    """An append-only file of lines. Safe from many threads and many processes."""

    def __init__(self, path: FilePath, *, durable: Durable | None = None) -> None:
        """Open or create the file; its directory must exist."""
        self.path = os.fspath(path)
        self._whole_path = os.path.abspath(self.path)  # also after a chdir
        self._durable = durable or Durable()
        self._turn = threading.Lock()
        self._fault: OSError | ValueError | None = None
        # What was written last, and where: it may be there also where an interrupt said otherwise.
        self._last = (b"", 0)
        try:
            self._descriptor = self._open()
        except (OSError, ValueError) as error:
            raise DurableError(f"{shown(path)} could not be opened: {reason_of(error)}") from error
        _open_files.add(self)

    def append(self, line: bytes, *, once: bool = False) -> None:
        """Write one line (without its line feed) and return when it is on stable storage.

        With `once`, a line that is the last one written from here is not written again.
        """
        import fcntl  # not everywhere; only who appends needs it

        with self._turn:
            if self._fault is not None:
                # After a failed sync nobody knows what is on the disk: nothing more is promised.
                raise DurableError(f"{shown(self.path)} failed before: {reason_of(self._fault)}")
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                try:
                    if not (once and self._is_there(line)):
                        end = self._end_of_lines(line)
                        self._last = (line, end)
                        write_at(self._descriptor, line + b"\n", end, self._durable)
                    self._durable.fdatasync(self._descriptor)
                    if os.fstat(self._descriptor).st_nlink == 0:
                        raise OSError(errno.ENOENT, "it was removed while in use")
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

    def _open(self) -> int:
        parent, name = os.path.split(self._whole_path)
        directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = self._durable.open(name, _FLAGS, 0o600, directory)
            try:
                refuse_planted(descriptor, directory)
                self._durable.fsync(directory)
            except BaseException:
                os.close(descriptor)
                raise
        finally:
            os.close(directory)
        return descriptor

    def _is_there(self, line: bytes) -> bool:
        last, offset = self._last
        whole = line + b"\n"
        return last == line and os.pread(self._descriptor, len(whole), offset) == whole

    def _end_of_lines(self, line: bytes) -> int:
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
        if end == size:
            return end
        rest = os.pread(self._descriptor, RECEIPT_BYTES_MAX, end)
        if end + len(rest) == size and _is_whole(rest):
            write_at(self._descriptor, b"\n", size, self._durable)
            return size + 1
        if not _is_torn(rest, line):
            raise OSError(errno.EEXIST, "it ends in something else than lines of ours")
        self._durable.ftruncate(self._descriptor, end)
        return end

    def _begin_anew(self) -> None:
        """In a forked child: open the file again, for a lock that the parent's does not cover."""
        self._turn = threading.Lock()
        self._last = (b"", 0)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            try:
                self._descriptor = self._open()
            except (OSError, ValueError) as error:
                self._fault = error


def _is_whole(text: bytes) -> bool:
    """Whether a text is a whole JSON object: a line that lacks its line feed only."""
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return False
    return True


def _is_torn(text: bytes, line: bytes) -> bool:
    """Whether a text is the beginning of such a line, or bytes that never came to the disk."""
    size = min(len(text), len(line), _HEAD_BYTES)
    return text[:size] == line[:size] or b"\0" in text


_open_files: Final[WeakSet[LineFile]] = WeakSet()


def _in_child() -> None:
    for one in list(_open_files):
        one._begin_anew()


os.register_at_fork(after_in_child=_in_child)
