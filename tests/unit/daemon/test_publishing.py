# SPDX-License-Identifier: Apache-2.0
"""The published public key: readable by all, never silently another."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick.crypto.ed25519 import public_key_from
from tallystick.daemon.publishing import archive, archived, publish, published, replace
from tallystick.errors import KeyFileError
from tallystick.keys.local import generate_key_pair


def new_key() -> bytes:
    """Return a public key."""
    return generate_key_pair().signing_key().public_key


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_published_for_all(tmp_path: Path, umask: int) -> None:
    """0644 whatever the umask; the same key again changes nothing but a wrong mode."""
    path, key = tmp_path / "k.pub", new_key()
    before = os.umask(umask)
    try:
        publish(path, key)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert public_key_from(path.read_bytes()) == key
    for mode in (0o600, 0o666, 0o644):
        path.chmod(mode)
        publish(path, key)
        assert path.stat().st_mode & 0o777 == 0o644


def test_another_key_is_refused(tmp_path: Path) -> None:
    """What is published already is left as it is."""
    path, key = tmp_path / "k.pub", new_key()
    publish(path, key)
    text = path.read_bytes()
    with pytest.raises(KeyFileError, match="another public key"):
        publish(path, new_key())
    assert path.read_bytes() == text


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "garbage", "private"])
def test_what_is_no_public_key_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A planted link's target stays as it is; a FIFO does not hang; nothing is echoed."""
    path, target, key = tmp_path / "k.pub", tmp_path / "target", new_key()
    secret = generate_key_pair().private_key
    if kind == "link":
        target.write_text("precious")
        path.symlink_to(target)
    elif kind == "dangling":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("x" * 20_000 if kind == "garbage" else secret)
    for call in (publish, replace):
        with pytest.raises(KeyFileError) as caught:
            call(path, key)
        assert secret.splitlines()[1] not in str(caught.value)
    if kind == "link":
        assert target.read_text() == "precious"
    assert kind == "link" or not target.exists()


def test_earlier_keys_stand_beside(tmp_path: Path) -> None:
    """Archives are found by their name and by the key inside; all else is passed over."""
    path, keys = tmp_path / "k.pub", [new_key() for _ in range(3)]
    publish(path, keys[0])
    assert archived(path) == []
    for key in keys[:2]:
        place = archive(path, key)
        assert archive(path, key) == place
    Path(f"{path}.rotated-0123456789abcdef").write_bytes(path.read_bytes())
    Path(f"{path}.rotated-garbage").write_text("x")
    replace(path, keys[2])
    assert published(path) == keys[2]
    assert sorted(archived(path)) == sorted(keys[:2])
    assert published(tmp_path / "none") is None


def test_who_reads_earlier_keys_changes_none(tmp_path: Path) -> None:
    """A file whose mode somebody chose is read as it is: only what is published is mended."""
    path, key = tmp_path / "k.pub", new_key()
    place = Path(archive(path, key))
    place.chmod(0o600)
    assert archived(path) == [key]
    assert published(place) == key
    assert place.stat().st_mode & 0o777 == 0o600
    assert published(place, mends=True) == key
    assert place.stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")
def test_another_user_s_file_keeps_its_mode(tmp_path: Path) -> None:
    """Root does not open to all what a user has closed."""
    path, key = tmp_path / "k.pub", new_key()
    publish(path, key)
    path.chmod(0o600)
    os.chown(path, 65534, -1)
    assert published(path, mends=True) == key
    assert path.stat().st_mode & 0o777 == 0o600
