# SPDX-License-Identifier: Apache-2.0
"""A file appears whole and durable, or not at all, and never over another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tallystick.durable.whole import WholeFile, write_whole
from tallystick.errors import DurableError, PathTakenError


def test_nobody_sees_half(tmp_path: Path) -> None:
    """Until it is finished there is no file of that name; then there is all of it."""
    path = tmp_path / "file"
    with WholeFile(path, 0o644) as file:
        file.write(b"one")
        assert not path.exists()
        file.write(memoryview(b"two"))
        file.finish()
        assert path.read_bytes() == b"onetwo"
    assert os.listdir(tmp_path) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_what_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    """An exception, or a finish that never came."""

    def stop_in_the_middle() -> None:
        with WholeFile(tmp_path / "file", 0o600) as file:
            file.write(b"half")
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        stop_in_the_middle()
    with WholeFile(tmp_path / "file", 0o600) as file:
        file.write(b"half")
    assert os.listdir(tmp_path) == []


def test_it_is_never_written_over(tmp_path: Path) -> None:
    """Who was first stays, also where the other came in between; a dangling link counts."""
    path = tmp_path / "file"

    def come_second() -> None:
        with WholeFile(path, 0o600) as file:
            path.write_bytes(b"first")
            file.finish()

    with pytest.raises(PathTakenError):
        come_second()
    with pytest.raises(PathTakenError):
        WholeFile(path, 0o600)  # before a byte of it was written
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(PathTakenError):
        write_whole(tmp_path / "link", b"second", 0o600)
    assert path.read_bytes() == b"first"
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]


def test_both_syncs_come_before_the_answer(tmp_path: Path) -> None:
    """The bytes are safe before the name appears, and the name before `finish` returns."""
    seen: list[bool] = []

    def fsync(descriptor: int) -> None:
        seen.append((tmp_path / "file").exists())
        os.fsync(descriptor)

    write_whole(tmp_path / "file", b"x", 0o600, fsync=fsync)
    assert seen == [False, True]
    assert (tmp_path / "file").read_bytes() == b"x"


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failed_sync_leaves_nothing(tmp_path: Path, failing: int) -> None:
    """Whichever sync fails: no name, and an error that says so."""
    calls: list[int] = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing + 1:
            raise OSError(5, "Input/output error")

    with pytest.raises(DurableError, match="Input/output error"):
        write_whole(tmp_path / "file", b"x", 0o600, fsync=fsync)
    assert os.listdir(tmp_path) == []


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A folder that is not there, a path that is one, and a name that is too long for any."""
    for path in (tmp_path / "no" / "file", f"{tmp_path}/", "bad\0name", tmp_path / ("x" * 300)):
        with pytest.raises(DurableError):
            write_whole(path, b"x", 0o600)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Neither of a file that is finished nor of one that can't begin, or was taken."""
    before = len(os.listdir("/dev/fd"))
    write_whole(tmp_path / "file", b"x", 0o600)
    for path in (tmp_path / "file", tmp_path / ("x" * 300), tmp_path / "bad\0name"):
        with pytest.raises((DurableError, PathTakenError)):
            write_whole(path, b"x", 0o600)
    assert len(os.listdir("/dev/fd")) == before
