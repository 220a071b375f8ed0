# SPDX-License-Identifier: Apache-2.0
"""Whole files on stable storage."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tallystick.durable.file import (
    Durable,
    hold,
    lock,
    make_directory,
    open_directory,
    read_bounded,
    read_descriptor,
    reason_of,
    refuse_planted,
    shown,
    sync_directory,
    unlock,
    write_at,
    write_new,
    write_replace,
)
from tallystick.errors import (
    DurableError,
    LimitError,
    PathTakenError,
    UnreadableError,
    WalLockedError,
)

# Any number but ours: the kernel asks for no account.
_OTHER = 65534

Write = Callable[..., None]
WRITERS = pytest.mark.parametrize("write", [write_new, write_replace])


class WatchedFsync:
    """The real fsync, which records what it was called on and can be told to fail there."""

    def __init__(self, fail: str = "", directory: Path | None = None) -> None:
        self.calls: list[str] = []
        self.names: list[list[str]] = []
        self._fail = fail
        self._directory = directory

    def __call__(self, descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        self.calls.append(kind)
        self.names.append(sorted(os.listdir(self._directory)) if self._directory else [])
        if kind == self._fail:
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(descriptor)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run under several umasks, and restore the old one."""
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


@WRITERS
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o400])
def test_mode_is_exact_under_any_umask(tmp_path: Path, umask: int, write: Write, mode: int) -> None:
    """The permission bits are those that were asked for, and the bytes are all there."""
    path = tmp_path / "file"
    write(path, b"data" * 10_000, mode)
    assert _mode(path) == mode
    path.chmod(0o600)
    assert path.read_bytes() == b"data" * 10_000


@WRITERS
def test_file_and_directory_are_synced_in_this_order(tmp_path: Path, write: Write) -> None:
    """First the content, then the entry: what returned has survived a power cut."""
    fsync = WatchedFsync(directory=tmp_path)
    write(tmp_path / "file", b"data", 0o600, fsync=fsync)
    assert fsync.calls == ["file", "directory"]
    assert fsync.names[1] == ["file"]


def test_content_is_whole_when_it_is_synced(tmp_path: Path) -> None:
    """The file's fsync comes after its last byte and its mode."""
    seen: list[tuple[int, int]] = []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        seen.append((status.st_size, stat.S_IMODE(status.st_mode)))

    write_new(tmp_path / "file", b"12345", 0o644, fsync=fsync)
    assert seen[0] == (5, 0o644)


def test_a_replacement_is_synced_before_it_is_visible(tmp_path: Path) -> None:
    """While the new content is not yet stable, the name still shows the old."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[bytes] = []

    def fsync(descriptor: int) -> None:
        seen.append(path.read_bytes())

    write_replace(path, b"new", 0o600, fsync=fsync)
    assert seen == [b"old", b"new"]


@pytest.mark.parametrize("fail", ["file", "directory"])
def test_write_new_leaves_nothing_after_a_failure(tmp_path: Path, fail: str) -> None:
    """After a failed fsync of either, an error says so and the file is gone."""
    with pytest.raises(DurableError, match="could not be written: Input/output error"):
        write_new(tmp_path / "file", b"data", 0o600, fsync=WatchedFsync(fail))
    assert list(tmp_path.iterdir()) == []


def test_write_replace_keeps_the_old_after_a_failure(tmp_path: Path) -> None:
    """If the new content does not become stable, the old is untouched and nothing is left over."""
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(DurableError, match="could not be replaced: Input/output error"):
        write_replace(tmp_path / "file", b"new", 0o600, fsync=WatchedFsync("file"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_write_replace_says_when_the_entry_is_not_stable(tmp_path: Path) -> None:
    """A rename cannot be taken back: the new content stands, and the error says it may not last."""
    with pytest.raises(DurableError):
        write_replace(tmp_path / "file", b"new", 0o600, fsync=WatchedFsync("directory"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@WRITERS
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, write: Write) -> None:
    """Not even Ctrl-C between write and fsync leaves a half-made file."""

    def fsync(descriptor: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "file", b"data", 0o600, fsync=fsync)
    assert list(tmp_path.iterdir()) == []


def test_write_new_never_overwrites(tmp_path: Path) -> None:
    """A file, a directory, a link and a dangling link are all left as they are."""
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "folder", "link", "dangling"):
        with pytest.raises(PathTakenError, match="already exists; nothing was written"):
            write_new(tmp_path / name, b"new", 0o600)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()


def test_write_replace_replaces_a_link_and_not_its_target(tmp_path: Path) -> None:
    """The name gets the new file; what a link pointed to is not written through."""
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_replace(tmp_path / "link", b"new", 0o600)
    assert (tmp_path / "target").read_bytes() == b"old"
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"new"


@WRITERS
@pytest.mark.parametrize(
    "name", ["missing/file", "", "file/", ".", "..", "a\0b", "\ud800", "n" * 300]
)
def test_paths_that_cannot_be_written(tmp_path: Path, write: Write, name: str) -> None:
    """Each becomes a named error of one line, and nothing is made."""
    with pytest.raises(DurableError) as caught:
        write(f"{tmp_path}/{name}", b"data", 0o600)
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


def test_a_rename_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """A directory in the place of the file stops the rename; the temporary file is removed."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(DurableError):
        write_replace(tmp_path / "folder", b"data", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_relative_paths_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name is made in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_new("file", b"data", 0o600)
    write_replace(Path("file"), b"more", 0o600)
    assert read_bounded("file", 100) == b"more"


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_read_bounded_returns_the_whole_file(tmp_path: Path, size: int) -> None:
    """Up to and including the limit, all bytes come back, through links too."""
    (tmp_path / "file").write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to("file")
    assert read_bounded(tmp_path / "file", 100) == b"x" * size
    assert read_bounded(tmp_path / "link", 100) == b"x" * size


def test_read_bounded_refuses_more_than_the_limit(tmp_path: Path) -> None:
    """One byte more is refused, also from a device that never ends."""
    (tmp_path / "file").write_bytes(b"x" * 101)
    with pytest.raises(LimitError, match="file is larger than 100 bytes"):
        read_bounded(tmp_path / "file", 100)
    with pytest.raises(LimitError, match="/dev/zero is larger than 5000000 bytes"):
        read_bounded("/dev/zero", 5_000_000)


@pytest.mark.parametrize("name", ["missing", "", "a\0b", "\ud800"])
def test_read_bounded_names_what_is_unreadable(tmp_path: Path, name: str) -> None:
    """A missing file, a directory and an impossible path are one kind of error, in one line."""
    with pytest.raises(UnreadableError, match="could not be read") as caught:
        read_bounded(f"{tmp_path}/{name}", 100)
    assert str(caught.value).isprintable()


def test_read_descriptor_reads_across_short_reads() -> None:
    """A pipe gives its bytes in pieces; all of them count."""
    reader, writer = os.pipe()
    os.write(writer, b"one")
    os.write(writer, b"two")
    os.close(writer)
    assert read_descriptor(reader, 6) == b"onetwo"
    os.close(reader)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Success and failure both close what they opened."""
    before = _descriptors()
    write_new(tmp_path / "file", b"data", 0o600)
    for write in (write_new, write_replace):
        for fail in ("file", "directory"):
            with pytest.raises(DurableError):
                write(tmp_path / f"{fail}.x", b"data", 0o600, fsync=WatchedFsync(fail))
    with pytest.raises(LimitError):
        read_bounded(tmp_path / "file", 1)
    assert _descriptors() == before


def test_shown_keeps_messages_on_one_line() -> None:
    """A path with control characters is quoted, a usual one is not."""
    assert shown("/a b/c") == "/a b/c"
    assert shown("a\nb\x1b[31m").isprintable()
    assert shown("") == "''"


def test_directory_is_made_once_and_durably(tmp_path: Path) -> None:
    """A new directory is private and its entry is on disk; one that is there is left alone."""
    fsync = WatchedFsync(directory=tmp_path)
    assert make_directory(tmp_path / "keys", 0o700, fsync=fsync)
    assert (fsync.calls, fsync.names) == (["directory"], [["keys"]])
    assert _mode(tmp_path / "keys") == 0o700
    (tmp_path / "keys").chmod(0o750)
    assert not make_directory(f"{tmp_path}/keys/", 0o700, fsync=fsync)
    assert _mode(tmp_path / "keys") == 0o750
    assert fsync.calls == ["directory"]


@pytest.mark.parametrize("path", [".", "..", "/", "./"])
def test_directories_that_are_always_there(path: str) -> None:
    """Names that need no entry are no fault."""
    assert not make_directory(path, 0o700)


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """Without a parent there is an error; after a failed fsync there is no directory."""
    before = _descriptors()
    with pytest.raises(DurableError, match=r"could not be made: No such file"):
        make_directory(tmp_path / "no" / "keys", 0o700)
    with pytest.raises(DurableError, match=r"could not be made: Input/output"):
        make_directory(tmp_path / "keys", 0o700, fsync=WatchedFsync("directory"))
    with pytest.raises(DurableError, match=r"could not be made: embedded null"):
        make_directory(tmp_path / "bad\0name", 0o700)
    assert os.listdir(tmp_path) == []
    assert _descriptors() == before


def test_write_at_writes_all_of_it(tmp_path: Path) -> None:
    """Short writes are gone on with, each at its own place."""
    calls: list[tuple[int, int]] = []

    def pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        calls.append((len(data), offset))
        return os.pwrite(descriptor, data[:3], offset)

    with (tmp_path / "file").open("w+b") as file:
        write_at(file.fileno(), b"12345678", 2, Durable(pwrite=pwrite))
    assert (tmp_path / "file").read_bytes() == b"\0\x0012345678"
    assert calls == [(8, 2), (5, 5), (2, 8)]


def test_durable_works_below_one_directory(tmp_path: Path) -> None:
    """Names are looked up in the open directory, wherever that is; links are not followed."""
    (tmp_path / "folder").mkdir()
    directory, name = open_directory(tmp_path / "folder" / "file")
    assert name == "file"
    (tmp_path / "folder").rename(tmp_path / "moved")
    durable = Durable()
    os.close(durable.open("file", os.O_RDWR | os.O_CREAT, 0o600, directory))
    durable.link("file", "second", directory)
    durable.rename("file", "third", directory)
    durable.unlink("second", directory)
    assert os.listdir(tmp_path / "moved") == ["third"]
    (tmp_path / "moved" / "link").symlink_to("third")
    with pytest.raises(OSError, match="symbolic links"):
        durable.open("link", os.O_RDWR, 0, directory)
    os.close(directory)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """The second is refused and told who has it; after unlock it is free, whoever has a copy."""
    directory, name = open_directory(tmp_path / "lock")
    first = lock(name, directory, "shown")
    with pytest.raises(WalLockedError, match=f"^shown is in use by process {os.getpid()}$"):
        lock(name, directory, "shown")
    copy = os.dup(first)
    unlock(first)
    unlock(lock(name, directory, "shown"))
    os.close(copy)
    os.close(directory)


def test_a_lock_leaves_no_descriptor_and_one_name(tmp_path: Path) -> None:
    """Be it refused or given back; a longer number that was there goes."""
    (tmp_path / "lock").write_bytes(b"12345678901234567890\n")
    before = _descriptors()
    directory, name = open_directory(tmp_path / "lock")
    first = lock(name, directory, "shown")
    held = _descriptors()
    with pytest.raises(WalLockedError, match=f"in use by process {os.getpid()}$"):
        lock(name, directory, "shown")
    assert _descriptors() == held
    unlock(first)
    os.close(directory)
    assert _descriptors() == before


def test_a_file_is_held_by_one(tmp_path: Path) -> None:
    """Whoever took its lock file away: until the first lets go."""
    first, second = (os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT) for _ in range(2))
    hold(first, "shown")
    with pytest.raises(WalLockedError, match=r"^shown is in use, though its lock file is gone$"):
        hold(second, "shown")
    unlock(first)
    hold(second, "shown")
    os.close(second)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
@pytest.mark.parametrize(
    ("mode", "folder_of", "file_of", "is_refused"),
    [
        (0o1777, 0, _OTHER, True),
        (0o1770, 0, _OTHER, True),
        (0o1755, 0, _OTHER, False),
        (0o755, 0, _OTHER, False),
        (0o1777, 0, 0, False),
        (0o1777, _OTHER, _OTHER, False),
        (0o1777, _OTHER, 0, False),
        (0o1777, _OTHER, _OTHER + 1, True),
    ],
)
def test_a_planted_file_is_refused(
    tmp_path: Path, mode: int, folder_of: int, file_of: int, is_refused: bool
) -> None:
    """One of somebody who is neither we nor the folder's owner, where all may put one."""
    folder, path = tmp_path / "folder", tmp_path / "folder" / "file"
    folder.mkdir()
    path.touch()
    os.chown(path, file_of, -1)
    os.chown(folder, folder_of, -1)
    folder.chmod(mode)
    directory, _ = open_directory(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(ValueError, match="another user") if is_refused else nullcontext():
            refuse_planted(descriptor, directory)
    finally:
        os.close(descriptor)
        os.close(directory)


def test_a_name_is_made_stable(tmp_path: Path) -> None:
    """The folder is synced, and a failure is told; nothing stays open."""
    before = _descriptors()
    fsync = WatchedFsync()
    sync_directory(tmp_path / "file", fsync=fsync)
    assert fsync.calls == ["directory"]
    with pytest.raises(DurableError, match="Input/output error"):
        sync_directory(tmp_path / "file", fsync=WatchedFsync("directory"))
    for path in (tmp_path / "no" / "file", f"{tmp_path}/"):
        with pytest.raises(DurableError, match="is not safe"):
            sync_directory(path)
    assert _descriptors() == before


def test_reasons_are_the_system_s_own_words() -> None:
    """An error without words of the system speaks for itself."""
    assert reason_of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == "No space left on device"
    assert reason_of(OSError("odd")) == "odd"
    assert reason_of(ValueError("embedded null byte")) == "embedded null byte"
