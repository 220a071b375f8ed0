# SPDX-License-Identifier: Apache-2.0
"""EVM keys on a PKCS#11 token: pairs on secp256k1, signing digests with `CKM_ECDSA`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from tallystick.crypto.secp256k1 import CURVE_OID, sound_point
from tallystick.errors import KeyFormatError
from tallystick.keys.evm_remote import RemoteEvmSigner, sound_raw
from tallystick.keys.pkcs11 import (
    FAULTS,
    PIN_VARIABLE,
    Token,
    is_function,
    load_module,
    read_pin,
)
from tallystick.keys.remote import Fault, Line, NamedKey, Retry, Unusable, fault_of, vendor

# CKA_EC_POINT as tokens spell it: in a DER octet string, or bare; uncompressed both times.
_POINT_HEADS: Final = (b"\x04\x41\x04", b"\x04")

_NO_ECDSA: Final = Fault("the token does not do CKM_ECDSA")
_FAULTS: Final = FAULTS | {
    "DataLenRange": Fault("the token does not sign digests of 32 bytes with this key"),
    "FunctionNotSupported": _NO_ECDSA,
    "MechanismInvalid": _NO_ECDSA,
    "NoSuchKey": Fault("the token has no elliptic curve key pair of this label"),
}


class Pkcs11EvmSigner(RemoteEvmSigner):
    """Signs statements with a secp256k1 key pair on a PKCS#11 token.

    Module, labels and PIN are as for `Pkcs11Signer`: the private key must be one that never
    leaves the token, and a wrong PIN is given once.
    """

    __slots__ = ("_token", "key_label", "token_label")

    def __init__(
        self,
        module: str | os.PathLike[str],
        token_label: str,
        key_label: str,
        *,
        address: str | None = None,
        pin: Callable[[], str] | None = None,
        pin_variable: str = PIN_VARIABLE,
        retry: Retry | None = None,
    ) -> None:
        """Load the module; the token is opened when it is first needed."""
        if not is_function(pin):
            del pin  # perhaps the PIN itself
            raise TypeError("pin is a function that returns the PIN; or use pin_variable")
        super().__init__(Line(f"token {token_label!r}", _fault, retry or Retry()), address)
        self.token_label = token_label
        self.key_label = key_label
        library = self._line.ask("module", lambda: load_module(os.fspath(module)))
        self._token = Token(library, token_label, pin or (lambda: read_pin(pin_variable)), "EC")

    def close(self) -> None:
        """Log out and close the session; signing again would open another."""
        self._token.close()

    def _request_key(self) -> NamedKey:
        curve, point = self._token.use(lambda token: _public_half(token, self.key_label))
        if curve != CURVE_OID:
            raise Unusable("the key is on another curve than secp256k1")
        for head in _POINT_HEADS:
            if point[: len(head)] == head and len(point) == len(head) + 64:
                try:
                    return NamedKey(self.key_label, sound_point(point[len(head) :]))
                except KeyFormatError as error:
                    raise Unusable(f"the public key is unusable: {error}") from None
        raise Unusable("the public key is no uncompressed point of secp256k1")

    def _request_signature(self, digest: bytes, key: NamedKey) -> tuple[int, int]:
        mechanism = vendor("pkcs11", "pkcs11").Mechanism.ECDSA
        return self._token.use(
            lambda token: sound_raw(
                bytes(token.private_key(key.name).sign(digest, mechanism=mechanism))
            )
        )


def _public_half(token: Token, label: str) -> tuple[bytes, bytes]:
    token.look_again(label)
    token.private_key(label)  # refuses a key that can leave the token
    key = token.find(label, "PUBLIC_KEY")
    attribute = vendor("pkcs11", "pkcs11").Attribute
    return bytes(key[attribute.EC_PARAMS]), bytes(key[attribute.EC_POINT])


def _fault(error: Exception) -> Fault:
    return fault_of(error, _FAULTS)
