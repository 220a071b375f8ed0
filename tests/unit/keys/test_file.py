# SPDX-License-Identifier: Apache-2.0
"""Key files, and all that is refused in their place."""

from __future__ import annotations

import base64
import os
import pickle
import socket
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.leaks import everything_shown_by

from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_encode
from tallystick.durable.file import write_new
from tallystick.errors import KeyFileError
from tallystick.keys.file import FileKeyProvider, _file_fault, read_key_file
from tallystick.limits import KEY_FILE_BYTES_MAX
from tallystick.ports import KeyProvider

PAIR = KeyPair.from_seed(bytes(range(32)))
BODY = PAIR.private_key.splitlines()[1]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return a key file as `tally keygen` leaves it."""
    path = tmp_path / "signing.key"
    write_new(path, PAIR.private_key.encode(), 0o600)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _refusal(path: Path | str) -> str:
    with pytest.raises(KeyFileError) as caught:
        FileKeyProvider(path)
    message = str(caught.value)
    assert message.isprintable()
    assert BODY not in everything_shown_by(caught.value)
    return message


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(key_file: Path, mode: int) -> None:
    """A file that only its owner can read yields its key, through the port."""
    key_file.chmod(mode)
    provider: KeyProvider = FileKeyProvider(key_file)
    assert isinstance(provider, KeyProvider)
    assert provider.get_key_pair() == PAIR
    assert FileKeyProvider(str(key_file)).get_key_pair() == PAIR


def test_the_file_is_read_once(key_file: Path) -> None:
    """The key is read and checked at construction; what happens to the file later is not seen."""
    provider = FileKeyProvider(key_file)
    key_file.unlink()
    assert provider.get_key_pair() == PAIR
    assert provider.get_key_pair() is provider.get_key_pair()


@pytest.mark.parametrize("bits", [0o001, 0o002, 0o004, 0o010, 0o020, 0o040, 0o044, 0o077])
def test_open_to_others_is_refused(key_file: Path, bits: int) -> None:
    """Any bit for group or others is refused, with the command that repairs it."""
    key_file.chmod(0o600 | bits)
    message = _refusal(key_file)
    assert f"mode {0o600 | bits:04o}" in message
    assert f"chmod 600 {key_file}" in message


def test_the_public_half_is_told_by_its_name(key_file: Path) -> None:
    """Who gives `signing.key.pub` is told which file to give, not to hide a public key."""
    public = key_file.with_name("signing.key.pub")
    public.write_text(PAIR.public_key)
    public.chmod(0o644)
    message = _refusal(public)
    assert "is a public key by its name" in message
    assert str(key_file) in message
    assert "chmod" not in message
    key_file.rename(public)  # a private key may have any name
    public.chmod(0o600)
    assert read_key_file(public) == PAIR.private_key.encode()


def test_the_command_quotes_the_path(key_file: Path) -> None:
    """The suggested command can be pasted also when the path has spaces."""
    other = key_file.with_name("my key; rm")
    key_file.rename(other)
    other.chmod(0o644)
    assert f"chmod 600 '{other}'" in _refusal(other)


def test_links_are_refused(key_file: Path, tmp_path: Path) -> None:
    """A symbolic link is refused, dangling or not; a linked directory above is fine."""
    (tmp_path / "link").symlink_to(key_file)
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder").symlink_to(tmp_path)
    assert "is a symbolic link; give the path" in _refusal(tmp_path / "link")
    assert "is a symbolic link" in _refusal(tmp_path / "dangling")
    assert FileKeyProvider(tmp_path / "folder" / "signing.key").get_key_pair() == PAIR


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A directory, a FIFO without a writer, a socket and a device are refused at once."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path, tmp_path / "fifo", tmp_path / "socket", Path("/dev/null")):
            assert "is not a regular file" in _refusal(path)


def _status(*, mode: int = stat.S_IFREG | 0o600, owner: int = 0, size: int = 119) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, owner, 0, size, 0, 0, 0))


def test_owners() -> None:
    """The process's own files and root's are read; another user's are refused by number."""
    mine = os.geteuid()
    assert _file_fault("k", _status(owner=mine)) is None
    assert _file_fault("k", _status(owner=0)) is None
    fault = _file_fault("k", _status(owner=mine + 1))
    assert fault is not None
    assert f"belongs to user {mine + 1}" in fault
    assert f"chown {mine} k" in fault


def test_oversize_is_refused(key_file: Path) -> None:
    """More than a key can be is not read, also when the size is only known by reading."""
    key_file.write_bytes(b"x" * (KEY_FILE_BYTES_MAX + 1))
    assert f"is larger than {KEY_FILE_BYTES_MAX} bytes" in _refusal(key_file)
    assert _file_fault("k", _status(size=KEY_FILE_BYTES_MAX)) is None


def test_missing_files_say_what_makes_one(tmp_path: Path) -> None:
    """The path and the command are in the message."""
    assert _refusal(tmp_path / "no.key") == (
        f"{tmp_path}/no.key does not exist; `tally keygen` makes a key"
    )
    assert "`tally keygen --out home`" in _refusal("home/signing.key")
    assert "`tally keygen` makes" in _refusal("signing.key")
    assert "could not be opened: Not a directory" in _refusal("/dev/null/key")
    with pytest.raises(KeyFileError, match=r"no\.key does not exist$"):
        read_key_file(tmp_path / "no.key", made_by=None)


@pytest.mark.parametrize("path", ["", "a\0b", "\ud800", "a\nb", "n" * 5000])
def test_impossible_paths(path: str) -> None:
    """A path that no file can have is a refusal of one line."""
    assert _refusal(path)


RSA = rsa.generate_private_key(65537, 2048).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the key is empty"),
        (PAIR.public_key.encode(), "a public key where a private key is wanted"),
        (RSA, "an RSA key, where a PKCS#8 PEM of an Ed25519 private key is wanted"),
        (PAIR.private_key.encode() * 2, "2 PEM blocks"),
        (PAIR.private_key.encode()[:-30], "a damaged or unknown key"),
        (BODY.encode(), "not PEM"),
        (b"\xff" * 40, "not PEM"),
    ],
)
def test_other_content_is_named(key_file: Path, content: bytes, message: str) -> None:
    """What is no Ed25519 key is named beside the path, and never shown."""
    key_file.write_bytes(content)
    text = _refusal(key_file)
    assert text.startswith(f"{key_file}: ")
    assert message in text


@pytest.mark.parametrize(
    "text",
    [
        PAIR.private_key,
        PAIR.private_key.replace("\n", "\\n"),
        BODY,
        "u" + b64u_encode(bytes(range(32))),
        bytes(range(32)).hex(),
        f"0x{bytes(range(32)).hex()}",
        base64.b64encode(bytes(range(32))).decode(),
        f" {BODY}\n",
    ],
)
def test_a_key_in_place_of_its_path_is_not_echoed(text: str) -> None:
    """Who gives the key itself is told so; neither message nor traceback repeats it."""
    for read in (FileKeyProvider, read_key_file):
        with pytest.raises(KeyFileError, match="a key itself") as caught:
            read(text)
        secret = text.strip().splitlines()[text.startswith("-----") and "\n" in text]
        assert secret not in everything_shown_by(caught.value)


def test_a_path_that_looks_like_a_key_is_read(key_file: Path, place: Path) -> None:
    """A file may be called anything: what is there is opened."""
    for name in ("ab" * 32, "u" + "a" * 43):
        key_file.rename(place / name)
        key_file = place / name
        assert FileKeyProvider(name).get_key_pair() == PAIR
        assert FileKeyProvider(place / name).get_key_pair() == PAIR


def test_read_key_file_yields_any_content(key_file: Path) -> None:
    """Other kinds of secret go through the same door."""
    key_file.write_bytes(b"\x00secret")
    assert read_key_file(key_file) == b"\x00secret"


def test_no_descriptor_is_left_open(key_file: Path, tmp_path: Path) -> None:
    """Success and each refusal close what they opened."""
    before = len(os.listdir("/dev/fd"))
    FileKeyProvider(key_file)
    _refusal(tmp_path)
    key_file.chmod(0o644)
    _refusal(key_file)
    assert len(os.listdir("/dev/fd")) == before


def test_provider_hides_the_private_key(key_file: Path) -> None:
    """repr shows path and public key only, and pickling refuses."""
    provider = FileKeyProvider(key_file)
    assert str(key_file) in repr(provider)
    assert "did:key:z6Mk" in repr(provider)
    assert BODY not in repr(provider)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(provider)
