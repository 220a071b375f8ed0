# SPDX-License-Identifier: Apache-2.0
"""Room behind what a file holds: zeros, stable before it returns."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tallystick.durable.file import Durable
from tallystick.durable.room import make_room


def test_what_a_file_holds_stays_and_zeros_follow(tmp_path: Path) -> None:
    """Nothing that was there is changed."""
    path = tmp_path / "file"
    path.write_bytes(b"held")
    assert make_room(path, 10)
    assert path.read_bytes() == b"held" + bytes(10)


def test_the_zeros_are_stable_when_it_returns(tmp_path: Path) -> None:
    """The file is synced once, behind the last byte."""
    path = tmp_path / "file"
    path.touch()
    sizes: list[int] = []
    durable = Durable(fdatasync=lambda one: sizes.append(os.fstat(one).st_size))
    make_room(path, 1 << 16, durable=durable)
    assert sizes == [1 << 16]


def test_zeros_are_written_in_small_pieces(tmp_path: Path) -> None:
    """One large write would have the kernel keep them as one piece, and look at all of it later."""
    path = tmp_path / "file"
    path.write_bytes(b"held")
    sizes: list[int] = []

    def noted(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        sizes.append(len(data))
        return os.pwrite(descriptor, data, offset)

    assert make_room(path, 100_000, durable=Durable(pwrite=noted))
    assert path.read_bytes() == b"held" + bytes(100_000)
    assert max(sizes) <= 16 * 1024
    assert sum(sizes) == 100_000


def test_a_link_and_a_file_that_is_gone_are_refused(tmp_path: Path) -> None:
    """Zeros go to no other file than the one that is meant, and make none."""
    (tmp_path / "other").touch()
    (tmp_path / "link").symlink_to("other")
    for name in ("link", "none"):
        with pytest.raises(OSError, match=r"symbolic|No such|Too many"):
            make_room(tmp_path / name, 1)
    assert not (tmp_path / "none").exists()
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_where_there_is_no_room_there_is_none(tmp_path: Path, number: int) -> None:
    """That is no fault of the disk: whoever asked writes on as if nobody had."""
    path = tmp_path / "file"
    path.touch()
    assert not make_room(path, 1, durable=Durable(pwrite=failing(number)))


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_disk_that_fails_is_told(tmp_path: Path, call: str) -> None:
    """What fails here would fail where it counts; the file is let go of."""
    path = tmp_path / "file"
    path.touch()
    before = open_files()
    with pytest.raises(OSError, match="it failed"):
        make_room(path, 1, durable=Durable(**{call: failing(errno.EIO)}))
    assert open_files() == before


def test_zeros_that_could_not_be_made_stable_are_told(tmp_path: Path) -> None:
    """A full disk may say so only now: what else was lost with them nobody knows."""
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(OSError, match="it failed"):
        make_room(path, 1, durable=Durable(fdatasync=failing(errno.ENOSPC)))


def failing(number: int) -> Any:
    """Return a call that fails."""

    def call(*_: object) -> int:
        raise OSError(number, "it failed")

    return call


def open_files() -> int:
    """Count the descriptors of this process, where that can be seen."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
