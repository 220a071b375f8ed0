# SPDX-License-Identifier: Apache-2.0
"""A key pair that the caller already has, where a provider is wanted."""

from __future__ import annotations

from tallystick.crypto.ed25519 import KeyPair


class InMemoryKeyProvider:
    """Yields the key pair that it was given."""

    __slots__ = ("_key_pair",)

    def __init__(self, key_pair: KeyPair) -> None:
        """Keep the pair; nothing is read or made."""
        if not isinstance(key_pair, KeyPair):
            raise TypeError("InMemoryKeyProvider takes a KeyPair: see KeyPair.from_private_pem")
        self._key_pair = key_pair

    def get_key_pair(self) -> KeyPair:
        """Return the key pair."""
        return self._key_pair

    def __repr__(self) -> str:
        pair = getattr(self, "_key_pair", None)  # None while __init__ refuses
        return f"InMemoryKeyProvider({pair!r})"
