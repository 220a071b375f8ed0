# SPDX-License-Identifier: Apache-2.0
"""Sealing to one X25519 key: RFC 9180 base mode, single shot, empty info and AAD.

The suite is DHKEM(X25519, HKDF-SHA256) 0x0020, HKDF-SHA256 0x0001, AES-256-GCM 0x0002. The work
is done by `cryptography` (imported where it is used, for the cold start's sake), which draws the
ephemeral key itself: whoever chose that key could read the message, so it is no argument here.
What this module adds is the judgement of public keys.
"""

from __future__ import annotations

from typing import Final

from tallystick.errors import DecryptionError, KeyFormatError

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16

_P: Final = 2**255 - 19

# The u-coordinates of order 1, 2, 4 and 8 on the curve and on its twist. With any of them the
# shared secret is zero for every private key, so anybody could read (or make) the message.
_LOW_ORDER: Final = frozenset(
    {
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _P - 1,
    }
)


def public_key_weakness(public_key: bytes) -> str | None:
    """Say what is wrong with 32 bytes as an X25519 public key: None when nothing is.

    RFC 7748 reads the top bit and values from 2^255-19 on as other spellings of a key. HPKE hashes
    the bytes of the key, so that a message sealed to such a spelling would open for nobody.
    """
    encoded = int.from_bytes(public_key, "little")
    if (encoded & (2**255 - 1)) % _P in _LOW_ORDER:
        return "small order"
    if encoded >= _P:
        return "not canonical"
    return None


def forensic_public_key(private: bytes) -> bytes:
    """Return the 32 bytes of the X25519 public key that belongs to a private key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    _check_size(private, "private")
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def seal(public_key: bytes, plaintext: bytes) -> tuple[bytes, bytes]:
    """Encrypt to a public key: return the encapsulated key and the ciphertext with its tag."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    _check_size(public_key, "public")
    weakness = public_key_weakness(public_key)
    if weakness is not None:
        raise KeyFormatError(f"X25519 public key refused: {weakness}")
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    try:
        sealed = suite.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key))
    except ValueError:  # a shared secret of zeros; the check above leaves no way here
        raise KeyFormatError("X25519 public key refused: small order") from None
    return sealed[:KEY_BYTES], sealed[KEY_BYTES:]


def open_(private_key: bytes, enc: bytes, ct: bytes) -> bytes:
    """Decrypt what `seal` returned, or raise `DecryptionError`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    _check_size(private_key, "private")
    if len(enc) != KEY_BYTES:
        raise DecryptionError(f"the encapsulated key has {len(enc)} bytes, not {KEY_BYTES}")
    if len(ct) < TAG_BYTES:
        raise DecryptionError(f"the ciphertext has {len(ct)} bytes, its tag alone {TAG_BYTES}")
    weakness = public_key_weakness(enc)
    if weakness is not None:
        raise DecryptionError(f"encapsulated key refused: {weakness}")
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    try:
        return suite.decrypt(enc + ct, X25519PrivateKey.from_private_bytes(private_key))
    except (InvalidTag, ValueError):
        raise DecryptionError("it is not sealed to this key, or it was altered") from None


def _check_size(key: bytes, kind: str) -> None:
    if len(key) != KEY_BYTES:
        raise KeyFormatError(f"an X25519 {kind} key has {KEY_BYTES} bytes, not {len(key)}")
