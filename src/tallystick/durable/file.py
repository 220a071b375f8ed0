# SPDX-License-Identifier: Apache-2.0
"""Files: written so that they survive a power cut, read within a bound, locked.

The only caller of fsync. What these functions have returned from is on stable storage: the bytes
and the directory entry. `fsync` is an argument, so that a test can watch it and make it fail;
`Durable` is all such system calls in one value, for those who write a file bit by bit.

BUG: on macOS fsync does not flush the disk's own cache (that needs F_FULLFSYNC).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tallystick.errors import (
    DurableError,
    LimitError,
    PathTakenError,
    UnreadableError,
    WalLockedError,
)

FilePath: TypeAlias = str | os.PathLike[str]
Fsync: TypeAlias = Callable[[int], None]

Descriptor: TypeAlias = int
# User and group that a file is to belong to.
Owner: TypeAlias = tuple[int, int]


def _open_at(name: str, flags: int, mode: int, directory: Descriptor) -> Descriptor:
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)


def _rename_at(old: str, new: str, directory: Descriptor) -> None:
    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def _link_at(old: str, new: str, directory: Descriptor) -> None:
    os.link(old, new, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)


def _unlink_at(name: str, directory: Descriptor) -> None:
    os.unlink(name, dir_fd=directory)


class Durable(msgspec.Struct, frozen=True, kw_only=True):
    """The system calls that change files, as a value: a test records them or makes them fail.

    Names are relative to the descriptor of an open directory.
    """

    open: Callable[[str, int, int, Descriptor], Descriptor] = _open_at
    pwrite: Callable[[Descriptor, bytes | memoryview, int], int] = os.pwrite
    ftruncate: Callable[[Descriptor, int], None] = os.ftruncate
    # What is needed to read the data back, the file's length included. macOS has no such call.
    fdatasync: Fsync = getattr(os, "fdatasync", os.fsync)
    fsync: Fsync = os.fsync
    rename: Callable[[str, str, Descriptor], None] = _rename_at
    link: Callable[[str, str, Descriptor], None] = _link_at
    unlink: Callable[[str, Descriptor], None] = _unlink_at


CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_new(
    path: FilePath,
    data: bytes,
    mode: int,
    *,
    owner: Owner | None = None,
    fsync: Fsync = os.fsync,
) -> None:
    """Create a file with exactly these permission bits; never touch one that is there."""
    try:
        directory, name = open_directory(path)
        try:
            _create(name, directory, data, mode, fsync, owner=owner)
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
        raise DurableError(f"{shown(path)} could not be written: {reason_of(error)}") from error


def write_replace(
    path: FilePath,
    data: bytes,
    mode: int,
    *,
    owner: Owner | None = None,
    fsync: Fsync = os.fsync,
) -> None:
    """Put new content under a name in one step: readers see the old file or the new, whole."""
    try:
        directory, name = open_directory(path)
        temporary = f".{os.urandom(8).hex()}.tmp"
        try:
            _create(temporary, directory, data, mode, fsync, owner=owner)
            try:
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(temporary, dir_fd=directory)
                raise
            fsync(directory)
        finally:
            os.close(directory)
    except (OSError, ValueError) as error:
        raise DurableError(f"{shown(path)} could not be replaced: {reason_of(error)}") from error


def make_directory(path: FilePath, mode: int, *, fsync: Fsync = os.fsync) -> bool:
    """Make a directory unless there is one, and return whether it is new; its parent must exist."""
    try:
        parent, name = open_directory(os.fspath(path).rstrip("/"))
    except ValueError:  # `.`, `..` and `/` are there
        return False
    except OSError as error:
        raise DurableError(f"{shown(path)} could not be made: {reason_of(error)}") from error
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
        raise DurableError(f"{shown(path)} could not be made: {reason_of(error)}") from error
    finally:
        os.close(parent)
    return True


def sync_directory(path: FilePath, *, fsync: Fsync = os.fsync) -> None:
    """Return when the name of a file, and those beside it, are on stable storage."""
    try:
        directory, _ = open_directory(path)
        try:
            fsync(directory)
        finally:
            os.close(directory)
    except (OSError, ValueError) as error:
        where = shown(path)
        raise DurableError(f"the name of {where} is not safe: {reason_of(error)}") from error


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
        raise UnreadableError(f"{shown(path)} could not be read: {reason_of(error)}") from error
    return data


def read_descriptor(descriptor: int, limit: int) -> bytes:
    """Return what an open descriptor still yields, or refuse more than `limit` bytes."""
    chunks = bytearray()
    while chunk := os.read(descriptor, min(limit + 1 - len(chunks), 1 << 20)):
        chunks += chunk
        if len(chunks) > limit:
            raise LimitError(f"is larger than {limit} bytes")
    return bytes(chunks)


def write_at(descriptor: Descriptor, data: bytes, offset: int, durable: Durable) -> None:
    """Write all of `data` at a place in a file; what the file holds there is not yet stable."""
    rest = memoryview(data)
    while rest:
        count = durable.pwrite(descriptor, rest, offset)
        rest, offset = rest[count:], offset + count


def lock(name: str, directory: Descriptor, shown_path: str) -> Descriptor:
    """Take an exclusive lock on a file that holds the process id of who has it, or refuse.

    The lock goes with the descriptor: the kernel gives it back when the process is gone.
    """
    import fcntl  # not everywhere; only who locks needs it

    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        except OSError:
            pass  # a full disk: the lock holds all the same, only the hint is missing
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).strip()
        os.close(descriptor)
        who = f"process {holder.decode()}" if holder.isdigit() else "another process"
        raise WalLockedError(f"{shown_path} is in use by {who}") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def hold(descriptor: Descriptor, shown_path: str) -> None:
    """Lock a file itself, for as long as its descriptor is open: who removes a lock file does not
    let a second one in.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WalLockedError(f"{shown_path} is in use, though its lock file is gone") from None


def refuse_planted(descriptor: Descriptor, directory: Descriptor) -> None:
    """Raise ValueError for a file that somebody else put where all may: he could read and change
    it.
    """
    folder, owner = os.fstat(directory), os.fstat(descriptor).st_uid
    is_shared = folder.st_mode & stat.S_ISVTX and folder.st_mode & (stat.S_IWOTH | stat.S_IWGRP)
    if is_shared and owner not in (os.geteuid(), folder.st_uid):
        raise ValueError("it belongs to another user, in a folder that all may write to")


def unlock(descriptor: Descriptor) -> None:
    """Give a lock back, also where a forked child has not let go of its copy yet."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except ImportError:
        pass  # the interpreter is ending and imports nothing: the kernel gives the lock back
    os.close(descriptor)


def shown(path: FilePath) -> str:
    """Return a path for a message: one line, no control characters."""
    text = os.fspath(path)
    return text if text.isprintable() and text else repr(text)


def open_directory(path: FilePath) -> tuple[int, str]:
    """Open the directory of a path once: all later steps are relative to this descriptor."""
    parent, name = os.path.split(os.fspath(path))
    if name in {"", ".", ".."}:
        raise ValueError("the path names a directory, not a file")
    return os.open(parent or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), name


def reason_of(error: OSError | ValueError) -> str:
    """Return the system's own words for what went wrong."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _create(
    name: str, directory: int, data: bytes, mode: int, fsync: Fsync, *, owner: Owner | None
) -> None:
    """Create, write and fsync one file; on any failure remove what was made."""
    # Never wider than asked for, not even before fchmod; the umask can only narrow this further.
    descriptor = os.open(name, CREATE, mode & 0o600, dir_fd=directory)
    try:
        try:
            if owner is not None:
                os.fchown(descriptor, *owner)
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
