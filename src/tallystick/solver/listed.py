# SPDX-License-Identifier: Apache-2.0
"""Takes artefacts out of a bundle, each held against the manifest's list while it is read."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TypeAlias

from tallystick.errors import BundleError
from tallystick.model.bundle import BundleReader, Member
from tallystick.model.bundle_head import BundleHead
from tallystick.solver.hashing import Progress

# Begins an artefact somewhere, and takes its bytes until it ends.
Begin: TypeAlias = Callable[[Member], AbstractContextManager[Callable[[bytes], object]]]


def copy_artifacts(
    reader: BundleReader, head: BundleHead, begin: Begin, progress: Progress | None
) -> None:
    """Hand on all artefacts of a bundle whose head was read, or raise `BundleError`.

    What is not as listed is known when its bytes were handed on: whoever takes them must be able to
    take them back.
    """
    listed = {entry.path: entry for entry in head.entries}
    member = head.first
    count = total = 0
    while member is not None:
        entry = listed.get(member.name)
        if entry is None or entry.size != member.size:
            raise BundleError("is not what the manifest lists", member.name)
        digest = sha256()
        with begin(member) as put:
            for chunk in reader.chunks():
                digest.update(chunk)
                put(chunk)
                total += len(chunk)
                if progress is not None:
                    progress(count, total)
        if digest.hexdigest() != entry.sha256:
            raise BundleError("is not what the manifest lists", member.name)
        count += 1
        if progress is not None:
            progress(count, total)
        member = reader.next()
    if count and count != len(head.entries):
        raise BundleError(f"{len(head.entries) - count} of the artefacts are missing", "artifacts")
