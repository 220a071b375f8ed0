# SPDX-License-Identifier: Apache-2.0
"""EVM keys of this process: new ones, and the signer that uses them."""

from __future__ import annotations

import os
from collections.abc import Callable

from tallystick.crypto.secp256k1 import (
    ORDER,
    EvmSignature,
    address_of,
    public_key_of,
    sign_digest,
)
from tallystick.errors import KeyFormatError
from tallystick.model.evm_statement import EvmStatement, digest_of


def generate_evm_secret(*, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Make a private key from the operating system's randomness."""
    secret = entropy(32)
    while not 1 <= int.from_bytes(secret, "big") < ORDER:  # once in 2^128
        secret = entropy(32)
    return secret


class LocalEvmSigner:
    """Signs statements with a private key that this process holds."""

    __slots__ = ("_public_key", "_secret")

    def __init__(self, secret: bytes) -> None:
        """Take 32 bytes; refuse what is no key."""
        try:
            self._public_key = public_key_of(secret)
        except KeyFormatError as error:
            reason = str(error)
        else:
            self._secret = secret
            return
        del secret  # out of the frame that a traceback shows
        raise KeyFormatError(reason)

    def sign(self, statement: EvmStatement, /) -> EvmSignature:
        """Return the signature over a statement."""
        return sign_digest(self._secret, digest_of(statement))

    def get_public_key(self) -> bytes:
        """Return the 64 bytes x and y of the public key."""
        return self._public_key

    def get_address(self) -> str:
        """Return the checksummed address of the key."""
        return address_of(self._public_key)

    def __repr__(self) -> str:
        found = getattr(self, "_public_key", None)  # None while __init__ refuses
        return f"{type(self).__name__}({None if found is None else address_of(found)!r})"
