# SPDX-License-Identifier: Apache-2.0
"""Writes a bundle again with a log's word on its receipts: a new file, all else byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import BinaryIO, Final

from tallystick.durable.file import FilePath
from tallystick.durable.whole import WholeFile
from tallystick.model import bundle
from tallystick.model.bundle import (
    END,
    BundleReader,
    Member,
    exactly,
    member_header,
    named_members,
    padding,
)
from tallystick.model.bundle_head import BundleHead, read_head
from tallystick.solver.bundling import Packed
from tallystick.solver.hashing import Progress
from tallystick.solver.listed import copy_artifacts
from tallystick.solver.log_members import LogMembers, bound_receipts

_MODE: Final = 0o600


def write_logged(
    stream: BinaryIO,
    out: FilePath,
    log: Callable[[Sequence[bytes]], LogMembers],
    *,
    progress: Progress | None = None,
) -> Packed:
    """Write a bundle again, to a new file, with a log's word in place of what it had of one.

    `log` is given the receipts, and returns the members or raises: then nothing is written.
    """
    with WholeFile(out, _MODE) as file:
        reader = BundleReader(exactly(stream.read))
        head = read_head(reader)
        receipts = bound_receipts(head.manifest, head.files.get(bundle.RECEIPTS))
        kept = {name: data for name, data in head.files.items() if name not in bundle.OF_A_LOG}
        return _write(reader, head, {**kept, **log(receipts)}, file, progress)


def _write(
    reader: BundleReader,
    head: BundleHead,
    members: Mapping[str, bytes],
    file: WholeFile,
    progress: Progress | None,
) -> Packed:
    whole, size = sha256(), 0

    def put(part: bytes) -> None:
        nonlocal size
        whole.update(part)
        file.write(part)
        size += len(part)

    @contextmanager
    def begin(member: Member) -> Iterator[Callable[[bytes], None]]:
        put(member_header(member.name, member.size))
        yield put
        put(padding(member.size))

    for member in named_members(members):
        put(member)
    copy_artifacts(reader, head, begin, progress)
    put(END)
    file.finish()
    return Packed(
        manifest=head.manifest, manifest_sha256=head.sha256, sha256=whole.hexdigest(), size=size
    )
