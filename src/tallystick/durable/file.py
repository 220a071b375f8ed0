# SPDX-License-Identifier: Apache-2.0
"""Whole files: written so that they survive a power cut, read within a bound.

The only caller of fsync. What these functions have returned from is on stable storage: the bytes
and the directory entry. `fsync` is an argument, so that a test can watch it and make it fail.

BUG: on macOS fsync does not flush the disk's own cache (that needs F_FULLFSYNC).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

from tallystick.errors import DurableError, LimitError, PathTakenError, UnreadableError

FilePath: TypeAlias = str | os.PathLike[str]
Fsync: TypeAlias = Callable[[int], None]

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(path: FilePath, data: bytes, mode: int, *, fsync: Fsync = os.fsync) -> None:
    """Create a file with exactly these permission bits; never touch one that is there."""
    try:
        directory, name = _open_directory(path)
        try:
            _create(name, directory, data, mode, fsync)
            try:
                fsync(directory)
            except BaseException:
                os.unlink(name, dir_fd=directory)
                raise
        finally:
            os.close(directory)
    except FileExistsError:
        raise PathTakenError(f"{shown(path)} already exists; nothing was written") from None
    except (OSError, ValueError) as error:
        raise DurableError(f"{shown(path)} could not be written: {_why(error)}") from error


def write_replace(path: FilePath, data: bytes, mode: int, *, fsync: Fsync = os.fsync) -> None:
    """Put new content under a name in one step: readers see the old file or the new, whole."""
    try:
        directory, name = _open_directory(path)
        temporary = f".{os.urandom(8).hex()}.tmp"
        try:
            _create(temporary, directory, data, mode, fsync)
            try:
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(temporary, dir_fd=directory)
                raise
            fsync(directory)
        finally:
            os.close(directory)
    except (OSError, ValueError) as error:
        raise DurableError(f"{shown(path)} could not be replaced: {_why(error)}") from error


def make_directory(path: FilePath, mode: int, *, fsync: Fsync = os.fsync) -> bool:
    """Make a directory unless there is one, and return whether it is new; its parent must exist."""
    try:
        parent, name = _open_directory(os.fspath(path).rstrip("/"))
    except ValueError:  # `.`, `..` and `/` are there
        return False
    except OSError as error:
        raise DurableError(f"{shown(path)} could not be made: {_why(error)}") from error
    try:
        os.mkdir(name, mode, dir_fd=parent)
        try:
            fsync(parent)
        except BaseException:
            os.rmdir(name, dir_fd=parent)
            raise
    except FileExistsError:
        return False
    except (OSError, ValueError) as error:
        raise DurableError(f"{shown(path)} could not be made: {_why(error)}") from error
    finally:
        os.close(parent)
    return True


def read_bounded(path: FilePath, limit: int) -> bytes:
    """Return the whole content of a file of at most `limit` bytes; follows symbolic links."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = read_descriptor(descriptor, limit)
        finally:
            os.close(descriptor)
    except LimitError as error:
        raise LimitError(f"{shown(path)} {error}") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{shown(path)} could not be read: {_why(error)}") from error
    return data


def read_descriptor(descriptor: int, limit: int) -> bytes:
    """Return what an open descriptor still yields, or refuse more than `limit` bytes."""
    chunks = bytearray()
    while chunk := os.read(descriptor, min(limit + 1 - len(chunks), 1 << 20)):
        chunks += chunk
        if len(chunks) > limit:
            raise LimitError(f"is larger than {limit} bytes")
    return bytes(chunks)


def shown(path: FilePath) -> str:
    """Return a path for a message: one line, no control characters."""
    text = os.fspath(path)
    return text if text.isprintable() and text else repr(text)


def _open_directory(path: FilePath) -> tuple[int, str]:
    """Open the directory of a path once: all later steps are relative to this descriptor."""
    parent, name = os.path.split(os.fspath(path))
    if name in {"", ".", ".."}:
        raise ValueError("the path names a directory, not a file")
    return os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), name


def _create(name: str, directory: int, data: bytes, mode: int, fsync: Fsync) -> None:
    """Create, write and fsync one file; on any failure remove what was made."""
    # Never wider than asked for, not even before fchmod; the umask can only narrow this further.
    descriptor = os.open(name, _CREATE, mode & 0o600, dir_fd=directory)
    try:
        try:
            os.fchmod(descriptor, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        os.unlink(name, dir_fd=directory)
        raise


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
