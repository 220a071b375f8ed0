# SPDX-License-Identifier: Apache-2.0
"""What the rooms above the core ask of the world, as protocols with few methods."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tallystick.crypto.ed25519 import KeyPair


@runtime_checkable
class Signer(Protocol):
    """Makes Ed25519 signatures; the key may live in a KMS or an HSM."""

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the RFC 8032 signature over `message`."""
        ...

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        ...


@runtime_checkable
class KeyProvider(Protocol):
    """Yields key bytes to this process; a signer does not."""

    def get_key_pair(self) -> KeyPair:
        """Return the key pair, or raise an error that says what to do."""
        ...
