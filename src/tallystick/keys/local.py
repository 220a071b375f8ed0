# SPDX-License-Identifier: Apache-2.0
"""Keys of this process: new ones, and the signer that uses them."""

from __future__ import annotations

import os
from collections.abc import Callable

from tallystick.crypto.ed25519 import KeyPair


def generate_key_pair(*, entropy: Callable[[int], bytes] = os.urandom) -> KeyPair:
    """Make a key pair from 32 bytes of the operating system's randomness."""
    return KeyPair.from_seed(entropy(32))


class LocalSigner:
    """Signs with a private key that this process holds."""

    __slots__ = ("_key",)

    def __init__(self, key_pair: KeyPair) -> None:
        """Take the parsed key out of the pair, once."""
        if not isinstance(key_pair, KeyPair):
            raise TypeError("LocalSigner takes a KeyPair: see KeyPair.from_private_pem")
        self._key = key_pair.signing_key()

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        return self._key.sign(message)

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        return self._key.public_key

    def __repr__(self) -> str:
        key = getattr(self, "_key", None)  # None while __init__ refuses its argument
        return f"LocalSigner({key!r})"
