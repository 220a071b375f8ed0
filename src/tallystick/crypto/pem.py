# SPDX-License-Identifier: Apache-2.0
"""The two PEM texts that we read and write: PKCS#8 (RFC 8410) and SPKI, for Ed25519 alone.

One block, LF or CRLF, the one base64 line that 48 or 44 bytes have. `read_seed` and `read_public`
return either the 32 raw bytes or a `str` that says what was given instead: the caller raises, so
that no traceback runs through a frame that holds a private key. Reasons never quote the text.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from tallystick.limits import KEY_FILE_BYTES_MAX

# SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING 32 } }
_PKCS8: Final = bytes.fromhex("302e020100300506032b657004220420")
# SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING 32 }
_SPKI: Final = bytes.fromhex("302a300506032b6570032100")

# Texts, not compiled: most processes use one of the four, and only at their start.
_PRIVATE: Final = (
    rb"\s*-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/]{64})\r?\n-----END PRIVATE KEY-----\s*"
)
_PUBLIC: Final = (
    rb"\s*-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/]{59}=)\r?\n-----END PUBLIC KEY-----\s*"
)
_BEGIN: Final = rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,60})-----"
_BLOCK: Final = rb"-----BEGIN [A-Z ]+-----([^-]*)-----END [A-Z ]+-----"

_MAKE: Final = "`tally keygen` or `openssl genpkey -algorithm ed25519` makes one of the right form"
_REWRITE: Final = "`openssl pkey` rewrites it"

# What PEM labels say by themselves.
_LABELS: Final = {
    b"OPENSSH PRIVATE KEY": f"an OpenSSH private key ({_MAKE})",
    b"RSA PRIVATE KEY": "an RSA key",
    b"RSA PUBLIC KEY": "an RSA key",
    b"EC PRIVATE KEY": "an EC key",
    b"EC PARAMETERS": "an EC key",
    b"DSA PRIVATE KEY": "a DSA key",
    b"SSH2 PUBLIC KEY": "an SSH public key",
    b"CERTIFICATE": "a certificate",
    b"CERTIFICATE REQUEST": "a certificate request",
    b"PGP PRIVATE KEY BLOCK": "an OpenPGP key",
    b"PGP PUBLIC KEY BLOCK": "an OpenPGP key",
}
# What `cryptography` calls the keys that it reads; looked up by class name.
_CLASSES: Final = {
    "RSA": "an RSA key",
    "EllipticCurve": "an EC key",
    "EC": "an EC key",
    "DSA": "a DSA key",
    "DH": "a Diffie-Hellman key",
    "X25519": "an X25519 key (for encryption, not for signatures)",
    "X448": "an X448 key",
    "Ed448": "an Ed448 key",
}


def write_private(seed: bytes) -> str:
    """Return the PKCS#8 PEM of a 32-byte seed."""
    return _write("PRIVATE KEY", _PKCS8 + seed)


def write_public(raw: bytes) -> str:
    """Return the SPKI PEM of 32 raw public key bytes."""
    return _write("PUBLIC KEY", _SPKI + raw)


def read_seed(text: bytes) -> bytes | str:
    """Return the 32-byte seed of a PKCS#8 PEM, or what the text is instead."""
    found = re.fullmatch(_PRIVATE, text) if len(text) <= KEY_FILE_BYTES_MAX else None
    if found is not None:
        der = base64.b64decode(found[1])
        if der.startswith(_PKCS8):
            return der[len(_PKCS8) :]
    return _describe(text, private=True)


def read_public(text: bytes) -> bytes | str:
    """Return the 32 raw bytes of an SPKI PEM, or what the text is instead."""
    found = re.fullmatch(_PUBLIC, text) if len(text) <= KEY_FILE_BYTES_MAX else None
    if found is not None:
        der = base64.b64decode(found[1])
        # The last character has two unused bits: encoding again shows whether they are zero.
        if der.startswith(_SPKI) and base64.b64encode(der) == found[1]:
            return der[len(_SPKI) :]
    return _describe(text, private=False)


def _write(label: str, der: bytes) -> str:
    body = base64.b64encode(der).decode("ascii")
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def _describe(text: bytes, *, private: bool) -> str:
    """Say what a refused text is, in words that fit after the name of its source."""
    wanted = "PKCS#8 PEM of an Ed25519 private key" if private else "PEM of an Ed25519 public key"
    if len(text) > KEY_FILE_BYTES_MAX:
        return f"larger than {KEY_FILE_BYTES_MAX} bytes, where a {wanted} is wanted"
    labels = re.findall(_BEGIN, text)
    if not labels:
        return f"{_without_block(text)}, where a {wanted} is wanted"
    if len(labels) > 1:
        return f"{len(labels)} PEM blocks, where one {wanted} is wanted"
    what = _labelled(labels[0], text, private=private)
    return what if " is wanted" in what else f"{what}, where a {wanted} is wanted"


def _without_block(text: bytes) -> str:
    if not text.strip():
        return "empty"
    if text.lstrip().startswith((b"ssh-", b"ecdsa-", b"sk-")):
        return "an OpenSSH public key"
    if text.startswith(b"\x30"):
        return "not PEM (perhaps DER: `openssl pkey -inform DER` converts it)"
    return "not PEM"


def _labelled(label: bytes, text: bytes, *, private: bool) -> str:
    if label == b"ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in text:
        return "an encrypted private key (`openssl pkey` removes the passphrase)"
    if label in _LABELS:
        return _LABELS[label]
    if private and label == b"PUBLIC KEY":
        return "a public key where a private key is wanted"
    if not private and label == b"PRIVATE KEY":
        return "a private key where a public key is wanted"
    if label not in {b"PRIVATE KEY", b"PUBLIC KEY"}:
        return "a PEM block of another kind"
    if private and _is_version_2(text):
        return f"a PKCS#8 key of version 2, where version 1 is wanted ({_REWRITE})"
    return _by_class(text, private=private)


def _is_version_2(text: bytes) -> bool:
    """Tell RFC 5958's version with a public key inside, which our other reader refuses too."""
    block = re.search(_BLOCK, text)
    try:
        der = base64.b64decode(block[1]) if block else b""
    except binascii.Error:
        return False
    return der[:1] == b"\x30" and b"\x02\x01\x01\x30" in der[2:8]


def _by_class(text: bytes, *, private: bool) -> str:
    """Ask `cryptography` what the key is: only ever reached for a refusal, hence imported here."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key: object = (
            serialization.load_pem_private_key(text, password=None)
            if private
            else serialization.load_pem_public_key(text)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "a damaged or unknown key"
    name = type(key).__name__.lstrip("_").removesuffix("PrivateKey").removesuffix("PublicKey")
    if name == "Ed25519":
        return f"an Ed25519 key whose text is not in the one usual form ({_REWRITE})"
    return _CLASSES.get(name, "a key of another kind")
