# SPDX-License-Identifier: Apache-2.0
"""EVM keys at Google Cloud KMS: `EC_SIGN_SECP256K1_SHA256`, protection level HSM.

The algorithm's name says SHA-256, but what Cloud KMS signs is the 32 bytes of the request's digest
field, whichever hash made them: Keccak-256 for a chain, SHA-256 for a manifest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tallystick.keys.evm_remote import RemoteEvmSigner, sound_der, sound_evm_key
from tallystick.keys.gcp import KEY_VERSION, CloudKMSClient, google_fault, refuse_damaged
from tallystick.keys.remote import TIMEOUT_SECONDS, Line, NamedKey, Retry, Unusable, vendor

_ALGORITHM: Final = "EC_SIGN_SECP256K1_SHA256"


class CloudKMSEvmSigner(RemoteEvmSigner):
    """Signs statements with one version of an `EC_SIGN_SECP256K1_SHA256` key.

    `name` is the version's full name, as for `CloudKMSSigner`. Checksums are sent, asked for and
    checked in both directions.
    """

    __slots__ = ("_client", "_crc32c", "_timeout", "name")

    def __init__(
        self,
        name: str,
        *,
        address: str | None = None,
        client: CloudKMSClient | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet."""
        if not KEY_VERSION.fullmatch(name):
            raise ValueError(
                "name is no key version: wanted is projects/…/locations/…/keyRings/…/cryptoKeys/…/"
                "cryptoKeyVersions/1"
            )
        super().__init__(Line("Cloud KMS", google_fault, retry or Retry()), address)
        self.name = name
        self._timeout = timeout
        self._crc32c: Callable[[bytes], int] = vendor("google_crc32c", "gcp").value
        self._client: CloudKMSClient = (
            self._line.ask(
                "client", vendor("google.cloud.kms_v1", "gcp").KeyManagementServiceClient
            )
            if client is None
            else client
        )

    def _request_key(self) -> NamedKey:
        answer = self._client.get_public_key(
            request={"name": self.name}, retry=None, timeout=self._timeout
        )
        if answer.name != self.name:
            raise Unusable("its answer is about another key version than the one asked for")
        if getattr(answer.algorithm, "name", None) != _ALGORITHM:  # a plain number if too new
            raise Unusable(f"the key is no {_ALGORITHM}")
        refuse_damaged(self._crc32c(answer.pem.encode()), answer.pem_crc32c, "public key")
        return NamedKey(self.name, sound_evm_key(answer.pem))

    def _request_signature(self, digest: bytes, key: NamedKey) -> tuple[int, int]:
        answer = self._client.asymmetric_sign(
            request={
                "name": self.name,
                "digest": {"sha256": digest},  # 32 bytes, whose hash function nobody asks for
                "digest_crc32c": self._crc32c(digest),
            },
            retry=None,
            timeout=self._timeout,
        )
        if answer.name != key.name:
            raise Unusable("another key version signed than the one asked for")
        if not answer.verified_digest_crc32c:
            raise Unusable("the digest was damaged on its way", is_transient=True)
        refuse_damaged(self._crc32c(answer.signature), answer.signature_crc32c, "signature")
        return sound_der(answer.signature)
