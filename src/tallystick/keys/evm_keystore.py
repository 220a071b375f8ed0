# SPDX-License-Identifier: Apache-2.0
"""EVM keys in encrypted files: web3 keystores of version 3, as geth and others write them.

A file of others is read strictly where it matters, and its costs are bounded: it must neither eat
all memory nor be so cheap that its password can be guessed. The password comes from a file, a
descriptor or a prompt, never from the command line, where every user of the machine reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import address_of, public_key_of, read_address
from tallystick.crypto.strict import parse_json
from tallystick.durable.file import FilePath, read_descriptor, shown
from tallystick.errors import (
    KeyFileError,
    KeyFormatError,
    KeyMismatchError,
    LimitError,
    MalformedInput,
)
from tallystick.keys.evm_local import LocalEvmSigner
from tallystick.keys.file import read_key_file
from tallystick.limits import (
    KEYSTORE_BYTES_MAX,
    KEYSTORE_PBKDF2_ROUNDS_MAX,
    KEYSTORE_PBKDF2_ROUNDS_MIN,
    KEYSTORE_SCRYPT_BYTES_MAX,
    KEYSTORE_SCRYPT_COST_MIN,
    KEYSTORE_SCRYPT_WORK_MAX,
    PASSWORD_BYTES_MAX,
)

# What geth writes by default: 256 MiB and a second for one guess.
SCRYPT_N: Final = 1 << 18
_SCRYPT_R: Final = 8
_SCRYPT_BESIDE_BYTES: Final = 1 << 24

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_CRYPTO: Final = frozenset({"cipher", "cipherparams", "ciphertext", "kdf", "kdfparams", "mac"})
_SCRYPT: Final = frozenset({"dklen", "n", "p", "r", "salt"})
_PBKDF2: Final = frozenset({"c", "dklen", "prf", "salt"})


class KeystoreSigner(LocalEvmSigner):
    """Signs statements with the key in a keystore file, which is read and opened once, here.

    `address` is the one that is expected. The address that the file names must be the key's.
    """

    __slots__ = ("path",)

    def __init__(
        self, path: FilePath, password: Callable[[], bytes], *, address: str | None = None
    ) -> None:
        """Read the key, or raise a KeyFileError, or a KeyMismatchError for another address."""
        if not _is_function(password):
            del password  # perhaps the password itself
            raise TypeError("password is a function that returns the password's bytes")
        self.path = os.fspath(path)
        data = read_key_file(path, made_by="tally keygen --evm")
        try:
            super().__init__(open_keystore(data, password()))
            is_other = address is not None and read_address(address) != read_address(
                self.get_address()
            )
        except KeyFormatError as error:
            reason = str(error)
        else:
            if is_other:
                raise KeyMismatchError(
                    f"{shown(self.path)}: its key has the address {self.get_address()}, and "
                    f"{address} is expected"
                )
            return
        raise KeyFileError(f"{shown(self.path)}: {reason}")


def open_keystore(data: bytes, password: bytes) -> bytes:
    """Return the private key in a keystore, or raise a KeyFormatError; no reason quotes it."""
    store = _members_of(data)
    secrets = store.get("crypto", store.get("Crypto"))
    if not isinstance(secrets, dict) or secrets.keys() != _CRYPTO:
        raise KeyFormatError("the keystore's member crypto is not that of version 3")
    if secrets["cipher"] != "aes-128-ctr":
        raise KeyFormatError("the keystore's cipher is not aes-128-ctr")
    parameters = secrets["cipherparams"]
    if not isinstance(parameters, dict) or parameters.keys() != {"iv"}:
        raise KeyFormatError("the keystore's cipherparams are not those of aes-128-ctr")
    iv = _bytes(parameters["iv"], 16, "iv")
    hidden, mac = _bytes(secrets["ciphertext"], 32, "ciphertext"), _bytes(secrets["mac"], 32, "mac")
    derived = _derive(secrets["kdf"], secrets["kdfparams"], password)
    if not hmac.compare_digest(keccak256(derived[16:32] + hidden), mac):
        raise KeyFormatError("the password is wrong, or the keystore was changed")
    secret = _aes_ctr(derived[:16], iv, hidden)
    _check_address(store.get("address"), secret)
    return secret


def write_keystore(
    secret: bytes,
    password: bytes,
    *,
    n: int = SCRYPT_N,
    entropy: Callable[[int], bytes] = os.urandom,
) -> str:
    """Return the text of a keystore for a private key, encrypted under a password."""
    if not password:
        raise KeyFormatError("the password is empty")
    salt, iv, name = entropy(32), entropy(16), entropy(16)
    parameters = {"dklen": 32, "n": n, "p": 1, "r": _SCRYPT_R, "salt": salt.hex()}
    derived = _derive("scrypt", parameters, password)
    hidden = _aes_ctr(derived[:16], iv, secret)
    number = bytearray(name)
    number[6], number[8] = number[6] & 0x0F | 0x40, number[8] & 0x3F | 0x80  # UUID, version 4
    digits = number.hex()
    store = {
        "address": address_of(public_key_of(secret))[2:].lower(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": hidden.hex(),
            "kdf": "scrypt",
            "kdfparams": parameters,
            "mac": keccak256(derived[16:32] + hidden).hex(),
        },
        "id": "-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))),
        "version": 3,
    }
    return json.dumps(store, indent=2) + "\n"


def password_from_file(path: FilePath) -> bytes:
    """Return the password in a file that only its owner reads, without a newline at its end."""
    return _password(read_key_file(path, made_by=None), shown(path))


def password_from_descriptor(descriptor: int) -> bytes:
    """Return the password that a descriptor yields until its end."""
    try:
        return _password(read_descriptor(descriptor, PASSWORD_BYTES_MAX), f"fd {descriptor}")
    except OSError as error:
        raise KeyFileError(f"fd {descriptor} could not be read: {error.strerror}") from None
    except LimitError as error:
        raise KeyFileError(f"fd {descriptor} {error}; a password is shorter") from None


def _is_function(password: object) -> bool:
    return callable(password)


def _password(data: bytes, place: str) -> bytes:
    if len(data) > PASSWORD_BYTES_MAX:
        raise KeyFileError(f"{place} has over {PASSWORD_BYTES_MAX} bytes; a password is shorter")
    password = data.removesuffix(b"\n").removesuffix(b"\r")
    if not password:
        raise KeyFileError(f"{place} holds no password")
    return password


def _members_of(data: bytes) -> dict[str, Any]:
    try:
        store = parse_json(data, KEYSTORE_BYTES_MAX)
    except MalformedInput as fault:
        raise KeyFormatError(f"no keystore: {fault.code}") from None
    if not isinstance(store, dict) or type(store.get("version")) is not int:
        raise KeyFormatError("no keystore: it has no version")
    if store["version"] != 3:
        raise KeyFormatError("a keystore of another version than 3")
    return store


def _derive(kdf: object, parameters: object, password: bytes) -> bytes:
    if kdf == "scrypt" and isinstance(parameters, dict) and parameters.keys() == _SCRYPT:
        return _scrypt(parameters, password)
    if kdf == "pbkdf2" and isinstance(parameters, dict) and parameters.keys() == _PBKDF2:
        return _pbkdf2(parameters, password)
    raise KeyFormatError("the keystore's kdf is neither scrypt nor pbkdf2, or lacks parameters")


def _scrypt(parameters: Mapping[str, Any], password: bytes) -> bytes:
    n, r, p = (_number(parameters, name) for name in ("n", "r", "p"))
    if n & (n - 1) or n < 2:
        raise KeyFormatError("the keystore's n is no power of two")
    # Besides its n blocks of 128 r bytes scrypt needs p of them, and a few more.
    is_large = 128 * n * r > KEYSTORE_SCRYPT_BYTES_MAX or 128 * r * (p + 4) > _SCRYPT_BESIDE_BYTES
    if is_large or n * r * p > KEYSTORE_SCRYPT_WORK_MAX:
        raise KeyFormatError("the keystore wants more memory or work than we give")
    if n * r < KEYSTORE_SCRYPT_COST_MIN:
        raise KeyFormatError("the keystore's scrypt is too cheap to protect anything")
    salt = _salt(parameters)
    if n >= 1 << (16 * r):  # OpenSSL refuses it, as RFC 7914 does; web3.py has written n=2^18, r=1
        from Crypto.Protocol.KDF import scrypt  # comes with eth-hash[pycryptodome]

        return bytes(scrypt(password, salt, 32, N=n, r=r, p=p))  # type: ignore[arg-type]  # bytes do
    return hashlib.scrypt(
        password,
        salt=salt,
        n=n,
        r=r,
        p=p,
        maxmem=KEYSTORE_SCRYPT_BYTES_MAX + _SCRYPT_BESIDE_BYTES,
        dklen=32,
    )


def _pbkdf2(parameters: Mapping[str, Any], password: bytes) -> bytes:
    rounds = _number(parameters, "c")
    if parameters["prf"] != "hmac-sha256":
        raise KeyFormatError("the keystore's prf is not hmac-sha256")
    if not KEYSTORE_PBKDF2_ROUNDS_MIN <= rounds <= KEYSTORE_PBKDF2_ROUNDS_MAX:
        raise KeyFormatError(
            f"the keystore's c is not {KEYSTORE_PBKDF2_ROUNDS_MIN} to {KEYSTORE_PBKDF2_ROUNDS_MAX}"
        )
    return hashlib.pbkdf2_hmac("sha256", password, _salt(parameters), rounds, 32)


def _number(parameters: Mapping[str, Any], name: str) -> int:
    found = parameters[name]
    if type(found) is not int or found < 1:
        raise KeyFormatError(f"the keystore's {name} is no positive number")
    return found


def _salt(parameters: Mapping[str, Any]) -> bytes:
    if _number(parameters, "dklen") != 32:
        raise KeyFormatError("the keystore's dklen is not 32")
    return _bytes(parameters["salt"], None, "salt")


def _bytes(found: object, size: int | None, name: str) -> bytes:
    if not isinstance(found, str) or not _HEX.fullmatch(found):
        raise KeyFormatError(f"the keystore's {name} is not hexadecimal")
    data = bytes.fromhex(found)
    if not data or (size is not None and len(data) != size):
        raise KeyFormatError(f"the keystore's {name} has {len(data)} bytes")
    return data


def _aes_ctr(key: bytes, iv: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _check_address(told: object, secret: bytes) -> None:
    if told is None:
        return  # the file is private about it: the caller's own expectation counts
    text = told if isinstance(told, str) else ""
    try:
        wanted = read_address("0x" + text.removeprefix("0x").lower())
    except KeyFormatError:
        raise KeyFormatError("the keystore's address is none") from None
    if wanted != read_address(address_of(public_key_of(secret))):
        raise KeyFormatError("the keystore names another address than that of its key")
