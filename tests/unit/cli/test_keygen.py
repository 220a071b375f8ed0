# SPDX-License-Identifier: Apache-2.0
"""Key pairs as files."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest
from tests.command import tally

from tallystick import FileKeyProvider, did_key_decode
from tallystick.cli.keygen import _write
from tallystick.cli.output import Stop
from tallystick.crypto.ed25519 import public_key_from
from tallystick.crypto.hpke import forensic_public_key
from tallystick.crypto.secp256k1 import read_public_key
from tallystick.keys.evm_keystore import KeystoreSigner
from tallystick.keys.forensic import forensic_key_from, forensic_public_key_from
from tallystick.model.disclosure import forensic_kid
from tallystick.verify.trust import fingerprint_of


def word_after(text: str, label: str) -> str:
    """Return the word that follows a label in the output."""
    return text.split(label)[1].split(maxsplit=1)[0]


def test_the_pair_belongs_together() -> None:
    """Both files hold one key, and what is printed names it."""
    answer = tally("keygen", "--out", "keys")
    assert (answer.code, answer.err) == (0, "")
    raw = FileKeyProvider("keys/signing.key").get_key_pair().signing_key().public_key
    assert public_key_from(Path("keys/signing.key.pub").read_bytes()) == raw
    assert word_after(answer.out, "fingerprint") == fingerprint_of(raw)
    assert did_key_decode(word_after(answer.out, "did:key  ")) == raw
    private = Path("keys/signing.key").read_text().splitlines()[1]
    assert private not in answer.out


def test_forensic_pair_belongs_together() -> None:
    """Likewise for the key that opens disclosures."""
    answer = tally("keygen", "--forensic", "--out", "vault")
    assert (answer.code, answer.err) == (0, "")
    private = forensic_key_from(Path("vault/forensic.key").read_bytes())
    public = forensic_public_key_from(Path("vault/forensic.key.pub").read_bytes())
    assert forensic_public_key(private) == public
    assert word_after(answer.out, "kid") == forensic_kid(public)
    assert stat.S_IMODE(os.stat("vault/forensic.key").st_mode) == 0o600


def test_two_pairs_differ() -> None:
    """Each call makes a key of its own."""
    tally("keygen", "--out", "one")
    tally("keygen", "--out", "two")
    assert Path("one/signing.key").read_bytes() != Path("two/signing.key").read_bytes()


@pytest.mark.parametrize("name", ["signing.key", "signing.key.pub"])
@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
def test_what_is_there_stays(place: Path, name: str, kind: str) -> None:
    """Neither name is ever overwritten, and nothing is written beside it."""
    taken = place / "keys" / name
    taken.parent.mkdir()
    if kind == "file":
        taken.write_text("mine")
    elif kind == "directory":
        taken.mkdir()
    else:
        taken.symlink_to("nowhere")
    answer = tally("keygen", "--out", "keys")
    assert answer.code == 2
    assert answer.err.startswith(f"tally: keys/{name} is there already and was not touched")
    assert os.listdir(place / "keys") == [name]
    if kind == "file":
        assert taken.read_text() == "mine"


def test_a_failed_write_leaves_nothing(place: Path) -> None:
    """When a file can't be written whole, it goes again, and so does the directory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    private_bytes = len(Path("agent.key").read_bytes())
    for room in (0, private_bytes - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            answer = tally("keygen", "--out", "keys")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert answer.code == 3
        assert "could not be written: File too large" in answer.err
        assert not (place / "keys").exists()


def test_the_second_file_fails(place: Path) -> None:
    """A name that is too long only with `.pub` behind it: the private key is not left alone."""
    name = "k" * 253
    with pytest.raises(Stop, match="File name too long"):
        _write("keys", name, "private", "public")
    assert not (place / "keys").exists()
    (place / "keys").mkdir()
    with pytest.raises(Stop, match="File name too long"):
        _write("keys", name, "private", "public")
    assert os.listdir(place / "keys") == []


def test_an_evm_key_is_a_keystore() -> None:
    """The file opens with its password only, and the printed address is that of its key."""
    password = Path("password")
    password.write_text("pass\n")
    password.chmod(0o600)
    answer = tally("keygen", "--evm", "--password-file", "password", "--out", "vault")
    assert (answer.code, answer.err) == (0, "")
    signer = KeystoreSigner("vault/evm.json", lambda: b"pass")
    assert word_after(answer.out, "address") == signer.get_address()
    written = Path("vault/evm.json.pub").read_text()
    assert read_public_key(written) == signer.get_public_key()
    assert stat.S_IMODE(os.stat("vault/evm.json").st_mode) == 0o600
