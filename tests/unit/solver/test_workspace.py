# SPDX-License-Identifier: Apache-2.0
"""A run's directory: made once, private, and its artefacts counted, synced and withheld."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from tallystick.errors import ArtifactRefused, DurableError, RunError
from tallystick.limits import ARTIFACT_DEPTH_MAX
from tallystick.solver.hashing import scan_artifacts
from tallystick.solver.workspace import Workspace


def test_it_is_made_once(tmp_path: Path) -> None:
    """A directory that is there already is another run's."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    assert os.stat(space.artifacts).st_mode & 0o777 == 0o700
    with pytest.raises(RunError, match="directory already"):
        space.make()


def test_what_was_asked_is_kept(tmp_path: Path) -> None:
    """The intent's own bytes, and the policy, for their owner alone."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    space.keep(b' {"a": 1}\n', b"{}")
    assert (tmp_path / "run" / "intent.json").read_bytes() == b' {"a": 1}\n'
    assert (tmp_path / "run" / "policy.json").stat().st_mode & 0o777 == 0o600


def test_artefacts_are_counted_without_being_followed(tmp_path: Path) -> None:
    """Links and devices count nothing; files at any depth do."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    deep = Path(space.artifacts) / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(bytes(100))
    (Path(space.artifacts) / "top").write_bytes(bytes(10))
    (Path(space.artifacts) / "link").symlink_to("/etc/passwd")
    os.mkfifo(Path(space.artifacts) / "pipe")
    assert space.artifact_bytes() == 110
    space.settle()


def test_folders_may_be_nested_as_deep_as_a_program_likes(tmp_path: Path) -> None:
    """What lies deeper than an artefact may is not counted: hashing it refuses it by name."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    (Path(space.artifacts) / "top").write_bytes(bytes(10))
    try:
        _nest(space.artifacts, sys.getrecursionlimit() + 100)
        assert space.artifact_bytes() == 110
        with pytest.raises(ArtifactRefused, match="deeper than"):
            list(scan_artifacts(space.artifacts))
    finally:  # deeper than whoever tidies up after tests may go
        subprocess.run(["rm", "-rf", space.artifacts], check=True)


def _nest(folder: str, depth: int) -> None:
    """Make folders in one another, with a file in the last that counts and one in the next."""
    held = os.open(folder, os.O_RDONLY)
    for level in range(2, depth):
        os.mkdir("d", dir_fd=held)
        deeper = os.open("d", os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = deeper
        if level in (ARTIFACT_DEPTH_MAX, ARTIFACT_DEPTH_MAX + 1):
            file = os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=held)
            os.write(file, bytes(100))
            os.close(file)
    os.close(held)


def test_counting_many_files_takes_no_memory_for_each(tmp_path: Path) -> None:
    """A program may have left millions of empty ones."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    folder = os.open(space.artifacts, os.O_RDONLY)
    for number in range(2000):
        os.close(os.open(str(number), os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)
    tracemalloc.start()
    try:
        assert space.artifact_bytes() == 0
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_withheld_artefacts_stay_beside(tmp_path: Path) -> None:
    """They lie aside as they were, and an empty folder takes their place, once and for all."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    (Path(space.artifacts) / "x").write_text("first")
    space.withhold()
    assert os.listdir(space.artifacts) == []
    assert (tmp_path / "run" / "withheld" / "x").read_text() == "first"
    space.withhold()
    assert (tmp_path / "run" / "withheld" / "x").read_text() == "first"


def test_what_can_not_be_put_aside_is_told(tmp_path: Path) -> None:
    """A failure of the disk is an error of ours."""
    with pytest.raises(DurableError, match="put aside"):
        Workspace(str(tmp_path / "none")).withhold()


def test_what_comes_after_is_put_aside_too(tmp_path: Path) -> None:
    """A second folder of artefacts that no manifest takes gets a name of its own."""
    space = Workspace(str(tmp_path / "run"))
    space.make()
    space.withhold()
    (Path(space.artifacts) / "late").write_text("second")
    space.withhold()
    assert os.listdir(space.artifacts) == []
    assert (tmp_path / "run" / "withheld-2" / "late").read_text() == "second"
