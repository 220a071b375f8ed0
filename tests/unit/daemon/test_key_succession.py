# SPDX-License-Identifier: Apache-2.0
"""One key source after the other: who follows, and when."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick.crypto.checking import check
from tallystick.daemon.key_file import FileKeySource, make_keys
from tallystick.daemon.key_source import SignerKeySource
from tallystick.daemon.key_succession import KeySuccession
from tallystick.errors import SettingError, SigningError
from tallystick.keys.local import LocalSigner, generate_key_pair


@pytest.fixture
def source(tmp_path: Path) -> FileKeySource:
    """A key in a file."""
    make_keys(tmp_path / "k", tmp_path / "k.pub")
    return FileKeySource(tmp_path / "k", "did:x#k1")


def test_a_key_in_this_process_signs_many_at_once(source: FileKeySource) -> None:
    """By whatever key it has now; a signer elsewhere is asked for each."""
    keys = KeySuccession(source, LocalSigner(generate_key_pair()))
    keys.init()
    assert keys.sign_all is not None
    for signature, message in zip(keys.sign_all([b"a", b"bb"]), [b"a", b"bb"], strict=True):
        assert check(signature, message, source.get_public_key())
    keys.stage()
    keys.install()
    assert keys.sign_all is None


def test_a_successor_takes_over_when_it_is_installed() -> None:
    """It is staged at once, signs from `install` on, and is not handed over to twice."""
    first, second = LocalSigner(generate_key_pair()), LocalSigner(generate_key_pair())
    keys = KeySuccession(SignerKeySource(first, "did:x#k1"), second)
    keys.init()
    assert keys.staged() is keys.stage() is second
    assert check(keys.sign(b"x"), b"x", first.get_public_key())
    keys.install()
    assert keys.get_public_key() == second.get_public_key()
    assert keys.verification_method == "did:x#k1"
    assert keys.staged() is None
    with pytest.raises(SettingError, match="no next signer"):
        keys.stage()
    keys.take_successor(first)
    assert keys.stage() is first
    keys.teardown()


def test_a_file_is_followed_by_a_file_or_by_the_signer_that_is_named(
    source: FileKeySource,
) -> None:
    """Without a name the next file is made; a half-made one goes first when it is found."""
    keys = KeySuccession(source)
    keys.init()
    keys.stage()
    assert source.staged() is not None
    signer = LocalSigner(generate_key_pair())
    keys.take_successor(signer)
    assert keys.staged() is not signer  # what a crash has left is looked at first
    assert keys.stage() is signer
    assert source.staged() is None
    keys.install()
    assert keys.get_public_key() == signer.get_public_key()
    with pytest.raises(SigningError, match="erased"):
        source.sign(b"x")
    assert os.path.exists(source.path)  # the owner's to destroy
