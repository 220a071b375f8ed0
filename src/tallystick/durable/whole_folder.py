# SPDX-License-Identifier: Apache-2.0
"""A folder that is filled bit by bit and appears at once: readers see all of it or nothing.

It is filled under a temporary name beside the one that was asked for, which must be free: nothing
is ever replaced. Whoever fills it makes the files in it stable; `finish` does the same for the
folder and gives it its name. Without `finish` nothing stays. What a kill leaves behind is called
`.NAME.….tmp`, so that nobody takes it for the whole, and everybody sees what it was to become.
"""

from __future__ import annotations

import errno
import os
import shutil
from types import TracebackType
from typing import Final, Self

from tallystick.durable.file import FilePath, Fsync, reason_of, shown
from tallystick.errors import DurableError, PathTakenError

_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Of a long name so many bytes are kept in the temporary one: a name may have 255.
_NAME_BYTES_MAX: Final = 200


class WholeFolder:
    """A new folder on its way; a context manager. `temporary` is where it is filled."""

    def __init__(self, path: FilePath, mode: int, *, fsync: Fsync = os.fsync) -> None:
        """Remember the path; the folder gets exactly these permission bits when it is finished."""
        self.path = os.fspath(path)
        self._mode = mode
        self._fsync = fsync
        self._is_finished = False
        self._descriptor = -1
        self._place = os.path.abspath(self.path)
        self._parent, name = os.path.split(self._place)
        begun = os.fsdecode(os.fsencode(name)[:_NAME_BYTES_MAX])
        self.temporary = os.path.join(self._parent, f".{begun}.{os.urandom(8).hex()}.tmp")

    def finish(self) -> None:
        """Return when the folder stands under its name on stable storage."""
        try:
            os.fchmod(self._descriptor, self._mode)
            self._fsync(self._descriptor)
            if os.path.lexists(self._place):  # rename(2) would replace an empty folder
                raise self._taken()
            os.rename(self.temporary, self._place)
            parent = os.open(self._parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._fsync(parent)
            finally:
                os.close(parent)
        except OSError as error:
            if error.errno in _TAKEN:
                raise self._taken() from None
            raise self._told(error) from error
        self._is_finished = True

    def by_its_name(self, text: str) -> str:
        """Return a text about what is in it with the name that it will have."""
        return text.replace(self.temporary, self.path)

    def __enter__(self) -> Self:
        """Begin."""
        if os.path.lexists(self._place):
            raise self._taken()
        try:
            os.mkdir(self.temporary, 0o700)
            self._descriptor = os.open(self.temporary, _FLAGS)
        except (OSError, ValueError) as error:
            self._remove()
            raise self._told(error) from error
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove all that was made, unless it is finished."""
        if not self._is_finished:
            self._remove()
        os.close(self._descriptor)

    def _remove(self) -> None:
        """Remove the folder, be it that it has just got its name."""
        if self._descriptor >= 0:
            try:
                if os.path.samestat(os.lstat(self._place), os.fstat(self._descriptor)):
                    shutil.rmtree(self._place, ignore_errors=True)
            except OSError:
                pass  # it never got so far
        shutil.rmtree(self.temporary, ignore_errors=True)

    def _taken(self) -> PathTakenError:
        return PathTakenError(f"{shown(self.path)} already exists; nothing was written")

    def _told(self, error: OSError | ValueError) -> DurableError:
        return DurableError(f"{shown(self.path)} could not be written: {reason_of(error)}")
