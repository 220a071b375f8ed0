# SPDX-License-Identifier: Apache-2.0
"""EVM keys at AWS KMS: `ECC_SECG_P256K1`, signing digests with `ECDSA_SHA_256`.

The role needs `kms:Sign` and `kms:GetPublicKey`. With `MessageType` DIGEST the 32 bytes are signed
as they are, whichever hash made them.
"""

from __future__ import annotations

from typing import Final

from tallystick.keys.aws import (
    KMSClient,
    aws_fault,
    check_key_id,
    client_of,
    key_name,
    refuse_other_key,
)
from tallystick.keys.evm_remote import RemoteEvmSigner, sound_der, sound_evm_key
from tallystick.keys.remote import Line, NamedKey, Retry

_ALGORITHM: Final = "ECDSA_SHA_256"
_KEY_SPEC: Final = "ECC_SECG_P256K1"


class KMSEvmSigner(RemoteEvmSigner):
    """Signs statements with an `ECC_SECG_P256K1` key in AWS KMS.

    `key_id`, `region`, `endpoint_url`, `timeout` and `client` are as for `KMSSigner`.
    """

    __slots__ = ("_client", "key_id")

    def __init__(
        self,
        key_id: str,
        *,
        address: str | None = None,
        client: KMSClient | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet."""
        check_key_id(key_id)
        super().__init__(Line("AWS KMS", aws_fault, retry or Retry()), address)
        self.key_id = key_id
        self._client: KMSClient = client_of(
            "kms", client, self._line, region=region, endpoint_url=endpoint_url, timeout=timeout
        )

    def _request_key(self) -> NamedKey:
        answer = self._client.get_public_key(KeyId=self.key_id)
        name = key_name(answer, self.key_id, _KEY_SPEC, _ALGORITHM)
        return NamedKey(name, sound_evm_key(answer.get("PublicKey")))

    def _request_signature(self, digest: bytes, key: NamedKey) -> tuple[int, int]:
        # By the name that the caller gave: policies may allow the alias and not the key.
        answer = self._client.sign(
            KeyId=self.key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm=_ALGORITHM
        )
        refuse_other_key(answer, self.key_id, key, _ALGORITHM)
        return sound_der(answer.get("Signature"))
