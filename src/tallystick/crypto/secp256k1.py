# SPDX-License-Identifier: Apache-2.0
"""Signatures over secp256k1 as Ethereum takes them, from what a KMS gives.

A KMS answers with DER and either of two values of `s`. Ethereum wants the lower one (EIP-2) and
one bit that says which of two public keys signed. That bit is never computed from whether `s` was
flipped: both are tried, and the one that gives back the key counts.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from functools import cache
from types import ModuleType
from typing import Any, Final, Literal, Self, cast

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.errors import (
    KeyFormatError,
    MissingExtraError,
    SignatureFormatError,
    how_to_install,
)
from tallystick.limits import KEY_FILE_BYTES_MAX

# The order of the group, and the highest `s` of EIP-2.
ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
S_MAX: Final = ORDER // 2

# SEQUENCE { SEQUENCE { OID id-ecPublicKey, OID secp256k1 }, BIT STRING 0x04 ‖ x ‖ y }
_SPKI: Final = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200") + b"\x04"
# DER OID of the curve, as PKCS#11 and SPKI spell it.
CURVE_OID: Final = bytes.fromhex("06052b8104000a")
_PEM: Final = (
    rb"\s*-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{118,124})\r?\n"
    rb"-----END PUBLIC KEY-----\s*"
)
_NOT_A_KEY: Final = "no private key of secp256k1: wanted are 32 bytes below its order"
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


class EvmSignature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature with low `s`, and the bit that makes its public key recoverable."""

    r: int
    s: int
    y_parity: Literal[0, 1]

    @property
    def v(self) -> int:
        """27 or 28, as `ecrecover` takes it."""
        return 27 + self.y_parity

    def to_bytes(self) -> bytes:
        """Return 65 bytes: r, s and v."""
        return self.r.to_bytes(32, "big") + self.s.to_bytes(32, "big") + bytes((self.v,))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the signature of 65 bytes; high `s` is refused, as OpenZeppelin refuses it."""
        if len(data) != 65:
            raise SignatureFormatError(f"{len(data)} bytes, where r, s and v have 65")
        r, s, v = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:64], "big"), data[64]
        if not 1 <= r < ORDER:
            raise SignatureFormatError("r is not between 1 and the order of the group")
        if not 1 <= s <= S_MAX:
            raise SignatureFormatError("s is zero, or above half the order of the group (EIP-2)")
        if v not in (27, 28):
            raise SignatureFormatError(f"v is {v}, where 27 or 28 is wanted")
        return cls(r=r, s=s, y_parity=cast("Literal[0, 1]", v - 27))


def read_der(der: bytes) -> tuple[int, int]:
    """Return r and s of a DER `ECDSA-Sig-Value` in its one form; nothing may follow."""
    if len(der) < 8 or len(der) > 72:
        raise SignatureFormatError(f"{len(der)} bytes, where a DER signature has 8 to 72")
    if der[0] != 0x30 or der[1] != len(der) - 2:
        raise SignatureFormatError("no DER sequence of this length")
    r, after = _der_integer(der, 2)
    s, after = _der_integer(der, after)
    if after != len(der):
        raise SignatureFormatError("something follows the two numbers")
    return r, s


def _der_integer(der: bytes, at: int) -> tuple[int, int]:
    if len(der) < at + 3 or der[at] != 0x02:
        raise SignatureFormatError(f"no DER integer at byte {at}")
    size, begin = der[at + 1], at + 2
    body = der[begin : begin + size]
    if not 1 <= size <= 33 or len(body) != size:
        raise SignatureFormatError(f"the integer at byte {at} is cut off, or has a wrong length")
    if body[0] & 0x80:
        raise SignatureFormatError(f"the integer at byte {at} is negative")
    if size > 1 and body[0] == 0 and not body[1] & 0x80:
        raise SignatureFormatError(f"the integer at byte {at} has a zero too many in front")
    return in_order(int.from_bytes(body, "big")), begin + size


def read_raw(raw: bytes) -> tuple[int, int]:
    """Return r and s of 64 bytes, as PKCS#11 and JOSE (`ES256K`) write them."""
    if len(raw) != 64:
        raise SignatureFormatError(f"{len(raw)} bytes, where r and s have 64")
    return in_order(int.from_bytes(raw[:32], "big")), in_order(int.from_bytes(raw[32:], "big"))


def in_order(number: int) -> int:
    """Return a number that r or s can be; refuse all others."""
    if not 1 <= number < ORDER:
        raise SignatureFormatError("r or s is not between 1 and the order of the group")
    return number


def low_s(s: int) -> int:
    """Return whichever of `s` and its twin EIP-2 takes."""
    return ORDER - s if s > S_MAX else s


def recover(digest: bytes, signature: EvmSignature) -> bytes | None:
    """Return the 64 bytes of the one public key that fits, or None where none does."""
    if len(digest) != 32:
        raise SignatureFormatError(f"a digest of {len(digest)} bytes, where 32 are wanted")
    compact = signature.to_bytes()[:64] + bytes((signature.y_parity,))
    library = _library()  # without it nothing was checked, which is not the same as "no"
    try:
        found = library.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception:  # noqa: BLE001  # the library raises Exception itself, for no point of the curve
        return None
    return cast("bytes", found.format(compressed=False)[1:])


def signature_by(public_key: bytes, digest: bytes, r: int, s: int) -> EvmSignature | None:
    """Return the signature with low `s` and the bit that gives this key, or None: not its own."""
    low = low_s(in_order(s))
    parities: tuple[Literal[0, 1], ...] = (0, 1)
    for parity in parities:
        signature = EvmSignature(r=in_order(r), s=low, y_parity=parity)
        if recover(digest, signature) == public_key:
            return signature
    return None


def recovered_address(digest: bytes, signature: EvmSignature) -> str | None:
    """Return the checksummed address whose key made a signature, or None where no key fits."""
    public_key = recover(digest, signature)
    return None if public_key is None else address_of(public_key)


def sign_digest(secret: bytes, digest: bytes) -> EvmSignature:
    """Sign with a private key that this process holds; the nonce is that of RFC 6979."""
    key = _private_key(secret)
    del secret  # out of the frame that a traceback shows
    if key is None:
        raise KeyFormatError(_NOT_A_KEY)
    signed = key.sign_recoverable(digest, hasher=None)
    r, s, bit = int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big"), signed[64]
    return EvmSignature(r=r, s=low_s(s), y_parity=cast("Literal[0, 1]", bit ^ (s > S_MAX)))


def public_key_of(secret: bytes) -> bytes:
    """Return the 64 bytes of the public half of a private key."""
    key = _private_key(secret)
    del secret  # out of the frame that a traceback shows
    if key is None:
        raise KeyFormatError(_NOT_A_KEY)
    return cast("bytes", key.public_key.format(compressed=False)[1:])


def _private_key(secret: bytes) -> Any:
    if len(secret) == 32 and 1 <= int.from_bytes(secret, "big") < ORDER:
        return _library().PrivateKey(secret)
    return None


def sound_point(public_key: bytes) -> bytes:
    """Return 64 bytes x and y that are a point of the curve; refuse all others."""
    if len(public_key) == 64:
        try:
            _library().PublicKey(b"\x04" + public_key)
        except ValueError:
            pass
        else:
            return public_key
    raise KeyFormatError("no point of secp256k1")


def read_public_key(key: bytes | str) -> bytes:
    """Return the 64 bytes of a public key from SPKI, as DER or PEM, with an uncompressed point."""
    data = key.encode("utf-8", "replace") if isinstance(key, str) else key
    if len(data) > KEY_FILE_BYTES_MAX:
        raise KeyFormatError(f"larger than {KEY_FILE_BYTES_MAX} bytes; a public key is smaller")
    pem = re.fullmatch(_PEM, data)
    if pem is not None:
        lines = pem[1].replace(b"\r", b"").replace(b"\n", b"")
        try:
            data = b64decode(lines, validate=True)
        except binascii.Error:
            data = b""
    if not data.startswith(_SPKI) or len(data) != len(_SPKI) + 64:
        raise KeyFormatError("no public key of secp256k1 (SPKI with an uncompressed point)")
    return sound_point(data[len(_SPKI) :])


def write_public_key(public_key: bytes) -> str:
    """Return the SPKI PEM of 64 bytes."""
    text = b64encode(_SPKI + public_key).decode("ascii")
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


def address_of(public_key: bytes) -> str:
    """Return the checksummed address of 64 bytes of public key."""
    return checksum_address(keccak256(public_key)[12:])


def checksum_address(address: bytes) -> str:
    """Return an address with the upper and lower case of EIP-55."""
    digits = address.hex()
    if len(digits) != 40:
        raise KeyFormatError(f"{len(address)} bytes, where an address has 20")
    marks = keccak256(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit
        for digit, mark in zip(digits, marks, strict=False)
    )


def read_address(text: str) -> bytes:
    """Return the 20 bytes of an address; its case is a checksum, unless all of it is lower."""
    if not _ADDRESS.fullmatch(text):
        raise KeyFormatError("no address: wanted are 0x and 40 hexadecimal digits")
    address = bytes.fromhex(text[2:])
    if text != text.lower() and text != checksum_address(address):
        raise KeyFormatError(
            "the address has a typing error: the case of its letters does not fit (EIP-55)"
        )
    return address


@cache
def _library() -> ModuleType:
    try:
        import coincurve  # 30 ms, and few need it
    except ImportError:
        raise MissingExtraError(f"coincurve is not installed; {how_to_install('evm')}") from None
    return coincurve
