# SPDX-License-Identifier: Apache-2.0
"""What the rooms above the core ask of the world, as protocols with few methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from tallystick.crypto.ed25519 import KeyPair
from tallystick.model.receipt import Receipt


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
class LeasedSigner(Signer, Protocol):
    """A short-lived key that a root key hands the chain over to; `close` destroys it."""

    @property
    def root(self) -> Signer:
        """The signer that signs the hand-over, and nothing else."""
        ...

    def close(self) -> None:
        """Destroy the key: `sign` raises from now on."""
        ...


@runtime_checkable
class KeyProvider(Protocol):
    """Yields key bytes to this process; a signer does not."""

    def get_key_pair(self) -> KeyPair:
        """Return the key pair, or raise an error that says what to do."""
        ...


@runtime_checkable
class Emitter(Protocol):
    """Delivers signed receipts. It never builds, signs, links or changes one."""

    def emit(self, receipt: Receipt, /) -> None:
        """Return when the receipt is delivered (or kept, by contract of the class); else raise."""
        ...


@runtime_checkable
class Wal(Protocol):
    """Keeps receipts that are signed and not yet acknowledged, in order."""

    def append(self, receipt: Receipt, /) -> None:
        """Return when the receipt is kept as safely as this log can; a known id changes nothing."""
        ...

    def remove(self, receipt_id: str, /) -> None:
        """Forget a receipt that was acknowledged; an unknown id changes nothing."""
        ...

    def pending(self) -> Iterator[Receipt]:
        """Yield what is not yet acknowledged, oldest first."""
        ...

    def __len__(self) -> int:
        """Return how many receipts are pending."""
        ...

    def close(self) -> None:
        """Let go of files and locks."""
        ...
