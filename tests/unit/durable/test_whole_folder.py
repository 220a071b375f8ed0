# SPDX-License-Identifier: Apache-2.0
"""A folder appears whole and durable, or not at all, and never over another."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from tests.interrupts import interrupted

from tallystick.durable.file import write_new
from tallystick.durable.whole_folder import WholeFolder
from tallystick.errors import DurableError, PathTakenError


def make(path: Path) -> None:
    with WholeFolder(path, 0o750) as folder:
        write_new(os.path.join(folder.temporary, "file"), b"all", 0o640)
        folder.finish()


def test_nobody_sees_half(tmp_path: Path) -> None:
    """Until it is finished there is no folder of that name, and its own name says what it is."""
    place = tmp_path / "folder"
    with WholeFolder(place, 0o750) as folder:
        (Path(folder.temporary) / "file").write_bytes(b"all")
        assert not place.exists()
        (name,) = os.listdir(tmp_path)
        assert name.startswith(".folder.")
        assert name.endswith(".tmp")
        assert stat.S_IMODE(os.stat(folder.temporary).st_mode) == 0o700
        folder.finish()
    assert os.listdir(tmp_path) == ["folder"]
    assert stat.S_IMODE(place.stat().st_mode) == 0o750
    assert (place / "file").read_bytes() == b"all"


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    """An exception, or a finish that never came."""

    def stop_in_the_middle() -> None:
        with WholeFolder(tmp_path / "folder", 0o750) as folder:
            (Path(folder.temporary) / "file").write_bytes(b"half")
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        stop_in_the_middle()
    with WholeFolder(tmp_path / "folder", 0o750) as folder:
        (Path(folder.temporary) / "file").write_bytes(b"half")
    assert os.listdir(tmp_path) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Wherever it comes: all of it is there, or nothing of it."""
    point, left = 0, 0
    while interrupted(("whole_folder.py",), point := point + 1, lambda: make(tmp_path / "folder")):
        found = os.listdir(tmp_path)
        assert found in ([], ["folder"])
        if found:
            left += 1
            assert (tmp_path / "folder" / "file").read_bytes() == b"all"
            (tmp_path / "folder" / "file").unlink()
            (tmp_path / "folder").rmdir()
    assert point > 10
    assert 0 < left < point / 3  # what comes behind the last sync comes too late
    assert os.listdir(tmp_path) == ["folder"]


def test_nothing_is_replaced(tmp_path: Path) -> None:
    """Who was first stays, also where it came in between, is empty, is a file or leads nowhere."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("empty", "file", "link", "empty/", "empty/.."):
        with pytest.raises(PathTakenError, match="already exists"):
            make(tmp_path / name)

    def come_second(first: str) -> None:
        with WholeFolder(tmp_path / first, 0o750) as folder:
            (tmp_path / first).mkdir()
            if first == "full":
                (tmp_path / first / "mine").write_bytes(b"")
            folder.finish()

    for first in ("full", "bare"):
        with pytest.raises(PathTakenError):
            come_second(first)
    with pytest.raises(PathTakenError):
        make(Path("/"))
    assert sorted(os.listdir(tmp_path)) == ["bare", "empty", "file", "full", "link"]
    assert os.listdir(tmp_path / "full") == ["mine"]


def test_what_the_disk_refuses_is_told(tmp_path: Path) -> None:
    """By the name that was asked for; a sync that fails, of either folder, leaves nothing."""
    with pytest.raises(DurableError, match=r"no/where could not be written: No such file"):
        make(tmp_path / "no" / "where")
    for fails_at in (1, 2):
        calls = 0

        def sync(_: int, fails_at: int = fails_at) -> None:
            nonlocal calls
            calls += 1
            if calls == fails_at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        with (
            pytest.raises(DurableError, match="folder could not be written: Input/output error"),
            WholeFolder(tmp_path / "folder", 0o750, fsync=sync) as folder,
        ):
            folder.finish()
        assert calls == fails_at
        assert os.listdir(tmp_path) == []


def test_a_name_may_be_as_long_as_names_are(tmp_path: Path) -> None:
    """The temporary one is no longer than a name may be."""
    make(tmp_path / ("ä" * 127))
    assert os.listdir(tmp_path) == ["ä" * 127]


def test_what_is_said_of_it_has_its_name(tmp_path: Path) -> None:
    """Nobody is told of the temporary name."""
    with WholeFolder(tmp_path / "folder", 0o750) as folder:
        text = f"{folder.temporary}/file is damaged"
        assert folder.by_its_name(text) == f"{tmp_path}/folder/file is damaged"
