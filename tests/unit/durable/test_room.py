# SPDX-License-Identifier: Apache-2.0
"""Room behind what a file holds: zeros, stable before it returns."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tallystick.durable.file import Durable
from tallystick.durable.room import make_room


def test_what_a_file_holds_stays_and_zeros_follow(tmp_path: Path) -> None:
    """Nothing that was there is changed."""
    path = tmp_path / "file"
    path.write_bytes(b"held")
    make_room(path, 10)
    assert path.read_bytes() == b"held" + bytes(10)


def test_the_zeros_are_stable_when_it_returns(tmp_path: Path) -> None:
    """The file is synced once, behind the last byte."""
    path = tmp_path / "file"
    path.touch()
    sizes: list[int] = []
    durable = Durable(fdatasync=lambda one: sizes.append(os.fstat(one).st_size))
    make_room(path, 1 << 16, durable=durable)
    assert sizes == [1 << 16]


def test_a_link_and_a_file_that_is_gone_are_refused(tmp_path: Path) -> None:
    """Zeros go to no other file than the one that is meant, and make none."""
    (tmp_path / "other").touch()
    (tmp_path / "link").symlink_to("other")
    for name in ("link", "none"):
        with pytest.raises(OSError, match=r"symbolic|No such|Too many"):
            make_room(tmp_path / name, 1)
    assert not (tmp_path / "none").exists()
    assert (tmp_path / "other").read_bytes() == b""


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """Who asked hears that there is no room, and the file is let go of."""
    path = tmp_path / "file"
    path.touch()

    def full(_descriptor: int, _data: bytes | memoryview, _offset: int) -> int:
        raise OSError(errno.ENOSPC, "no space")

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with pytest.raises(OSError, match="no space"):
        make_room(path, 1, durable=Durable(pwrite=full))
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert before == after
