# SPDX-License-Identifier: Apache-2.0
"""What EVM signers far away have in common: the digest is made here, the answer is recovered here.

A service signs 32 bytes. Which bytes, is decided by the statement and nothing else; and whatever
comes back counts only if the public key that it gives back is the pinned one.
"""

from __future__ import annotations

from abc import abstractmethod

from tallystick.crypto.secp256k1 import (
    EvmSignature,
    address_of,
    checksum_address,
    read_address,
    read_der,
    read_public_key,
    read_raw,
    signature_by,
)
from tallystick.errors import KeyFormatError, KeyMismatchError, SignatureFormatError
from tallystick.keys.remote import Line, NamedKey, RemoteKey, Unusable
from tallystick.model.evm_statement import EvmStatement, digest_of


class RemoteEvmSigner(RemoteKey):
    """A signer whose secp256k1 key stays with a service.

    `address` is the one that is expected: a key with another address is refused when it is looked
    up, before anything is signed. Every signature is recovered before it is returned.
    """

    __slots__ = ("_address",)

    def __init__(self, line: Line, address: str | None) -> None:
        """Nothing is asked before it is needed; `warm_up` asks."""
        super().__init__(line)
        self._address = None if address is None else checksum_address(read_address(address))

    def sign(self, statement: EvmStatement, /) -> EvmSignature:
        """Return the signature over a statement, with low `s`, recovered to the pinned key."""
        digest = digest_of(statement)
        key = self._pinned()
        r, s = self._line.ask("signature", lambda: self._request_signature(digest, key))
        signature = signature_by(key.public_key, digest, r, s)
        if signature is None:
            raise self._stranger(key)
        return signature

    def get_address(self) -> str:
        """Return the checksummed address of the key; asks the service once."""
        return address_of(self._pinned().public_key)

    def _approve(self, key: NamedKey) -> None:
        found = address_of(key.public_key)
        if self._address is not None and found != self._address:
            raise KeyMismatchError(
                f"the key {key.name} has the address {found}, and {self._address} is expected"
            )

    @abstractmethod
    def _request_signature(self, digest: bytes, key: NamedKey) -> tuple[int, int]:
        """Ask once for r and s over a digest; raise Unusable, or what the client raises."""


def sound_evm_key(found: object) -> bytes:
    """Return the 64 bytes of a public key from PEM text or SPKI DER."""
    if not isinstance(found, str | bytes):
        raise Unusable("its answer holds no public key")
    try:
        return read_public_key(found)
    except KeyFormatError as error:
        raise Unusable(f"its answer holds no key of secp256k1: {error}") from None


def sound_der(found: object) -> tuple[int, int]:
    """Return r and s of a DER signature."""
    if not isinstance(found, bytes):
        raise Unusable("its answer holds no signature")
    try:
        return read_der(found)
    except SignatureFormatError as error:
        raise Unusable(f"its answer holds no ECDSA signature: {error}") from None


def sound_raw(found: object) -> tuple[int, int]:
    """Return r and s of a signature of 64 bytes."""
    if not isinstance(found, bytes):
        raise Unusable("its answer holds no signature")
    try:
        return read_raw(found)
    except SignatureFormatError as error:
        raise Unusable(f"its answer holds no ECDSA signature: {error}") from None
