# SPDX-License-Identifier: Apache-2.0
"""The daemon's key in a file, and what is refused as one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick.crypto.checking import check
from tallystick.crypto.ed25519 import public_key_from
from tallystick.daemon import key_file
from tallystick.daemon.key_file import FileKeySource, check_folders, make_keys
from tallystick.errors import DurableError, KeyFileError, SigningError
from tallystick.keys.local import generate_key_pair


@pytest.fixture
def source(tmp_path: Path) -> FileKeySource:
    """A key in a file."""
    make_keys(tmp_path / "k", tmp_path / "k.pub")
    return FileKeySource(tmp_path / "k", "did:x#k1")


def test_a_file_signs_when_it_was_read(source: FileKeySource, tmp_path: Path) -> None:
    """Not before `init`, and not after `teardown`; its text shows no secret."""
    with pytest.raises(SigningError, match="not loaded"):
        source.sign(b"x")
    source.init()
    key = source.get_public_key()
    assert key == public_key_from((tmp_path / "k.pub").read_bytes())
    assert check(source.sign(b"x"), b"x", key)
    assert source.verification_method == "did:x#k1"
    secret = (tmp_path / "k").read_text().splitlines()[1]
    assert secret not in repr(source)
    source.teardown()
    with pytest.raises(SigningError, match="erased"):
        source.sign(b"x")


def test_new_keys_touch_nothing(tmp_path: Path) -> None:
    """Modes are 0600 and 0644; taken names, links and equal paths are refused."""
    make_keys(tmp_path / "a", tmp_path / "a.pub")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a.pub").stat().st_mode & 0o777 == 0o644
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for private, public in (("a", "b"), ("b", "a.pub"), ("link", "b"), ("b", "link"), ("b", "b")):
        with pytest.raises(KeyFileError):
            make_keys(tmp_path / private, tmp_path / public)
    with pytest.raises(KeyFileError, match="not touched; the daemon signs with it"):
        make_keys(tmp_path / "a", tmp_path / "b")
    with pytest.raises(KeyFileError, match="not touched; move it away to make another, and keep"):
        make_keys(tmp_path / "b", tmp_path / "a.pub")
    with pytest.raises(KeyFileError):
        make_keys(tmp_path / "b", tmp_path / "none" / "b.pub")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_refused(source: FileKeySource, mode: int) -> None:
    """So is a link to one, and a key where a path is wanted: that is not echoed."""
    os.chmod(source.path, mode)
    with pytest.raises(KeyFileError, match="open to group or others"):
        source.init()
    os.symlink(source.path, f"{source.path}-link")
    with pytest.raises(KeyFileError, match="symbolic link"):
        FileKeySource(f"{source.path}-link", "m").init()
    text = generate_key_pair().private_key
    with pytest.raises(KeyFileError) as caught:
        FileKeySource(text, "m")
    assert text.splitlines()[1] not in str(caught.value)


def test_folders_that_others_may_write_to_are_refused(tmp_path: Path) -> None:
    """Also far above the key; a folder with the sticky bit lets nobody replace what is ours."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    make_keys(folder / "k", folder / "k.pub")
    check_folders(folder / "k")
    for mode, is_fine in ((0o777, False), (0o770, False), (0o1777, True), (0o755, True)):
        (tmp_path / "a").chmod(mode)
        if is_fine:
            check_folders(folder / "k")
        else:
            with pytest.raises(KeyFileError, match="can be written by others"):
                FileKeySource(folder / "k", "m").init()
    if os.geteuid() == 0:
        os.chown(tmp_path / "a", 65534, 65534)
        with pytest.raises(KeyFileError, match="belongs to user 65534"):
            check_folders(folder / "k")


def test_staged_keys(source: FileKeySource) -> None:
    """A staged key is found by the next process; discarded it is gone; installed it signs."""
    source.init()
    before = source.get_public_key()
    assert source.staged() is None
    assert not source.discard()
    staged = source.stage()
    assert source.get_public_key() == before
    other = FileKeySource(source.path, "m")
    found = other.staged()
    assert found is not None
    assert found.get_public_key() == staged.get_public_key()
    assert check(found.sign(b"x"), b"x", staged.get_public_key())
    source.stage()
    assert source.discard()
    assert source.staged() is None
    with pytest.raises(KeyFileError, match="no next key"):
        source.install()
    last = source.stage().get_public_key()
    source.install()
    assert source.get_public_key() == last
    again = FileKeySource(source.path, "m")
    again.init()
    assert again.get_public_key() == last


def test_a_key_that_is_not_stable_in_its_place_is_not_installed(
    source: FileKeySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut could bring the old one back behind a hand-over: that is told, not signed on."""
    source.init()
    source.stage()
    synced: list[str] = []

    def fails(path: str) -> None:
        synced.append(path)
        raise DurableError("the disk has failed")

    monkeypatch.setattr(key_file, "sync_directory", fails)
    with pytest.raises(KeyFileError, match="could not be installed: the disk has failed"):
        source.install()
    assert synced == [source.path]


def test_who_is_killed_while_it_stages_leaves_no_part_of_a_key(
    source: FileKeySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file in the place of the next key would stop each start from then on."""
    child = os.fork()
    if not child:  # it ends at its first byte
        monkeypatch.setattr(os, "write", lambda *_: os._exit(9))
        source.stage()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    again = FileKeySource(source.path, source.verification_method)
    again.init()
    assert again.staged() is None
    assert again.stage().get_public_key() != again.get_public_key()
