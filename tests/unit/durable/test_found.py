# SPDX-License-Identifier: Apache-2.0
"""Which file stands under a name, by the call that leaves its times alone and by the other one."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from tallystick.durable import found
from tallystick.durable.found import Found, find


@pytest.fixture(params=["statx", "stat"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Ask in one way or the other; off Linux there is one alone."""
    if request.param == "stat":
        monkeypatch.setattr(found, "_statx", None)
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_which_file_stands_under_a_name(tmp_path: Path) -> None:
    """A file keeps its identity when it is written to, and another in its place has its own."""
    path = tmp_path / "file"
    assert find(str(path)) is None
    path.touch()
    first = there(path)
    assert first.size == 0
    path.write_text("more")
    assert there(path) == (first.identity, 4)
    path.rename(tmp_path / "old")
    path.touch()
    assert there(path).identity != first.identity
    assert there(tmp_path / "old").identity == first.identity


@pytest.mark.usefixtures("way")
def test_a_link_is_itself(tmp_path: Path) -> None:
    """Who puts a link to the same file in its place has replaced it."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert there(tmp_path / "link").identity != there(tmp_path / "file").identity


@pytest.mark.usefixtures("way")
def test_what_cannot_be_seen_is_not_there(tmp_path: Path) -> None:
    """No folder, a file in its place, and names that are none."""
    (tmp_path / "file").touch()
    assert find(f"{tmp_path}/file\0more") is None
    assert find(str(tmp_path / "none" / "file")) is None
    assert find(str(tmp_path / "file" / "below")) is None
    assert find(str(tmp_path / ("x" * 300))) is None


def test_both_ways_say_the_same(tmp_path: Path) -> None:
    """So a file that one of them knows is the file that the other one finds."""
    for name, size in (("small", 3), ("large", 1 << 33)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
        path = str(tmp_path / name)
        assert find(path) == found._found_by_stat(path)
        assert there(tmp_path / name).size == size
    device = os.stat("/dev").st_dev  # most often another one than that of the folder
    assert there(Path("/dev")).identity[:2] == (os.major(device), os.minor(device))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_where_the_call_is_not_to_be_had_the_other_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """An old kernel, or a sandbox that refuses it."""

    def refused(*_: object) -> int:
        return number

    (tmp_path / "file").touch()
    before = find(str(tmp_path / "file"))
    monkeypatch.setattr(found, "_statx", refused)
    assert find(str(tmp_path / "file")) == before is not None


def test_a_python_without_the_way_there_has_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been built without `ctypes`: the store opens all the same."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert found._system_call() is None


def test_linux_has_the_call() -> None:
    """Where it is missing, each commit takes the disk one write more, and nobody would notice."""
    assert (found._statx is not None) is sys.platform.startswith("linux")


def there(path: Path) -> Found:
    """Return what stands under a name, where something does."""
    one = find(str(path))
    assert one is not None
    return one
