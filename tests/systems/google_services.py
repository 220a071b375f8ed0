# SPDX-License-Identifier: Apache-2.0
"""Cloud KMS and Secret Manager over real gRPC, from the clients' own message classes.

The libraries ship no servers, so two generic handlers stand in, with what the services promise:
checksums in both directions, versions that can be disabled, status codes for what goes wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

import google_crc32c
import grpc
from google.cloud.kms_v1 import KeyManagementServiceClient, types
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceGrpcTransport,
)
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1 import types as secret_types
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from tests.curve import CurveKey

from tallystick.crypto.ed25519 import KeyPair

KEY: Final = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/"
SECRET: Final = "projects/p/secrets/s/versions/"
_ALGORITHMS: Final = types.CryptoKeyVersion.CryptoKeyVersionAlgorithm

crc32c: Callable[[bytes], int] = google_crc32c.value


class GoogleServices:
    """Key versions and secret versions behind one port."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyPair | CurveKey] = {}
        self.algorithms: dict[str, Any] = {}
        self.disabled: set[str] = set()
        self.secrets: dict[str, bytes] = {}
        # Status codes for the next requests, in order.
        self.faults: deque[grpc.StatusCode] = deque()
        # Changes an answer, or the data of a request as if the wire had.
        self.alter: Callable[[Any], None] = lambda _answer: None
        self.damage: Callable[[bytes], bytes] = lambda data: data
        self.calls: list[str] = []
        # By which version each signature was asked for.
        self.signed: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "google.cloud.kms.v1.KeyManagementService",
                    {
                        "GetPublicKey": self._method(
                            self._get_public_key, types.GetPublicKeyRequest, types.PublicKey
                        ),
                        "AsymmetricSign": self._method(
                            self._asymmetric_sign,
                            types.AsymmetricSignRequest,
                            types.AsymmetricSignResponse,
                        ),
                    },
                ),
                grpc.method_handlers_generic_handler(
                    "google.cloud.secretmanager.v1.SecretManagerService",
                    {
                        "AccessSecretVersion": self._method(
                            self._access,
                            secret_types.AccessSecretVersionRequest,
                            secret_types.AccessSecretVersionResponse,
                        )
                    },
                ),
            )
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._channels: list[grpc.Channel] = []

    def make_key(self, seed: bytes) -> str:
        """Add a key version and return its name."""
        name = f"{KEY}{len(self.keys) + 1}"
        self.keys[name] = KeyPair.from_seed(seed)
        return name

    def make_evm_key(self, secret: int) -> str:
        """Add a key version on secp256k1 and return its name."""
        name = f"{KEY}{len(self.keys) + 1}"
        self.keys[name] = CurveKey(secret)
        return name

    def kms_client(self) -> KeyManagementServiceClient:
        """Return Google's own client, with an insecure channel to here."""
        return KeyManagementServiceClient(
            transport=KeyManagementServiceGrpcTransport(channel=self._channel())
        )

    def secret_client(self) -> SecretManagerServiceClient:
        """Return Google's own client, with an insecure channel to here."""
        return SecretManagerServiceClient(
            transport=SecretManagerServiceGrpcTransport(channel=self._channel())
        )

    def _channel(self) -> grpc.Channel:
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self._channels.append(channel)
        return channel

    def _method(
        self, answer: Callable[[Any, grpc.ServicerContext], Any], asked: Any, answered: Any
    ) -> grpc.RpcMethodHandler:
        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            self.calls.append(asked.__name__)
            if asked is types.AsymmetricSignRequest:
                self.signed.append(request.name)
            if self.faults:
                context.abort(self.faults.popleft(), "Authorization: Bearer ya29.secret-token")
            found = answer(request, context)
            self.alter(found)
            return found

        return grpc.unary_unary_rpc_method_handler(
            serve, request_deserializer=asked.deserialize, response_serializer=answered.serialize
        )

    def _key(self, name: str, context: grpc.ServicerContext) -> KeyPair | CurveKey:
        if name not in self.keys:
            context.abort(grpc.StatusCode.NOT_FOUND, f"CryptoKeyVersion {name} not found.")
        if name in self.disabled:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{name} is not enabled.")
        return self.keys[name]

    def _get_public_key(self, asked: Any, context: grpc.ServicerContext) -> types.PublicKey:
        key = self._key(asked.name, context)
        is_evm = isinstance(key, CurveKey)
        pem = key.pem if isinstance(key, CurveKey) else key.public_key
        own = _ALGORITHMS.EC_SIGN_SECP256K1_SHA256 if is_evm else _ALGORITHMS.EC_SIGN_ED25519
        return types.PublicKey(
            pem=pem,
            algorithm=self.algorithms.get(asked.name, own),
            pem_crc32c=crc32c(pem.encode()),
            name=asked.name,
        )

    def _asymmetric_sign(
        self, asked: Any, context: grpc.ServicerContext
    ) -> types.AsymmetricSignResponse:
        key = self._key(asked.name, context)
        if isinstance(key, CurveKey):
            return self._sign_digest(key, asked, context)
        data, told = self.damage(asked.data), asked.data_crc32c
        if not data or asked.digest:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "EC_SIGN_ED25519 takes data.")
        if told is not None and told != crc32c(data):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "data_crc32c does not match.")
        signature = key.signing_key().sign(data)
        return types.AsymmetricSignResponse(
            signature=signature,
            signature_crc32c=crc32c(signature),
            verified_data_crc32c=told is not None,
            name=asked.name,
        )

    def _sign_digest(
        self, key: CurveKey, asked: Any, context: grpc.ServicerContext
    ) -> types.AsymmetricSignResponse:
        digest, told = self.damage(asked.digest.sha256), asked.digest_crc32c
        if asked.data or len(digest) != 32:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a sha256 digest is needed.")
        if told is not None and told != crc32c(digest):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "digest_crc32c does not match.")
        signature = key.sign(digest)
        return types.AsymmetricSignResponse(
            signature=signature,
            signature_crc32c=crc32c(signature),
            verified_digest_crc32c=told is not None,
            name=asked.name,
        )

    def _access(self, asked: Any, context: grpc.ServicerContext) -> Any:
        data = self.secrets.get(asked.name)
        if data is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
        return secret_types.AccessSecretVersionResponse(
            name=asked.name,
            payload=secret_types.SecretPayload(data=data, data_crc32c=crc32c(data or b"")),
        )

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel in self._channels:
            channel.close()
        self._server.stop(None).wait()
