# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032, pure): keys, signatures, and the faults of both that libsodium may not name.

Signing and checking are libsodium's. What is ours reads encodings only: which bytes are no
canonical point, which points have small order, which S is too large. No key here is random: the
`keys` room brings the entropy. Objects that hold a private key do not show, copy or pickle it.
"""

from __future__ import annotations

import hashlib
import sys
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Never, Self, SupportsIndex

from nacl._sodium import ffi
from nacl._sodium import lib as sodium
from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign_seed_keypair,
)

from tallystick.crypto import pem
from tallystick.crypto.multibase import did_key_decode, did_key_encode
from tallystick.errors import KeyFormatError, SigningError
from tallystick.limits import KEY_CACHE_ENTRIES_MAX, KEY_FILE_BYTES_MAX

_NO_BUFFER: Final = ffi.NULL
# libsodium writes all of what is allocated for it.
_allocate: Final = ffi.new_allocator(should_clear_after_alloc=False)
_BYTES: Final = ffi.typeof("unsigned char[]")

# The field prime, the group order and the curve constant of RFC 8032, §5.1.
_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_Y_MASK: Final = 2**255 - 1

NOT_ON_CURVE: Final = "not on the curve"

# y of the eight points whose order divides 8: the identity, order 2, order 4 (two points) and
# order 8 (four points, y and -y). `test_ed25519.py` derives them from the curve equation.
_Y_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _Y_ORDER_8, _P - _Y_ORDER_8})


class _Secret:
    """What every holder of a private key refuses: to be changed, dumped or pickled."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> Never:
        raise TypeError(f"{type(self).__name__} holds a private key and is not pickled")

    def __getstate__(self) -> Never:
        raise TypeError(f"{type(self).__name__} holds a private key and is not dumped")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class SigningKey(_Secret):
    """A private key, ready to sign. Two are equal when their public keys are."""

    __slots__ = ("_secret", "public_key")

    _secret: bytes
    public_key: bytes

    def __init__(self, *, seed: bytes) -> None:
        """Derive the key from its 32-byte seed."""
        fault = _seed_fault(seed)
        if fault is not None:
            del seed  # out of the frame that a traceback shows
            raise KeyFormatError(fault)
        public_key, secret = crypto_sign_seed_keypair(seed)
        object.__setattr__(self, "public_key", public_key)
        object.__setattr__(self, "_secret", secret)

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key of a 32-byte seed."""
        fault = _seed_fault(seed)
        if fault is not None:
            del seed
            raise KeyFormatError(fault)
        return cls(seed=seed)

    @classmethod
    def from_pem(cls, text: str | bytes) -> SigningKey:
        """Return the key of a PKCS#8 PEM; parsed anew at each call."""
        found = pem.read_seed(_bytes(text))
        if isinstance(found, str):
            del text  # out of the frame that a traceback shows
            raise KeyFormatError(f"the key is {found}")
        return cls(seed=found)

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        return _sign(message, self._secret)

    def __repr__(self) -> str:
        raw = getattr(self, "public_key", None)  # None while __init__ refuses its argument
        return f"SigningKey(public_key={raw and did_key_encode(raw)!r})"

    def __eq__(self, other: object) -> bool:
        # The public key alone: no comparison ever touches secret bytes.
        return isinstance(other, SigningKey) and self.public_key == other.public_key

    def __hash__(self) -> int:
        return hash((SigningKey, self.public_key))


class ErasableKey(SigningKey):
    """A private key that can be destroyed; nobody may sign with it at that moment."""

    __slots__ = ()

    @property
    def is_erased(self) -> bool:
        """Whether the key is gone."""
        return not self._secret

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`, or raise where the key is gone."""
        if not self._secret:
            raise SigningError("the key is erased")
        return _sign(message, self._secret)

    def sign_all(self, messages: Sequence[bytes], /) -> list[bytes]:
        """Return the same for several messages."""
        if not self._secret:
            raise SigningError("the key is erased")
        return _sign_all(messages, self._secret)

    def erase(self) -> None:
        """Overwrite the private key where this object holds it, and forget it."""
        secret = self._secret
        object.__setattr__(self, "_secret", b"")
        overwrite(secret)


class KeyPair(_Secret):
    """A private and a public key as PEM texts, in the one form that we write."""

    __slots__ = ("_signing_key", "private_key", "public_key")

    _signing_key: SigningKey
    private_key: str
    public_key: str

    def __init__(self, *, private_key: str, public_key: str) -> None:
        """Read both PEM texts and refuse a pair that does not belong together."""
        seed = pem.read_seed(_bytes(private_key))
        raw = pem.read_public(_bytes(public_key))
        del private_key, public_key  # out of the frame that a traceback shows
        if isinstance(seed, str):
            raise KeyFormatError(f"private_key is {seed}")
        key = SigningKey(seed=seed)
        del seed
        if isinstance(raw, str):
            raise KeyFormatError(f"public_key is {raw}")
        if raw != key.public_key:
            raise KeyFormatError("the public key does not belong to the private key")
        self._fill(key)

    @classmethod
    def from_seed(cls, seed: bytes) -> KeyPair:
        """Return the pair of a 32-byte seed."""
        fault = _seed_fault(seed)
        if fault is not None:
            del seed
            raise KeyFormatError(fault)
        return cls._of(SigningKey(seed=seed))

    @classmethod
    def from_private_pem(cls, text: str | bytes) -> KeyPair:
        """Return the pair of a PKCS#8 PEM."""
        found = pem.read_seed(_bytes(text))
        if isinstance(found, str):
            del text  # out of the frame that a traceback shows
            raise KeyFormatError(f"the key is {found}")
        return cls._of(SigningKey(seed=found))

    def signing_key(self) -> SigningKey:
        """Return the parsed private key."""
        return self._signing_key

    @classmethod
    def _of(cls, key: SigningKey) -> KeyPair:
        pair = cls.__new__(cls)
        pair._fill(key)
        return pair

    def _fill(self, key: SigningKey) -> None:
        object.__setattr__(self, "_signing_key", key)
        object.__setattr__(self, "private_key", pem.write_private(key._secret[:32]))
        object.__setattr__(self, "public_key", pem.write_public(key.public_key))

    def __repr__(self) -> str:
        key = getattr(self, "_signing_key", None)  # None while __init__ refuses its arguments
        return f"KeyPair(public_key={key and did_key_encode(key.public_key)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyPair) and self._signing_key == other._signing_key

    def __hash__(self) -> int:
        return hash((KeyPair, self._signing_key.public_key))


# Owned by `signing_key_from_pem`. Each step on it is one atomic operation: threads may share it.
_parsed: Final[OrderedDict[bytes, SigningKey]] = OrderedDict()


def signing_key_from_pem(text: str | bytes) -> SigningKey:
    """Return the key of a PKCS#8 PEM, remembered by the SHA-256 of its text."""
    data = _bytes(text)
    digest = hashlib.sha256(data).digest()
    key = _parsed.get(digest)
    if key is None:
        found = pem.read_seed(data)
        if isinstance(found, str):
            del text, data  # out of the frame that a traceback shows
            raise KeyFormatError(f"the key is {found}")
        key = _parsed[digest] = SigningKey(seed=found)
        while len(_parsed) > KEY_CACHE_ENTRIES_MAX:
            _parsed.popitem(last=False)
    return key


def private_key_pem(seed: bytes) -> str:
    """Return the PKCS#8 PEM of a 32-byte seed."""
    fault = _seed_fault(seed)
    if fault is not None:
        del seed
        raise KeyFormatError(fault)
    return pem.write_private(seed)


def public_key_pem(raw: bytes) -> str:
    """Return the SPKI PEM of 32 raw public key bytes."""
    if len(raw) != 32:
        raise KeyFormatError(f"an Ed25519 public key has 32 bytes, not {len(raw)}")
    return pem.write_public(raw)


def public_key_from(key: str | bytes) -> bytes:
    """Return 32 raw bytes from raw bytes, PEM or did:key; `key_weakness` judges the point."""
    if isinstance(key, bytes) and len(key) == 32:
        return key
    data = _bytes(key)
    if data.lstrip()[:4] == b"did:" and len(data) <= KEY_FILE_BYTES_MAX:
        return did_key_decode(data.decode("utf-8", "replace").strip())
    found = pem.read_public(data)
    if isinstance(found, str):
        del key, data  # perhaps a private key, given by mistake
        raise KeyFormatError(f"the key is {found}")
    return found


@lru_cache(maxsize=KEY_CACHE_ENTRIES_MAX)
def key_weakness(public_key: bytes) -> str | None:
    """Say why no signature under this key proves anything, or None for a sound key."""
    if len(public_key) != 32:
        return "not 32 bytes"
    y = int.from_bytes(public_key, "little") & _Y_MASK
    if y % _P in _SMALL_ORDER_Y:
        return "small order"  # in any encoding, also in those that are not canonical
    if y >= _P:
        return "not canonical"
    if not _is_on_curve(y):
        return NOT_ON_CURVE
    # libsodium before 1.0.20-stable missed half of these (CVE-2025-69277): hence PyNaCl >= 1.6.2.
    return None if crypto_core_ed25519_is_valid_point(public_key) else "mixed order"


def signature_fault(signature: bytes) -> str | None:
    """Name what makes a signature ambiguous: `length`, `s` (S ≥ L), `r` (R weak), or None."""
    if len(signature) != 64:
        return "length"
    if int.from_bytes(signature[32:], "little") >= _L:
        return "s"
    y = int.from_bytes(signature[:32], "little") & _Y_MASK
    return "r" if y >= _P or y in _SMALL_ORDER_Y else None


def overwrite(secret: bytes) -> None:
    """Overwrite bytes in memory. Only for bytes that nobody else holds: they are meant to be fixed.

    CPython alone lets us; elsewhere this does nothing.
    """
    if sys.implementation.name == "cpython" and len(secret) > 1:  # shorter ones are shared
        from ctypes import memset  # only who erases pays for it

        memset(id(secret) + bytes.__basicsize__ - 1, 0, len(secret))


def _sign(message: bytes, secret: bytes) -> bytes:
    signed = _allocate(_BYTES, 64 + len(message))
    sodium.crypto_sign(signed, _NO_BUFFER, message, len(message), secret)
    signature: bytes = ffi.buffer(signed, 64)[:]
    return signature


def _sign_all(messages: Sequence[bytes], secret: bytes) -> list[bytes]:
    signed = _allocate(_BYTES, 64 + max(map(len, messages), default=0))
    signature = ffi.buffer(signed, 64)
    found = []
    for message in messages:
        sodium.crypto_sign(signed, _NO_BUFFER, message, len(message), secret)
        found.append(signature[:])
    return found


def _seed_fault(seed: bytes) -> str | None:
    return None if len(seed) == 32 else f"a seed is 32 bytes, not {len(seed)}"


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text


def _is_on_curve(y: int) -> bool:
    """Tell whether x² = (y² - 1) / (d·y² + 1) has a root: Euler's criterion."""
    square = y * y % _P
    ratio = (square - 1) * (_D * square + 1) % _P
    return pow(ratio, (_P - 1) // 2, _P) in {0, 1}
