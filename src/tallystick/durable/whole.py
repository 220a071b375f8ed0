# SPDX-License-Identifier: Apache-2.0
"""A file that is written bit by bit and appears at once: readers see all of it or nothing.

The bytes go to a temporary name in the same folder. `finish` makes them durable and links them to
the name that was asked for, which must be free: nothing is ever overwritten. Without `finish`
nothing stays.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from tallystick.durable.file import CREATE, FilePath, Fsync, open_directory, reason_of, shown
from tallystick.errors import DurableError, PathTakenError


class WholeFile:
    """A new file on its way; a context manager."""

    def __init__(self, path: FilePath, mode: int, *, fsync: Fsync = os.fsync) -> None:
        """Begin; the file gets exactly these permission bits when it is finished."""
        self.path = path
        self._mode = mode
        self._fsync = fsync
        self._descriptor = -1
        try:
            self._directory, self._name = open_directory(path)
        except (OSError, ValueError) as error:
            raise DurableError(self._told("written", error)) from error
        self._temporary = f".{os.urandom(8).hex()}.tmp"
        try:
            self._refuse_taken()
            self._descriptor = os.open(self._temporary, CREATE, 0o600, dir_fd=self._directory)
        except (OSError, ValueError) as error:
            os.close(self._directory)
            raise DurableError(self._told("written", error)) from error
        except BaseException:
            os.close(self._directory)
            raise

    def write(self, data: bytes | memoryview) -> None:
        """Add bytes."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise DurableError(self._told("written", error)) from error

    def finish(self) -> None:
        """Return when the file stands under its name on stable storage."""
        try:
            os.fchmod(self._descriptor, self._mode)
            self._fsync(self._descriptor)
            os.link(
                self._temporary,
                self._name,
                src_dir_fd=self._directory,
                dst_dir_fd=self._directory,
                follow_symlinks=False,
            )
            try:
                self._fsync(self._directory)
            except BaseException:
                os.unlink(self._name, dir_fd=self._directory)
                raise
        except FileExistsError:
            raise self._taken() from None
        except OSError as error:
            raise DurableError(self._told("written", error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the temporary name, whether or not the file was finished."""
        try:
            os.close(self._descriptor)
            os.unlink(self._temporary, dir_fd=self._directory)
        except FileNotFoundError:
            pass  # somebody tidied up
        finally:
            os.close(self._directory)

    def _refuse_taken(self) -> None:
        try:
            os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        raise self._taken()

    def _taken(self) -> PathTakenError:
        return PathTakenError(f"{shown(self.path)} already exists; nothing was written")

    def _told(self, what: str, error: OSError | ValueError) -> str:
        return f"{shown(self.path)} could not be {what}: {reason_of(error)}"


def write_whole(path: FilePath, data: bytes, mode: int, *, fsync: Fsync = os.fsync) -> None:
    """Put a new file under a free name in one step: readers see nothing, or all of it."""
    with WholeFile(path, mode, fsync=fsync) as file:
        file.write(data)
        file.finish()
