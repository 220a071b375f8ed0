# SPDX-License-Identifier: Apache-2.0
"""A bundle is written again with a log's word, and nothing else of it changes."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from tests.evidence_making import RECEIPTS, bundle_of_run, make_run

from tallystick.errors import BundleError, PathTakenError, RefusedInput
from tallystick.model import bundle
from tallystick.model.bundle import BundleReader
from tallystick.solver.logged_bundle import write_logged

VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "bundle"
FILES = {bundle.LOG_PROOF: b"proof", bundle.LOG_SHEET: b"sheet"}


def members_in(path: Path) -> dict[str, bytes]:
    """Return all members of a bundle."""
    found: dict[str, bytes] = {}
    with path.open("rb") as stream:
        reader = BundleReader(stream.read)
        while (member := reader.next()) is not None:
            found[member.name] = reader.content()
    return found


@pytest.mark.parametrize("artifacts", [True, False])
def test_only_the_logs_members_are_new(tmp_path: Path, artifacts: bool) -> None:
    """All else is byte for byte the same, and the same input gives the same bytes."""
    bundle_of_run(make_run(tmp_path / "run"), tmp_path / "b.tally", artifacts=artifacts)
    given: list[Sequence[bytes]] = []

    def log(receipts: Sequence[bytes]) -> Mapping[str, bytes]:
        given.append(receipts)
        return FILES

    with (tmp_path / "b.tally").open("rb") as stream:
        packed = write_logged(stream, tmp_path / "one.tally", log)
    with (tmp_path / "b.tally").open("rb") as stream:
        assert write_logged(stream, tmp_path / "two.tally", log) == packed
    assert given[0] == tuple(RECEIPTS.splitlines())
    data = (tmp_path / "one.tally").read_bytes()
    assert (packed.sha256, packed.size) == (sha256(data).hexdigest(), len(data))
    assert (tmp_path / "two.tally").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "one.tally").stat().st_mode) == 0o600
    assert members_in(tmp_path / "one.tally") == members_in(tmp_path / "b.tally") | FILES


def test_what_was_there_of_a_log_goes(tmp_path: Path) -> None:
    """A promise gives way to the proof: one word of a log at a time."""
    run = make_run(tmp_path / "run")
    before = {bundle.LOG_PROMISE: b"promise", bundle.LOG_CHECKPOINT: b"note"}
    bundle_of_run(run, tmp_path / "b.tally", log=before)
    with (tmp_path / "b.tally").open("rb") as stream:
        write_logged(stream, tmp_path / "one.tally", lambda _: FILES)
    found = members_in(tmp_path / "one.tally")
    assert {name: data for name, data in found.items() if "/log/" in name} == FILES


def test_nothing_stays_where_the_log_says_no(tmp_path: Path) -> None:
    """What is raised while a log is asked leaves no file, whole or half."""
    bundle_of_run(make_run(tmp_path / "run"), tmp_path / "b.tally")

    def log(_: Sequence[bytes]) -> Mapping[str, bytes]:
        raise RefusedInput("no")

    before = sorted(os.listdir(tmp_path))
    with (tmp_path / "b.tally").open("rb") as stream, pytest.raises(RefusedInput, match="no"):
        write_logged(stream, tmp_path / "one.tally", log)
    assert sorted(os.listdir(tmp_path)) == before


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A file that is there stays, and no log is asked for it."""
    bundle_of_run(make_run(tmp_path / "run"), tmp_path / "b.tally")

    def log(_: Sequence[bytes]) -> Mapping[str, bytes]:
        pytest.fail("a log was asked for nothing")

    with (tmp_path / "b.tally").open("rb") as stream, pytest.raises(PathTakenError):
        write_logged(stream, tmp_path / "b.tally", log)


@pytest.mark.parametrize(
    "case", ["artifact-changed", "artifact-extra", "archive-escaping-member", "folder"]
)
def test_unsound_bundles_are_refused(tmp_path: Path, case: str) -> None:
    """What contradicts its manifest, what leads out, and what has no receipts."""
    data = (VECTORS / case / "input.tally").read_bytes()
    with pytest.raises(BundleError):
        write_logged(io.BytesIO(data), tmp_path / "one.tally", lambda _: FILES)
    assert os.listdir(tmp_path) == []
