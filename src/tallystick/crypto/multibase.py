# SPDX-License-Identifier: Apache-2.0
"""Strict base64, base64url, base58btc and the `did:key` form of an Ed25519 public key.

Every decoder accepts exactly one text for each value: what decodes also encodes back to itself.
Refusals never quote the text, because some callers decode private keys with it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from tallystick.errors import EncodingError, KeyFormatError
from tallystick.limits import BASE58_CHARS_MAX

_B64U: Final = r"[A-Za-z0-9_-]*"
# The last characters whose unused low bits are zero, by how many characters the last group has.
_B64U_LAST: Final = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}

_B58_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_B58_VALUE: Final = {char: value for value, char in enumerate(_B58_ALPHABET)}

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")

_DID_KEY: Final = "did:key:"
_ED25519: Final = b"\xed\x01"
# The other kinds that did:key documents show, to say what was given instead.
_OTHER_KINDS: Final = {
    b"\xec\x01": "an X25519 key",
    b"\xe7\x01": "a secp256k1 key",
    b"\xeb\x01": "a BLS12-381 key",
    b"\x80\x24": "a P-256 key",
    b"\x81\x24": "a P-384 key",
    b"\x82\x24": "a P-521 key",
    b"\x85\x24": "an RSA key",
    b"\x80\x26": "an Ed25519 private key",
}


def b64u_encode(data: bytes) -> str:
    """Return base64url without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode("ascii")


def b64u_decode(text: str) -> bytes:
    """Return the bytes of unpadded base64url; refuse every second spelling of them."""
    if re.fullmatch(_B64U, text) is None:
        raise EncodingError("not base64url: only A–Z, a–z, 0–9, '-' and '_', without padding")
    rest = len(text) % 4
    if rest == 1:
        raise EncodingError(f"not base64url: no bytes have a form of {len(text)} characters")
    if rest and text[-1] not in _B64U_LAST[rest]:
        raise EncodingError("not canonical base64url: unused bits of the last character are set")
    return base64.urlsafe_b64decode(text + "==")


def b64_encode(data: bytes) -> str:
    """Return standard base64 with its padding, in one line."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64_decode(text: str) -> bytes:
    """Return the bytes of padded standard base64; refuse every second spelling of them."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error, or a character beyond ASCII
        raise EncodingError("not base64: only A–Z, a–z, 0–9, '+' and '/', with padding") from None
    if b64_encode(data) != text:
        raise EncodingError("not canonical base64: unused bits of the last character are set")
    return data


def b58_encode(data: bytes) -> str:
    """Return base58btc: one `1` for each leading zero byte, then the number."""
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_B58_ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def b58_decode(text: str) -> bytes:
    """Return the bytes of base58btc; bounded, since the work grows with the square of the text."""
    if len(text) > BASE58_CHARS_MAX:
        raise EncodingError(f"base58btc text is longer than {BASE58_CHARS_MAX} characters")
    number = 0
    for char in text:
        value = _B58_VALUE.get(char)
        if value is None:
            raise EncodingError("not base58btc: a character outside of its alphabet")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def did_key_encode(raw: bytes) -> str:
    """Return `did:key:z6Mk…` of 32 raw Ed25519 public key bytes."""
    if len(raw) != 32:
        raise KeyFormatError(f"an Ed25519 public key has 32 bytes, not {len(raw)}")
    return f"{_DID_KEY}z{b58_encode(_ED25519 + raw)}"


def did_key_decode(text: str) -> bytes:
    """Return the 32 raw bytes of an Ed25519 `did:key`; the point is not judged here."""
    if not text.startswith(_DID_KEY):
        raise KeyFormatError("not a did:key: it begins with did:key:z6Mk")
    if "#" in text or "?" in text or "/" in text:
        raise KeyFormatError("a DID URL where a plain did:key is wanted: leave out what follows it")
    if not text.startswith(f"{_DID_KEY}z"):
        raise KeyFormatError("did:key is not in base58btc: after did:key: comes a z")
    try:
        data = b58_decode(text[len(_DID_KEY) + 1 :])
    except EncodingError as error:
        raise KeyFormatError(f"not a did:key: {error}") from error
    if not data.startswith(_ED25519):
        kind = _OTHER_KINDS.get(data[:2])
        if kind is None:
            raise KeyFormatError(
                "did:key is misspelled, cut off, or of another kind: that of an Ed25519 public key "
                f"begins with {_DID_KEY}z6Mk"
            )
        raise KeyFormatError(f"did:key holds {kind} where an Ed25519 public key is wanted")
    raw = data[len(_ED25519) :]
    if len(raw) != 32:
        raise KeyFormatError(f"did:key holds {len(raw)} bytes; an Ed25519 public key has 32")
    if did_key_encode(raw) != text:
        raise KeyFormatError("did:key is not in canonical form")
    return raw
