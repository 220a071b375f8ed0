# SPDX-License-Identifier: Apache-2.0
"""Takes a bundle apart into a new folder, or leaves nothing.

The folder must not be there. All is written into a temporary one beside it first, by descriptors
and without following or replacing anything. Each artefact is held against the manifest's list, and
all of it is on stable storage, before the folder gets its name. A bundle has no links and no
compression, and the reader admits plain relative names only: nothing can come out elsewhere, or
larger than the file that it was in.

`SHA256SUMS` is written from the list and not copied, so that `sha256sum -c` means the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, Final

from tallystick.durable.file import FilePath, reason_of, shown
from tallystick.durable.tree import sync_filesystem
from tallystick.durable.whole_folder import WholeFolder
from tallystick.errors import BundleError, DurableError
from tallystick.model import bundle
from tallystick.model.artifact import file_and_folder, sums_line
from tallystick.model.bundle import BundleReader, Member, exactly
from tallystick.model.bundle_head import BundleHead, read_head
from tallystick.solver.hashing import Progress
from tallystick.solver.listed import Begin, copy_artifacts

_FILE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def extract_bundle(
    stream: BinaryIO, out: FilePath, *, progress: Progress | None = None
) -> BundleHead:
    """Write all that a bundle holds into the new folder `out`; return what the bundle says."""
    with WholeFolder(out, 0o700) as folder:
        try:
            root = os.open(folder.temporary, _FOLDER_FLAGS)
            try:
                head = _write_all(stream, root, progress)
            finally:
                os.close(root)
        except OSError as error:
            raise DurableError(f"{shown(out)} could not be written: {reason_of(error)}") from error
        sync_filesystem(folder.temporary)
        folder.finish()
    return head


def _write_all(stream: BinaryIO, root: int, progress: Progress | None) -> BundleHead:
    reader = BundleReader(exactly(stream.read))
    head = read_head(reader)
    twofold = file_and_folder(head.entries)
    if twofold is not None:
        raise BundleError("is listed as a file and as a folder: no folder holds both", twofold)
    for name, content in head.files.items():
        if name == bundle.SUMS:
            content = b"".join(map(sums_line, head.entries))  # noqa: PLW2901  # ours, not theirs
        descriptor = _create(root, name)
        try:
            _put(descriptor, content)
        finally:
            os.close(descriptor)
    copy_artifacts(reader, head, _filled(root), progress)
    return head


def _filled(root: int) -> Begin:
    """Return what makes the file of an artefact, and takes its bytes."""

    @contextmanager
    def begin(member: Member) -> Iterator[Callable[[bytes], None]]:
        descriptor = _create(root, member.name)
        try:
            yield partial(_put, descriptor)
        finally:
            os.close(descriptor)

    return begin


def _create(root: int, name: str) -> int:
    """Return a descriptor of a new file; folders on the way are made, never links followed."""
    *folders, last = name.split("/")
    held = root
    try:
        for folder in folders:
            try:
                os.mkdir(folder, 0o700, dir_fd=held)
            except FileExistsError:
                pass
            deeper = os.open(folder, _FOLDER_FLAGS, dir_fd=held)
            if held != root:
                os.close(held)
            held = deeper
        return os.open(last, _FILE_FLAGS, 0o600, dir_fd=held)
    finally:
        if held != root:
            os.close(held)


def _put(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
