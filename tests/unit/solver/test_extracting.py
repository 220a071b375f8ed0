# SPDX-License-Identifier: Apache-2.0
"""A bundle comes out as it went in, or nothing comes out at all."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.evidence_making import (
    SOUND,
    bundle_of_folder,
    bundle_of_list,
    bundle_of_run,
    listed,
    make_run,
    make_tree,
    tree_of,
)

from tallystick.errors import BundleError, DurableError, ManifestError, PathTakenError
from tallystick.model.bundle import END, member_header, padding
from tallystick.solver.extracting import extract_bundle

# A process of its own, which can be watched.
_EXTRACT = """
import sys
from tallystick.solver.extracting import extract_bundle
with open(sys.argv[1], "rb") as stream:
    extract_bundle(stream, sys.argv[2])
"""
VECTORS = Path(__file__).resolve().parents[3] / "vectors" / "bundle"


# Bundles whose files are right: only who verifies looks at the order of the list.
SOUND_AS_FILES = {"list-and-list", "list-out-of-order", "list-twice"}


def test_a_bundle_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """All files, hidden and nested ones too, and what a stranger's tools want."""
    run = make_run(tmp_path / "run")
    bundle_of_run(run, tmp_path / "b.tally")
    with (tmp_path / "b.tally").open("rb") as stream:
        head = extract_bundle(stream, tmp_path / "out")
    assert tree_of(tmp_path / "out" / "artifacts") == SOUND
    assert head.first is not None
    done = subprocess.run(
        "head -c -1 evidence/manifest.json | sha256sum | cut -d' ' -f1 | "
        "cmp - evidence/manifest.sha256 && sha256sum -c --strict evidence/SHA256SUMS",
        shell=True,
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count(": OK") == len(SOUND)


def test_strangers_unpack_it_with_tar(tmp_path: Path) -> None:
    """`tar xf` gives the same files as we do, long paths included."""
    long = {**SOUND, f"{'d' * 90}/{'é' * 60}": b"long\n"}
    bundle_of_folder(make_tree(tmp_path / "f", long), tmp_path / "b.tally")
    (tmp_path / "theirs").mkdir()
    subprocess.run(["tar", "xf", "../b.tally"], cwd=tmp_path / "theirs", check=True)
    with (tmp_path / "b.tally").open("rb") as stream:
        extract_bundle(stream, tmp_path / "ours")
    assert tree_of(tmp_path / "ours") == tree_of(tmp_path / "theirs")
    assert tree_of(tmp_path / "ours" / "artifacts") == long


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A folder that is there, or a link in its place, stays as it is."""
    bundle_of_folder(make_tree(tmp_path / "f", SOUND), tmp_path / "b.tally")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("f", "link"):
        with (tmp_path / "b.tally").open("rb") as stream, pytest.raises(PathTakenError):
            extract_bundle(stream, tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()
    with (tmp_path / "b.tally").open("rb") as stream, pytest.raises(DurableError):
        extract_bundle(stream, tmp_path / "no" / "such")


@pytest.mark.parametrize(
    "case",
    sorted(
        path.name
        for path in VECTORS.iterdir()
        if path.name not in SOUND_AS_FILES
        and path.name.startswith(("archive-", "artifact-", "artifacts-", "list-", "manifest-path"))
    ),
)
def test_unsound_bundles_leave_nothing(tmp_path: Path, case: str) -> None:
    """Traversal, links, duplicates, bombs, and files that the manifest does not list."""
    data = (VECTORS / case / "input.tally").read_bytes()
    with pytest.raises((BundleError, ManifestError)):
        extract_bundle(io.BytesIO(data), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_a_bomb_is_no_larger_than_its_file(tmp_path: Path) -> None:
    """A header that promises gigabytes gives no more than the bytes that follow it."""
    data = (VECTORS / "run" / "input.tally").read_bytes()
    bomb = data[:-1024] + member_header("artifacts/zzz", 8**11 - 1) + b"x" * 1000
    with pytest.raises(BundleError):
        extract_bundle(io.BytesIO(bomb), tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_sums_are_written_and_not_copied(tmp_path: Path) -> None:
    """What a stranger checks by SHA256SUMS is the manifest's list, whatever the bundle had."""
    data = (VECTORS / "sums-wrong" / "input.tally").read_bytes()
    extract_bundle(io.BytesIO(data), tmp_path / "out")
    lines = (tmp_path / "out/evidence/SHA256SUMS").read_text().splitlines()
    assert len(lines) == len(tree_of(tmp_path / "out/artifacts"))


def test_a_member_of_another_size_is_refused(tmp_path: Path) -> None:
    """A listed path with other bytes does not come out."""
    data = (VECTORS / "run-without-files" / "input.tally").read_bytes()
    more = data[:-1024] + member_header("artifacts/x", 1) + b"x" + padding(1) + END
    with pytest.raises(BundleError, match="not what the manifest lists"):
        extract_bundle(io.BytesIO(more), tmp_path / "out")


def test_a_file_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    """What no folder holds is the bundle's fault, and not that of the disk."""
    files = {"a": b"1", "a/b": b"2"}
    data = bundle_of_list([listed(*one) for one in files.items()], files)
    with pytest.raises(BundleError, match="artifacts/a: is listed as a file and as a folder"):
        extract_bundle(io.BytesIO(data), tmp_path / "out")
    assert not list(tmp_path.iterdir())


class _Watched(io.BytesIO):
    """A bundle that tells when it is read to its end."""

    def __init__(self, data: bytes, at_end: Callable[[], None]) -> None:
        super().__init__(data)
        self._at_end = at_end

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if not data:
            self._at_end()
        return data


def test_what_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """An empty folder of somebody else's stays his."""
    out = tmp_path / "out"
    data = (VECTORS / "run" / "input.tally").read_bytes()
    with pytest.raises(PathTakenError):
        extract_bundle(_Watched(data, lambda: out.mkdir(exist_ok=True)), out)
    assert list(tmp_path.iterdir()) == [out]
    assert not list(out.iterdir())


def test_all_is_stable_before_it_has_its_name(tmp_path: Path) -> None:
    """After a power cut the folder is whole or not there: files first, then name, then parent."""
    strace = shutil.which("strace")
    if (
        strace is None
        or subprocess.run([strace, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("strace is not here, or may trace nothing")
    subprocess.run(
        [strace, "-f", "-y", "-o", tmp_path / "trace",
         "-e", "trace=write,syncfs,fsync,?rename,?renameat,?renameat2",
         sys.executable, "-c", _EXTRACT, VECTORS / "run" / "input.tally", tmp_path / "out"],
        check=True, timeout=120,
    )  # fmt: skip
    lines = (tmp_path / "trace").read_text().splitlines()
    told = [
        next(
            (
                name
                for name, pattern in (
                    ("written", rf"write\(\d+<{tmp_path}/\.out\."),
                    ("stable", rf"syncfs\(\d+<{tmp_path}/\.out\."),
                    ("named", rf'rename\w*\(.*"{tmp_path}/out"'),
                    ("stable by name", rf"fsync\(\d+<{tmp_path}>\)"),
                )
                if re.search(pattern, line)
            ),
            None,
        )
        for line in lines
    ]
    steps = [name for name in told if name is not None]
    assert steps.count("written") > len(steps) - 4
    assert steps[-3:] == ["stable", "named", "stable by name"]
