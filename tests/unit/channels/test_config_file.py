# SPDX-License-Identifier: Apache-2.0
"""Another program's file is replaced in one step, with a backup, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick.channels.config_file import ConfigChange, about, backups, read_config, text_of
from tallystick.errors import ClientConfigError
from tallystick.limits import CLIENT_CONFIG_BYTES_MAX


def change(path: Path, before: bytes | None, after: bytes | None) -> ConfigChange:
    return ConfigChange(path=str(path), before=before, after=after)


def test_mode_link_and_backup_are_kept(tmp_path: Path) -> None:
    """The link stays a link, the bits stay the bits, and the old bytes lie beside the file."""
    real, link = tmp_path / "dotfiles", tmp_path / "settings.json"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    backup = change(link, b"old", b"new").apply()
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert backup == str(real) + ".before-tally"
    assert Path(backup).read_bytes() == b"old"
    assert Path(backup).stat().st_mode & 0o777 == 0o640


def test_the_owner_is_kept(tmp_path: Path) -> None:
    """Root that edits a user's settings takes neither them nor the backup away from that user."""
    path = tmp_path / "settings.json"
    path.write_bytes(b"old")
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 4711, 4712)
    before = path.stat()
    backup = change(path, b"old", b"new").apply()
    assert backup is not None
    for one in (path, Path(backup)):
        found = one.stat()
        assert (found.st_uid, found.st_gid) == (before.st_uid, before.st_gid)
        assert found.st_mode == before.st_mode


def test_backups_are_never_overwritten(tmp_path: Path) -> None:
    """Each gets a number of its own; the newest comes first."""
    path = tmp_path / "c"
    path.write_bytes(b"0")
    for number in range(3):
        change(path, str(number).encode(), str(number + 1).encode()).apply()
    assert [Path(one).read_bytes() for one in backups(str(path))] == [b"2", b"1", b"0"]


def test_a_file_that_changed_meanwhile_is_left(tmp_path: Path) -> None:
    """What somebody else wrote in between is not lost."""
    path = tmp_path / "c"
    path.write_bytes(b"theirs")
    with pytest.raises(ClientConfigError, match="meanwhile"):
        change(path, b"old", b"new").apply()
    assert path.read_bytes() == b"theirs"
    with pytest.raises(ClientConfigError, match="meanwhile"):
        change(path, None, b"new").apply(keeps=False)
    assert path.read_bytes() == b"theirs"
    assert backups(str(path)) == []


def test_new_files_and_removal(tmp_path: Path) -> None:
    """A file that was not there is its owner's alone; one that shall not be there is removed."""
    path = tmp_path / "a" / "b" / "c.json"
    assert change(path, None, b"{}").apply() is None
    assert path.stat().st_mode & 0o777 == 0o600
    change(path, b"{}", None).apply(keeps=False)
    assert not path.exists()
    assert change(path, None, None).apply() is None


def test_a_diff_says_what_changes(tmp_path: Path) -> None:
    """Lines that go and lines that come."""
    lines = list(change(tmp_path / "c", b"a\nb\n", b"a\nc\n").diff())
    assert "-b" in lines
    assert "+c" in lines
    assert "-a" not in lines


def test_what_is_read(tmp_path: Path) -> None:
    """No file is None; too large, or not UTF-8, is refused."""
    assert read_config(str(tmp_path / "none")) is None
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(CLIENT_CONFIG_BYTES_MAX + 1)
    with pytest.raises(ClientConfigError):
        read_config(str(big))
    with pytest.raises(ClientConfigError, match=r"^/x is not UTF-8"), about("/x"):
        text_of(b"\xff")


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe is not waited for, and a device is not read."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link", "."):
        with pytest.raises(ClientConfigError, match="is no file"):
            read_config(str(tmp_path / name))
