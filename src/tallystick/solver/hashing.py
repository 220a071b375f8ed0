# SPDX-License-Identifier: Apache-2.0
"""A tree of files as artefacts: every regular file, in bytewise order of paths, and nothing else.

Nothing is skipped: hidden files and empty ones count like all others, and what can't be taken in is
refused by name: links, devices, sockets, pipes, names that are ambiguous, files that change while
they are read. What can't be read is an error of another kind: it says nothing against the file.
Files are opened relative to their folder's descriptor and without following links, and size and
hash come from the same open file: no name is looked up twice.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator, Iterator
from hashlib import sha256
from typing import Final, TypeAlias

import msgspec

from tallystick.durable.file import FilePath, reason_of, shown
from tallystick.errors import ArtifactRefused, LimitError, UnreadableError
from tallystick.limits import (
    ARTIFACT_BYTES_MAX,
    ARTIFACT_CHUNK_BYTES,
    ARTIFACT_DEPTH_MAX,
    ARTIFACTS_BYTES_MAX,
    ARTIFACTS_MAX,
)
from tallystick.model.artifact import ARTIFACTS, ArtifactEntry, media_type, path_fault

# Files and bytes so far.
Progress: TypeAlias = Callable[[int, int], None]

# O_NONBLOCK: opening what has become a pipe in the meantime must not wait for somebody to write.
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_DIRECTORY
_OpenFile: TypeAlias = tuple[int, str]
# What tells that somebody wrote to a file, or put another one in its place.
_Seen: TypeAlias = tuple[int, int, int, int, int]


class Hashed(msgspec.Struct, frozen=True):
    """One file: how it was found, what it hashes to."""

    path: str
    sha256: str
    size: int


def scan_artifacts(
    folder: FilePath, *, progress: Progress | None = None
) -> Iterator[ArtifactEntry]:
    """Yield an entry for every file below a folder; raise for the first that can't be one, or that
    can't be read.

    Paths in the entries begin with `artifacts/`, whatever the folder is called.
    """
    total = 0
    for count, one in enumerate(_hashed(folder, progress), 1):
        total += one.size
        if count > ARTIFACTS_MAX:
            raise LimitError(f"{shown(folder)} holds over {ARTIFACTS_MAX} files")
        if total > ARTIFACTS_BYTES_MAX:
            raise LimitError(f"{shown(folder)} holds over {ARTIFACTS_BYTES_MAX} bytes")
        path = ARTIFACTS + one.path
        yield ArtifactEntry(
            size=one.size, content_type=media_type(path), path=path, sha256=one.sha256
        )
        if progress is not None:
            progress(count, total)


def open_artifact(folder: int, path: str) -> int:
    """Return a descriptor of a regular file below a folder; no link on the way is followed."""
    names = path.split("/")
    held = folder
    try:
        for name in names[:-1]:
            deeper = _open(held, name, _FOLDER_FLAGS, path)
            if held != folder:
                os.close(held)
            held = deeper
        return _open_regular(held, names[-1], path)
    finally:
        if held != folder:
            os.close(held)


def hash_file(path: FilePath) -> tuple[str, int]:
    """Return SHA-256 and size of one file, which may be reached over links, as the user says."""
    digest, buffer = sha256(), memoryview(bytearray(ARTIFACT_CHUNK_BYTES))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{shown(path)} could not be read: {reason_of(error)}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError(f"{shown(path)} is no regular file")
        size = read_unchanged(descriptor, os.fspath(path), digest.update, buffer)
    finally:
        os.close(descriptor)
    return digest.hexdigest(), size


def open_folder(folder: FilePath) -> int:
    """Return a descriptor of the folder itself; it may be reached over links, as the user says."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{shown(folder)} could not be read: {reason_of(error)}") from error


def read_unchanged(
    descriptor: int, path: str, take: Callable[[memoryview], object], buffer: memoryview
) -> int:
    """Hand all of an open file to `take`, and return its size; raise if it changed meanwhile."""
    before = _seen(descriptor)
    size = before[0]
    if size > ARTIFACT_BYTES_MAX:
        raise ArtifactRefused(_shown(path), f"is over {ARTIFACT_BYTES_MAX} bytes")
    got, parts = 0, [buffer]
    try:
        while count := os.readv(descriptor, parts):
            take(buffer[:count])
            got += count
            if got > size:
                break
    except OSError as error:
        raise _unreadable(_shown(path), error) from error
    if got != size or _seen(descriptor) != before:
        raise ArtifactRefused(_shown(path), "changed while it was read")
    return size


def _hashed(folder: FilePath, progress: Progress | None) -> Iterator[Hashed]:
    """Yield what every file hashes to, in order; of a large one, tell how far it is.

    In one thread: files of usual size are hashed faster than they are handed over to another.
    """
    root = open_folder(folder)
    buffer = memoryview(bytearray(ARTIFACT_CHUNK_BYTES))
    count = total = 0
    try:
        for descriptor, path in _walk(root, "", 1):
            digest = sha256()
            take: Callable[[memoryview], object] = digest.update
            if progress is not None and os.fstat(descriptor).st_size > ARTIFACT_CHUNK_BYTES:
                take = _telling(take, progress, count, total)
            try:
                size = read_unchanged(descriptor, path, take, buffer)
            finally:
                os.close(descriptor)
            count, total = count + 1, total + size
            yield Hashed(path, digest.hexdigest(), size)
    finally:
        os.close(root)


def _telling(
    take: Callable[[memoryview], object], progress: Progress, count: int, total: int
) -> Callable[[memoryview], object]:
    """Return `take` with word of each part of a file that comes after so many files and bytes."""

    def told(part: memoryview) -> None:
        nonlocal total
        take(part)
        total += len(part)
        progress(count, total)

    return told


def _walk(folder: int, prefix: str, depth: int) -> Generator[_OpenFile, None, None]:
    """Yield every file below an open folder, opened, in bytewise order of paths."""
    for key, name, is_folder in _listed(folder, prefix):
        path = prefix + name
        if not is_folder:
            yield _open_regular(folder, name, path), path
            continue
        if depth == ARTIFACT_DEPTH_MAX - 1:  # artifacts/ is the first level
            raise ArtifactRefused(_shown(path), f"is deeper than {ARTIFACT_DEPTH_MAX} levels")
        deeper = _open(folder, name, _FOLDER_FLAGS, path)
        try:
            yield from _walk(deeper, prefix + key.decode(), depth + 1)
        finally:
            os.close(deeper)


def _listed(folder: int, prefix: str) -> list[tuple[bytes, str, bool]]:
    """Return the entries of one folder: sort key, name, whether it is a folder itself.

    A folder is sorted with the slash that follows its name in paths, so that the walk meets all
    paths in the order of their bytes.
    """
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                fault = path_fault(ARTIFACTS + path)
                if fault is not None:
                    raise ArtifactRefused(_shown(path), f"has a path that {fault}")
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder and not entry.is_file(follow_symlinks=False):
                    raise ArtifactRefused(_shown(path), _kind(entry))
                found.append((entry.name.encode() + b"/" * is_folder, entry.name, is_folder))
                if len(found) > ARTIFACTS_MAX:
                    raise LimitError(f"one folder holds over {ARTIFACTS_MAX} files")
    except OSError as error:
        raise _unreadable(_shown(prefix) or "the folder", error) from error
    found.sort()
    return found


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "is a symbolic link, and links are not followed"
    return "is neither a regular file nor a folder"


def _open_regular(folder: int, name: str, path: str) -> int:
    descriptor = _open(folder, name, _FILE_FLAGS, path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactRefused(_shown(path), "is neither a regular file nor a folder")
    return descriptor


def _open(folder: int, name: str, flags: int, path: str) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            message = "is a symbolic link, and links are not followed"
            raise ArtifactRefused(_shown(path), message) from error
        raise _unreadable(_shown(path), error) from error


def _unreadable(where: str, error: OSError) -> UnreadableError:
    """Return what says nothing against a file: another user, or another day, may read it."""
    return UnreadableError(f"{where}: could not be read: {reason_of(error)}")


def _seen(descriptor: int) -> _Seen:
    now = os.fstat(descriptor)
    return now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_dev


def _shown(path: str) -> str:
    """Return a path for a message, also one that is no UTF-8."""
    return shown(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
