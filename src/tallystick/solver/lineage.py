# SPDX-License-Identifier: Apache-2.0
"""The order of a solver's manifests: each names the one before it, so a missing one shows.

A place is claimed before the manifest is written, and confirmed after. A claim that a crash left
open is settled by whoever comes next: if that run has a manifest, it is the one; if not, the place
was never used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from tallystick.chain.issue import timestamp
from tallystick.durable.file import read_bounded
from tallystick.errors import RunError
from tallystick.limits import MANIFEST_BYTES_MAX
from tallystick.model.manifest import manifest_sha256
from tallystick.solver.home import SolverHome, held
from tallystick.solver.records import append_fact, last_fact

_MANIFEST: Final = os.path.join("evidence", "manifest.json")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a claim (no manifest yet), the manifest that took it, or that nothing did."""

    at: str
    number: int
    run_id: str
    previous: str | None = None
    manifest: str | None = None
    is_void: bool = False


@contextmanager
def next_place(
    home: SolverHome, run_id: str, clock: Callable[[], int], *, not_before: str = ""
) -> Iterator[tuple[Place, Callable[[str], None]]]:
    """Claim the next place for a run's manifest; the caller writes it, and calls back its hash.

    Its time is never before that of the place before it, nor before `not_before`.
    """

    def note(place: Place) -> Place:
        append_fact(home.manifests, place)
        return place

    with held(f"{home.manifests}.lock", "the order of manifests", wait=True):
        last = last_fact(home.manifests, Place)
        now = max(timestamp(clock()), not_before, "" if last is None else last.at)
        if last is not None and last.manifest is None and not last.is_void:
            found = written_manifest(home.run(last.run_id))
            digest = None if found is None else manifest_sha256(found)
            last = note(
                msgspec.structs.replace(last, at=now, manifest=digest, is_void=found is None)
            )
        number, previous = 1, None
        if last is not None:
            number, previous = last.number, last.previous
            if last.manifest is not None:
                number, previous = number + 1, last.manifest
        claim = note(Place(at=now, number=number, run_id=run_id, previous=previous))

        def confirm(digest: str) -> None:
            note(msgspec.structs.replace(claim, at=max(timestamp(clock()), now), manifest=digest))

        yield claim, confirm


def written_manifest(run_dir: str) -> bytes | None:
    """Return the canonical bytes of the manifest that a run has, or None."""
    path = os.path.join(run_dir, _MANIFEST)
    if not os.path.lexists(path):
        return None
    data = read_bounded(path, MANIFEST_BYTES_MAX + 1)
    if not data.endswith(b"\n"):
        raise RunError(f"{path} does not end as a manifest does")
    return data[:-1]
