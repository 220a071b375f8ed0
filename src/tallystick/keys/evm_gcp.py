# SPDX-License-Identifier: Apache-2.0
"""EVM keys at Google Cloud KMS: `EC_SIGN_SECP256K1_SHA256`, protection level HSM.

The algorithm's name says SHA-256, but what Cloud KMS signs is the 32 bytes of the request's digest
field, whichever hash made them: Keccak-256 for a chain, SHA-256 for a manifest.
"""

from __future__ import annotations

from typing import Final

from tallystick.keys.evm_remote import RemoteEvmSigner, sound_der, sound_evm_key
from tallystick.keys.gcp import (
    CloudKMSClient,
    check_key_version,
    crc32c,
    google_fault,
    kms_client,
    refuse_damaged,
    sound_pem,
)
from tallystick.keys.remote import TIMEOUT_SECONDS, Line, NamedKey, Retry, Unusable

_ALGORITHM: Final = "EC_SIGN_SECP256K1_SHA256"


class CloudKMSEvmSigner(RemoteEvmSigner):
    """Signs statements with one version of an `EC_SIGN_SECP256K1_SHA256` key.

    `name` is the version's full name; it and `endpoint_url` are as for `CloudKMSSigner`.
    Checksums are sent, asked for and checked in both directions.
    """

    __slots__ = ("_client", "_crc32c", "_timeout", "name")

    def __init__(
        self,
        name: str,
        *,
        address: str | None = None,
        client: CloudKMSClient | None = None,
        endpoint_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet."""
        check_key_version(name)
        super().__init__(Line("Cloud KMS", google_fault, retry or Retry()), address)
        self.name = name
        self._timeout = timeout
        self._crc32c = crc32c()
        self._client = kms_client(self._line, client, endpoint_url)

    def _request_key(self) -> NamedKey:
        answer = self._client.get_public_key(
            request={"name": self.name}, retry=None, timeout=self._timeout
        )
        return NamedKey(self.name, sound_evm_key(sound_pem(answer, self.name, _ALGORITHM)))

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
