# SPDX-License-Identifier: Apache-2.0
"""One key source after the other: who signs now, and who follows when chains are handed over."""

from __future__ import annotations

import threading

from tallystick.daemon.key_source import DOES_IT_SIGN, KeySource, SignAll, SignerKeySource
from tallystick.ports import Signer


class KeySuccession:
    """A key source and the signer that is to follow it, which may be named while it signs."""

    def __init__(self, keys: KeySource, successor: Signer | None = None) -> None:
        self._keys = keys
        self._successor = successor
        # Who takes over at `install`, whoever is named meanwhile; None is what the source made.
        self._next: Signer | None = None
        # A reload names on another thread than a rotation installs.
        self._naming = threading.Lock()

    @property
    def verification_method(self) -> str:
        """What proofs name as their key, before and after."""
        return self._keys.verification_method

    def take_successor(self, successor: Signer | None) -> None:
        """Name another one to follow, or nobody; a rotation that runs goes on to who is staged."""
        with self._naming:
            self._successor = successor

    def init(self) -> None:
        """Get the key ready that signs now."""
        self._keys.init()

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature over `message`."""
        return self._keys.sign(message)

    @property
    def sign_all(self) -> SignAll | None:
        """What signs many at once, where the key that signs now can."""
        return self._keys.sign_all

    def get_public_key(self) -> bytes:
        """Return the 32 raw bytes of the public key."""
        return self._keys.get_public_key()

    def stage(self) -> Signer:
        """Return the successor when it has signed once, or what the source itself makes."""
        successor, self._next = self._successor, None
        if successor is None:
            return self._keys.stage()
        self._keys.discard()
        successor.sign(DOES_IT_SIGN)
        self._next = successor
        return successor

    def staged(self) -> Signer | None:
        """Return what the source has staged itself, or else the successor."""
        made = self._keys.staged()
        self._next = self._successor if made is None else None
        return made or self._next

    def install(self) -> None:
        """Sign with what is staged; the settings have to name a signer from the next start on."""
        successor, self._next = self._next, None
        if successor is None:
            self._keys.install()
            return
        before = self._keys
        self._keys = SignerKeySource(successor, before.verification_method)
        with self._naming:
            if self._successor is successor:
                self._successor = None
        before.teardown()

    def discard(self) -> bool:
        """Forget what is staged; a successor stays named."""
        self._next = None
        return self._keys.discard()

    def teardown(self) -> None:
        """Put the key away that signs now."""
        self._keys.teardown()
