# SPDX-License-Identifier: Apache-2.0
"""EVM keys at Azure Key Vault and Managed HSM: curve P-256K, signing digests with `ES256K`.

Credentials are those of `azure.identity.DefaultAzureCredential`: managed identity, workload
identity, environment, command line. The identity needs `keys/get` and `keys/sign` (the roles Key
Vault Crypto User, or Managed HSM Crypto User).
"""

from __future__ import annotations

import re
from typing import Any, Final, Protocol

from tallystick.crypto.secp256k1 import sound_point
from tallystick.errors import KeyFormatError
from tallystick.keys.evm_remote import RemoteEvmSigner, sound_raw
from tallystick.keys.remote import (
    TIMEOUT_SECONDS,
    Fault,
    Line,
    NamedKey,
    Retry,
    Unusable,
    fault_of,
    vendor,
)

_KEY: Final = re.compile(
    r"(https://[A-Za-z0-9.:-]{1,253})/keys/([A-Za-z0-9-]{1,127})/([0-9a-f]{32})"
)
_ALGORITHM: Final = "ES256K"
_CURVE: Final = "P-256K"
_KEY_TYPES: Final = ("EC", "EC-HSM")

_CREDENTIALS: Final = Fault("the credentials are not accepted")
# What a status of the service means, where it is not "later".
_STATUSES: Final = {
    400: Fault("it does not accept the request; is the key one of another kind?"),
    401: _CREDENTIALS,
    403: Fault(
        "permission denied, or the key is disabled or expired; wanted: keys/get and keys/sign"
    ),
    404: Fault("there is no such key or version"),
}
# Classes of azure.core and azure.identity. The nearest in an exception's ancestry counts.
_FAULTS: Final = {
    "ClientAuthenticationError": _CREDENTIALS,
    "CredentialUnavailableError": Fault("azure.identity finds no credentials"),
    "DecodeError": Fault("its answer is none of the protocol"),
    "DeserializationError": Fault("its answer is none of the protocol"),
    "ServiceRequestError": Fault("it can't be reached", is_transient=True),
    "ServiceResponseError": Fault("the connection broke", is_transient=True),
}


class KeyVaultClient(Protocol):
    """What we ask of an azure.keyvault.keys.KeyClient; a caller may bring one of its own."""

    def get_key(self, name: str, version: str) -> Any:
        """Call Get Key."""
        ...

    def get_cryptography_client(self, key_name: str, *, key_version: str) -> Any:
        """Return the client that calls Sign."""
        ...


class KeyVaultEvmSigner(RemoteEvmSigner):
    """Signs statements with one version of a `P-256K` key in Azure Key Vault or Managed HSM.

    `key_id` is the version's full identifier, https://….vault.azure.net/keys/NAME/VERSION: a
    rotation never changes the key behind it.
    """

    __slots__ = ("_client", "_name", "_signing", "_version", "key_id")

    def __init__(
        self,
        key_id: str,
        *,
        address: str | None = None,
        client: KeyVaultClient | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet."""
        found = _KEY.fullmatch(key_id)
        if found is None:
            raise ValueError(
                "key_id names no key version: wanted is https://….vault.azure.net/keys/NAME/VERSION"
            )
        super().__init__(Line("Azure Key Vault", azure_fault, retry or Retry()), address)
        self.key_id = key_id
        self._name, self._version = found[2], found[3]
        self._client: KeyVaultClient = (
            self._line.ask("client", lambda: _client(found[1], timeout))
            if client is None
            else client
        )
        # Asks for the key by itself, once: made anew for each signature, it would ask each time.
        self._signing: Any = None

    def _request_key(self) -> NamedKey:
        answer = self._client.get_key(self._name, self._version)
        self._refuse_other(answer.id)
        found = answer.key
        if found.kty not in _KEY_TYPES or found.crv != _CURVE:
            raise Unusable(f"the key is none on the curve {_CURVE}")
        x, y = found.x or b"", found.y or b""
        try:
            public_key = sound_point(x.rjust(32, b"\0") + y.rjust(32, b"\0"))
        except KeyFormatError as error:
            raise Unusable(f"its answer holds no key of secp256k1: {error}") from None
        return NamedKey(self.key_id, public_key)

    def _request_signature(self, digest: bytes, key: NamedKey) -> tuple[int, int]:
        del key  # its version stands in every request
        if self._signing is None:
            self._signing = self._client.get_cryptography_client(
                self._name, key_version=self._version
            )
        algorithm = vendor("azure.keyvault.keys.crypto", "azure").SignatureAlgorithm(_ALGORITHM)
        return sound_raw(self._signing.sign(algorithm, digest).signature)

    def _refuse_other(self, name: object) -> None:
        if name != self.key_id:
            raise Unusable("its answer is about another key version than the one asked for")


def azure_fault(error: Exception) -> Fault:
    """Say what an exception of Azure's clients means."""
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        if status in (408, 429) or status >= 500:
            return Fault(f"it is busy, or failed (HTTP {status})", is_transient=True)
        return _STATUSES.get(status, Fault(f"it refused that (HTTP {status})"))
    return fault_of(error, _FAULTS)


def _client(vault_url: str, timeout: float) -> Any:
    identity = vendor("azure.identity", "azure")
    keys = vendor("azure.keyvault.keys", "azure")
    return keys.KeyClient(
        vault_url=vault_url,
        credential=identity.DefaultAzureCredential(),
        retry_total=0,  # one schedule is enough: ours
        connection_timeout=timeout,
        read_timeout=timeout,
    )
