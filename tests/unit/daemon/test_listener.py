# SPDX-License-Identifier: Apache-2.0
"""A listening socket and its path."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tallystick.daemon import socket_path
from tallystick.daemon.listener import Listener, group_id
from tallystick.errors import SettingError, SocketPathError
from tallystick.limits import SOCKET_LOCK_MS_MAX


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o750)
    return folder / "s"


@contextmanager
def lock_of(folder: Path) -> Iterator[None]:
    """Lock a folder, as who binds in it does."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def test_only_one_listens(path: Path) -> None:
    """A second one is refused, and the first goes on."""
    first = Listener(str(path))
    with pytest.raises(SocketPathError, match="already listening"):
        Listener(str(path))
    assert first.is_in_place
    first.close()
    assert not path.exists()


def test_who_waits_is_let_in_after_the_path_is_gone(path: Path) -> None:
    """`withdraw` takes the name; what stands in the kernel's line can still be accepted."""
    listener = Listener(str(path))
    with socket.socket(socket.AF_UNIX) as waiting, socket.socket(socket.AF_UNIX) as late:
        waiting.connect(str(path))
        listener.withdraw()
        with pytest.raises(FileNotFoundError):
            late.connect(str(path))
        accepted, _ = listener.socket.accept()
        accepted.close()
    listener.close()


def test_another_daemons_socket_is_left_alone(path: Path) -> None:
    """Whose path was taken over notices, and removes nothing."""
    listener = Listener(str(path))
    path.unlink()
    other = Listener(str(path))
    assert not listener.is_in_place
    listener.close()
    assert other.is_in_place
    path.unlink()
    path.parent.rmdir()
    other.close()  # the folder went first


def test_a_socket_that_is_being_bound_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ends waits for who binds, and looks whose the path is behind that, not before."""
    monkeypatch.setattr(socket_path, "SOCKET_LOCK_MS_MAX", 20_000)
    listener = Listener(str(path))
    with lock_of(path.parent), socket.socket(socket.AF_UNIX) as other:
        ending = threading.Thread(target=listener.withdraw)
        ending.start()
        ending.join(0.2)
        assert path.exists()
        path.unlink()
        other.bind(str(path))
    ending.join(20)
    assert path.exists()
    listener.close()
    assert path.exists()


def test_who_keeps_the_lock_holds_up_no_end(path: Path) -> None:
    """Each member of the group may lock the folder: the path goes all the same."""
    listener = Listener(str(path))
    began = time.monotonic()
    with lock_of(path.parent):
        listener.withdraw()
    assert time.monotonic() - began >= SOCKET_LOCK_MS_MAX / 1000
    assert not path.exists()
    listener.close()


def test_links_go_with_it(path: Path, tmp_path: Path) -> None:
    """The link for older emitters is removed at the end, unless it leads elsewhere by then."""
    kept, gone = tmp_path / "a" / "kept", tmp_path / "b" / "gone"
    listener = Listener(str(path))
    listener.also_at(None)
    listener.also_at(str(kept))
    listener.also_at(str(gone))
    assert gone.readlink() == path
    kept.unlink()
    kept.symlink_to("/elsewhere")
    listener.close()
    assert not gone.is_symlink()
    assert kept.is_symlink()


def test_modes_do_not_depend_on_the_umask(path: Path) -> None:
    """The group may write to the socket, the others may not."""
    before = os.umask(0)
    try:
        listener = Listener(str(path))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o660
    listener.close()


def test_groups_have_names_or_numbers() -> None:
    """An unknown name is a fault of the settings."""
    import grp

    mine = grp.getgrgid(os.getgid())
    assert group_id("", "emit_group") is None
    assert group_id(mine.gr_name, "emit_group") == mine.gr_gid
    assert group_id("4711", "emit_group") == 4711
    with pytest.raises(SettingError, match=r"^emit_group: there is no group .*; make it"):
        group_id("no such group", "emit_group")
    assert group_id("4294967294", "emit_group") == 4294967294
    for number in ("4294967295", "4294967296", "99999999999", "9" * 5000):
        with pytest.raises(SettingError, match="no group"):
            group_id(number, "emit_group")


def test_who_listens_waits_for_nobody(path: Path) -> None:
    """The thread that serves asks all sockets: where nobody comes, it goes on at once."""
    listener = Listener(str(path))
    with pytest.raises(BlockingIOError):
        listener.socket.accept()
    listener.close()


def test_a_path_that_was_withdrawn_is_not_ours(path: Path) -> None:
    """Neither while it is gone nor when another daemon has it."""
    listener = Listener(str(path))
    told = [listener.is_in_place]
    listener.withdraw()
    told.append(listener.is_in_place)
    other = Listener(str(path))
    told += (listener.is_in_place, other.is_in_place)
    assert told == [True, False, False, True]
    listener.close()
    assert other.is_in_place
    other.close()
