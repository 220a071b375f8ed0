# SPDX-License-Identifier: Apache-2.0
"""Artefacts of a bundle are handed on as the manifest lists them, or a fault says which is not."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.evidence_making import SOUND, bundle_of_run, make_run

from tallystick.errors import BundleError
from tallystick.model.bundle import BundleReader, Member
from tallystick.model.bundle_head import read_head
from tallystick.solver.listed import copy_artifacts

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "bundle"


class Taker:
    """Takes artefacts, and notes which were ended."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ended: list[str] = []

    @contextmanager
    def begin(self, member: Member) -> Iterator[Callable[[bytes], None]]:
        """Take one."""
        self.files[member.name] = b""

        def put(chunk: bytes) -> None:
            self.files[member.name] += chunk

        try:
            yield put
        finally:
            self.ended.append(member.name)


def copied(data: bytes, taker: Taker) -> list[tuple[int, int]]:
    """Copy the artefacts of a bundle; return what was told of the progress."""
    reader, told = BundleReader(io.BytesIO(data).read), []
    copy_artifacts(reader, read_head(reader), taker.begin, lambda *what: told.append(what))
    return told


def test_all_are_handed_on(tmp_path: Path) -> None:
    """Each in whole, ended before the next begins, with files and bytes counted."""
    bundle_of_run(make_run(tmp_path / "run"), tmp_path / "b.tally")
    taker = Taker()
    told = copied((tmp_path / "b.tally").read_bytes(), taker)
    assert taker.files == {f"artifacts/{name}": data for name, data in SOUND.items()}
    assert taker.ended == list(taker.files)
    assert told[-1] == (len(SOUND), sum(map(len, SOUND.values())))


def test_a_detached_bundle_has_none(tmp_path: Path) -> None:
    """The list alone is a bundle, too."""
    bundle_of_run(make_run(tmp_path / "run"), tmp_path / "b.tally", artifacts=False)
    taker = Taker()
    assert copied((tmp_path / "b.tally").read_bytes(), taker) == []
    assert not taker.files


@pytest.mark.parametrize("case", ["artifact-changed", "artifact-missing", "artifact-extra"])
def test_what_is_not_listed_is_refused(case: str) -> None:
    """One that was altered, one that is not there, one too many; what was begun is ended."""
    taker = Taker()
    with pytest.raises(BundleError):
        copied((VECTORS / case / "input.tally").read_bytes(), taker)
    assert taker.ended == list(taker.files)
