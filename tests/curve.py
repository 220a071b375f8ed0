# SPDX-License-Identifier: Apache-2.0
"""secp256k1 as a KMS has it: keys and signatures of `cryptography`, not of what is tested."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from eth_account import Account

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class CurveKey:
    """A private key, and what others say its address is."""

    def __init__(self, secret: int) -> None:
        self.secret = secret.to_bytes(32, "big")
        self._key = ec.derive_private_key(secret, ec.SECP256K1())
        self.address: str = Account.from_key(self.secret).address

    @property
    def numbers(self) -> tuple[bytes, bytes]:
        """The public point, x and y."""
        point = self._key.public_key().public_numbers()
        return point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")

    @property
    def spki(self) -> bytes:
        """The public key as SPKI DER."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def pem(self) -> str:
        """The public key as SPKI PEM."""
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode("ascii")
        )

    def sign(self, digest: bytes, *, high: bool | None = None) -> bytes:
        """Return a DER signature over 32 bytes; with high or low s where that is asked for."""
        der = self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        if high is None:
            return der
        r, s = decode_dss_signature(der)
        return encode_dss_signature(r, ORDER - s if (s > ORDER // 2) is not high else s)

    def sign_raw(self, digest: bytes) -> bytes:
        """Return r and s as 64 bytes."""
        r, s = decode_dss_signature(self.sign(digest))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
