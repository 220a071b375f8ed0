# SPDX-License-Identifier: Apache-2.0
"""Forensic keys as text: X25519 keys that open disclosure envelopes.

Written as PEM (PKCS#8 and SPKI). Read as PEM, and in the forms that other tools leave: 32 raw
bytes, 64 hexadecimal digits, multibase `u`, base64. Files are read and written in `keys/file.py`.
No error quotes what it was given.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from typing import Final

from tallystick.crypto.hpke import KEY_BYTES, public_key_weakness
from tallystick.crypto.multibase import b64u_decode
from tallystick.errors import KeyFormatError
from tallystick.model import disclosure
from tallystick.model.disclosure import ForensicKeyPair

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_MULTIBASE: Final = re.compile(r"u[A-Za-z0-9_-]{43}")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_PEM_HEAD: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")

_FORMS: Final = "PEM, 32 raw bytes, 64 hexadecimal digits, multibase u or base64"


def generate_forensic_key_pair() -> ForensicKeyPair:
    """Make a key pair from the randomness of the operating system."""
    return disclosure.generate_forensic_key_pair(os.urandom)


def forensic_key_from(data: bytes) -> bytes:
    """Return the 32 bytes of the X25519 private key that a file or variable holds."""
    text = _text(data)
    if text is None:
        return data
    kind = _pem_kind(text)
    if kind is None:
        return _plain_key(text)
    if kind == "PUBLIC KEY":
        raise KeyFormatError("this is a public key: opening needs the private forensic key")
    return _private_from_pem(text)


def forensic_public_key_from(data: bytes) -> bytes:
    """Return the 32 bytes of the X25519 public key that a file or variable holds."""
    text = _text(data)
    kind = None if text is None else _pem_kind(text)
    if text is None:
        key = data
    elif kind is None:
        key = _plain_key(text)
    elif "PRIVATE KEY" in kind:
        raise KeyFormatError(
            "this is a private key: sealing needs only the public one. Keep it offline"
        )
    else:
        key = _public_from_pem(text)
    weakness = public_key_weakness(key)
    if weakness is not None:
        raise KeyFormatError(f"X25519 public key refused: {weakness}")
    return key


def forensic_key_pem(private_key: bytes) -> str:
    """Return a private key as PKCS#8 PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    _check_size(private_key)
    pem = X25519PrivateKey.from_private_bytes(private_key).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode("ascii")


def forensic_public_key_pem(public_key: bytes) -> str:
    """Return a public key as SPKI PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    _check_size(public_key)
    pem = X25519PublicKey.from_public_bytes(public_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode("ascii")


def _text(data: bytes) -> str | None:
    """Return the text in `data`, or None when it is 32 raw bytes."""
    is_text = data.isascii() and data.decode("ascii").replace("\n", "").isprintable()
    # 32 random bytes are all printable once in 10^13 keys; a cut-off text file is likelier.
    if len(data) == KEY_BYTES and not is_text:
        return None
    if not data.isascii():
        raise KeyFormatError(f"no forensic key: it is given as {_FORMS}")
    return data.decode("ascii").strip()


def _pem_kind(text: str) -> str | None:
    head = _PEM_HEAD.match(text)
    return head.group(1) if head else None


def _plain_key(text: str) -> bytes:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        if _MULTIBASE.fullmatch(text):
            return b64u_decode(text[1:])
        if _BASE64.fullmatch(text) and b64encode(b64decode(text)).decode("ascii") == text:
            return b64decode(text)
    except ValueError:  # set bits after the last byte
        pass
    raise KeyFormatError(f"no forensic key: it is given as {_FORMS}")


def _private_from_pem(text: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode("ascii"), password=None)
    except TypeError:
        raise KeyFormatError("the forensic key is encrypted with a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFormatError("the PEM of the forensic key cannot be read") from None
    if not isinstance(key, X25519PrivateKey):
        raise KeyFormatError(_other_kind(key))
    return key.private_bytes_raw()


def _public_from_pem(text: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        raise KeyFormatError("the PEM of the forensic key cannot be read") from None
    if not isinstance(key, X25519PublicKey):
        raise KeyFormatError(_other_kind(key))
    return key.public_bytes_raw()


def _other_kind(key: object) -> str:
    algorithm = type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")
    return f"a forensic key is X25519, this one is {algorithm}: signing keys open nothing"


def _check_size(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise KeyFormatError(f"an X25519 key has {KEY_BYTES} bytes, not {len(key)}")
