# SPDX-License-Identifier: Apache-2.0
"""Keystores of version 3: those of others are read, ours are read by others, costs are bounded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from eth_keyfile import keyfile
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curve import CurveKey
from tests.leaks import everything_shown_by
from tests.systems.evm_material import MESSAGE, signs_everything

from tallystick.errors import KeyFileError, KeyFormatError, KeyMismatchError
from tallystick.keys.evm_keystore import (
    KeystoreSigner,
    open_keystore,
    password_from_descriptor,
    password_from_file,
    write_keystore,
)
from tallystick.limits import PASSWORD_BYTES_MAX

KEY = CurveKey(0x5EED)
PASSWORD = b"correct horse"
LIGHT = 1 << 12  # scrypt's n, so that a test takes milliseconds

# The examples of the format's definition (Web3 Secret Storage).
SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
EXAMPLE_PBKDF2 = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}
EXAMPLE_SCRYPT = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


def text(store: Any) -> bytes:
    return json.dumps(store).encode()


def light(**members: Any) -> dict[str, Any]:
    """Return a keystore of ours as a dict, with members of `crypto` changed."""
    store: dict[str, Any] = json.loads(write_keystore(KEY.secret, PASSWORD, n=LIGHT))
    store["crypto"] |= members
    return store


@pytest.mark.parametrize("example", [EXAMPLE_PBKDF2, EXAMPLE_SCRYPT])
def test_the_examples_of_the_format(example: Any) -> None:
    """Both derivations open to the key that the definition prints."""
    assert open_keystore(text(example), b"testpassword").hex() == SECRET


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_what_another_library_writes(kdf: Literal["scrypt", "pbkdf2"]) -> None:
    """eth-keyfile's files are read, and ours by eth-keyfile."""
    rounds = 1 << 15 if kdf == "scrypt" else 100_000
    theirs = keyfile.create_keyfile_json(KEY.secret, PASSWORD, kdf=kdf, iterations=rounds)
    assert open_keystore(text(theirs), PASSWORD) == KEY.secret
    ours = json.loads(write_keystore(KEY.secret, PASSWORD, n=LIGHT))
    assert keyfile.decode_keyfile_json(ours, PASSWORD) == KEY.secret
    assert ours["address"] == KEY.address[2:].lower()


def test_what_is_written_is_hidden() -> None:
    """Neither key nor password is in the file; two files of one key share no secret part."""
    one, other = (write_keystore(KEY.secret, PASSWORD, n=LIGHT) for _ in range(2))
    assert KEY.secret.hex() not in one
    assert PASSWORD.decode() not in one
    assert json.loads(one)["crypto"]["ciphertext"] != json.loads(other)["crypto"]["ciphertext"]
    with pytest.raises(KeyFormatError, match="password is empty"):
        write_keystore(KEY.secret, b"", n=LIGHT)


def test_a_wrong_password() -> None:
    """It is refused, and shown nowhere."""
    with pytest.raises(KeyFormatError, match="password is wrong") as caught:
        open_keystore(text(light()), b"wrong")
    assert KEY.secret.hex() not in everything_shown_by(caught.value)


def _scrypt(**changed: Any) -> dict[str, Any]:
    return light()["crypto"]["kdfparams"] | changed  # type: ignore[no-any-return]  # from JSON


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"mac": "00" * 32}, "password is wrong"),
        ({"ciphertext": "00" * 32}, "password is wrong"),
        ({"ciphertext": "00" * 31}, "31 bytes"),
        ({"ciphertext": "zz"}, "not hexadecimal"),
        ({"mac": None}, "not hexadecimal"),
        ({"cipher": "aes-256-ctr"}, "not aes-128-ctr"),
        ({"cipherparams": {}}, "cipherparams"),
        ({"cipherparams": {"iv": "00"}}, "iv has 1 bytes"),
        ({"more": 1}, "member crypto"),
        ({"kdf": "argon2"}, "neither scrypt nor pbkdf2"),
        ({"kdfparams": []}, "neither scrypt nor pbkdf2"),
        ({"kdfparams": _scrypt(n=1 << 20)}, "more memory or work"),
        ({"kdfparams": _scrypt(n=1 << 18, p=100)}, "more memory or work"),
        ({"kdfparams": _scrypt(n=2, r=1 << 20)}, "more memory or work"),
        ({"kdfparams": _scrypt(n=1 << 9)}, "too cheap"),
        ({"kdfparams": _scrypt(n=1000)}, "power of two"),
        ({"kdfparams": _scrypt(n=True)}, "no positive number"),
        ({"kdfparams": _scrypt(r=0)}, "no positive number"),
        ({"kdfparams": _scrypt(dklen=16)}, "dklen"),
        ({"kdfparams": _scrypt(salt="")}, "salt has 0 bytes"),
        ({"kdfparams": _scrypt(more=1)}, "neither scrypt"),
    ],
)
def test_files_that_are_refused(members: dict[str, Any], words: str) -> None:
    """Changed, incomplete, too costly and too cheap: each is named."""
    with pytest.raises(KeyFormatError, match=words):
        open_keystore(text(light(**members)), PASSWORD)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"c": 99_999}, "c is not 100000"),
        ({"c": 5_000_000}, "c is not 100000"),
        ({"prf": "hmac-sha1"}, "prf"),
    ],
)
def test_rounds_of_pbkdf2(changed: dict[str, Any], words: str) -> None:
    """The other derivation is bounded on both sides, too."""
    parameters = EXAMPLE_PBKDF2["crypto"]["kdfparams"] | changed  # type: ignore[index]
    with pytest.raises(KeyFormatError, match=words):
        open_keystore(text(light(kdf="pbkdf2", kdfparams=parameters)), PASSWORD)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"version":3}',
        b'{"version":4,"crypto":{}}',
        b'{"version":"3"}',
        b"x" * 20_000,
    ],
)
def test_what_is_no_keystore(data: bytes) -> None:
    """Other JSON, other versions and rubbish."""
    with pytest.raises(KeyFormatError):
        open_keystore(data, PASSWORD)


def test_the_address_in_the_file() -> None:
    """It may be missing or have 0x; where it is another key's, the file is refused."""
    store = light()
    for told in (KEY.address, KEY.address.lower(), None):
        assert open_keystore(text(store | {"address": told}), PASSWORD) == KEY.secret
    for odd, words in ((CurveKey(7).address, "another address"), (5, "none"), ("0x12", "none")):
        with pytest.raises(KeyFormatError, match=words):
            open_keystore(text(store | {"address": odd}), PASSWORD)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["cipher", "cipherparams", "ciphertext", "kdf", "kdfparams", "mac"]), JSON)
def test_any_member_of_any_type(member: str, value: Any) -> None:
    """Whatever stands in a member, the file is refused by name; nothing else is raised."""
    store: dict[str, Any] = json.loads(json.dumps(EXAMPLE_SCRYPT))
    store["crypto"]["kdfparams"] |= {"n": LIGHT, "r": 8, "p": 1}
    store["crypto"][member] = value
    with pytest.raises(KeyFormatError):
        open_keystore(text(store), PASSWORD)


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "evm.json"
    path.write_text(write_keystore(KEY.secret, PASSWORD, n=LIGHT))
    path.chmod(0o600)
    return path


def test_a_signer_from_a_file(keystore: Path) -> None:
    """The file signs all four kinds of statement; neither secret is in its repr."""
    signer = KeystoreSigner(keystore, lambda: PASSWORD, address=KEY.address)
    signs_everything(signer, KEY.address)
    assert KEY.secret.hex() not in repr(signer)


def test_files_that_others_can_read(keystore: Path) -> None:
    """A keystore open to others is refused: its password can be guessed at leisure."""
    keystore.chmod(0o644)
    with pytest.raises(KeyFileError, match="open to group or others"):
        KeystoreSigner(keystore, lambda: PASSWORD)


def test_files_that_are_absent(keystore: Path) -> None:
    """Who has no keystore is told what makes one; a password's file is only absent."""
    missing = keystore.parent / "absent"
    with pytest.raises(KeyFileError, match="`tally keygen --evm` makes a key"):
        KeystoreSigner(missing, lambda: PASSWORD)
    with pytest.raises(KeyFileError, match=r"absent does not exist$"):
        password_from_file(missing)


def test_signers_that_are_refused(keystore: Path) -> None:
    """Another address, a wrong password, and a password that is no function."""
    with pytest.raises(KeyMismatchError, match="is expected"):
        KeystoreSigner(keystore, lambda: PASSWORD, address=CurveKey(7).address)
    with pytest.raises(KeyFileError, match="password is wrong") as caught:
        KeystoreSigner(keystore, lambda: b"wrong-7781")
    with pytest.raises(TypeError, match="a function") as wrong:
        KeystoreSigner(keystore, PASSWORD)  # type: ignore[arg-type]  # the test's point
    shown = everything_shown_by(caught.value) + everything_shown_by(wrong.value)
    assert KEY.secret.hex() not in shown
    assert PASSWORD.decode() not in shown
    assert KeystoreSigner(keystore, lambda: PASSWORD).sign(MESSAGE).v in (27, 28)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_passwords_from_files(tmp_path: Path, end: str) -> None:
    """One newline at the end is none of the password's; only the owner may read the file."""
    path = tmp_path / "password"
    path.write_bytes(PASSWORD + end.encode())
    path.chmod(0o600)
    assert password_from_file(path) == PASSWORD
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="open to group or others"):
        password_from_file(path)


def piped(data: bytes) -> int:
    ours, theirs = os.pipe()
    os.write(theirs, data)
    os.close(theirs)
    return ours


def test_passwords_from_descriptors(tmp_path: Path) -> None:
    """A pipe is read to its end; empty, too long and closed ones are refused."""
    descriptor = piped(PASSWORD + b"\n")
    assert password_from_descriptor(descriptor) == PASSWORD
    os.close(descriptor)
    makers: tuple[tuple[Callable[[], int], str], ...] = (
        (lambda: piped(b"\n"), "no password"),
        (lambda: piped(b"x" * (PASSWORD_BYTES_MAX + 1)), "shorter"),
        (lambda: 9999, "could not be read"),
    )
    for make, words in makers:
        descriptor = make()
        with pytest.raises(KeyFileError, match=words):
            password_from_descriptor(descriptor)
        if descriptor != 9999:
            os.close(descriptor)
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    with pytest.raises(KeyFileError, match="no password"):
        password_from_file(empty)
