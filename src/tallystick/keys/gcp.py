# SPDX-License-Identifier: Apache-2.0
"""Keys at Google Cloud: signatures by Cloud KMS, and key pairs kept in Secret Manager.

Credentials are Application Default Credentials: service account of the instance, workload
identity, GOOGLE_APPLICATION_CREDENTIALS. The account needs `roles/cloudkms.signer` and
`roles/cloudkms.publicKeyViewer`, or `roles/secretmanager.secretAccessor`.

An endpoint of one's own is https, where Google's client checks the certificate and sends those
credentials; or plain http to this machine alone, where none are looked for and none are sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from tallystick.keys.remote import (
    PLAIN_HTTP,
    TIMEOUT_SECONDS,
    Fault,
    Line,
    NamedKey,
    RemoteSigner,
    Retry,
    Unusable,
    fault_of,
    sound_key,
    sound_signature,
    vendor,
)
from tallystick.keys.secret import RemoteKeyProvider
from tallystick.model.host import is_loopback

_ALGORITHM: Final = "EC_SIGN_ED25519"
_KEY_VERSION: Final = re.compile(
    r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/[1-9][0-9]*"
)
_SECRET_VERSION: Final = re.compile(
    r"projects/[^/]+/(locations/[^/]+/)?secrets/[^/]+/versions/[^/]+"
)

# Classes of google.api_core and google.auth. The nearest in an exception's ancestry counts.
_FAULTS: Final = {
    "Aborted": Fault("it was busy", is_transient=True),
    "BadRequest": Fault("it does not accept the request; is the receipt too large for it?"),
    "Cancelled": Fault("the request was cancelled", is_transient=True),
    "DeadlineExceeded": Fault("it did not answer in time", is_transient=True),
    "DefaultCredentialsError": Fault("there are no Application Default Credentials"),
    "FailedPrecondition": Fault(
        "the version is disabled or destroyed, or its key is of another purpose"
    ),
    "Forbidden": Fault("permission denied; see the roles of this service account"),
    "GoogleAuthError": Fault("the credentials are not accepted"),
    "MethodNotImplemented": Fault("it does not know this request"),
    "NotFound": Fault("there is nothing of this name"),
    "RetryError": Fault("it did not answer in time", is_transient=True),
    "ServerError": Fault("it failed or can't be reached", is_transient=True),
    "TooManyRequests": Fault("the quota is used up for now", is_transient=True),
    "TransportError": Fault("no credentials could be fetched", is_transient=True),
    "Unauthorized": Fault("the credentials are not accepted"),
}


class CloudKMSClient(Protocol):
    """What we ask of a KeyManagementServiceClient; a caller may bring one of its own."""

    def asymmetric_sign(self, *, request: Any, retry: Any, timeout: float) -> Any:
        """Call AsymmetricSign."""
        ...

    def get_public_key(self, *, request: Any, retry: Any, timeout: float) -> Any:
        """Call GetPublicKey."""
        ...


class SecretClient(Protocol):
    """What we ask of a SecretManagerServiceClient; a caller may bring one of its own."""

    def access_secret_version(self, *, request: Any, retry: Any, timeout: float) -> Any:
        """Call AccessSecretVersion."""
        ...


class CloudKMSSigner(RemoteSigner):
    """Signs with one version of an `EC_SIGN_ED25519` key in Google Cloud KMS.

    `name` is the version's full name, so a rotation in Cloud KMS never changes the key of a chain:
    a newer version is another name. Checksums are sent, asked for and checked in both directions.
    `endpoint_url` is for the client that is made here; without it, that asks Google's own.
    """

    __slots__ = ("_client", "_crc32c", "_timeout", "name")

    def __init__(
        self,
        name: str,
        *,
        client: CloudKMSClient | None = None,
        endpoint_url: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet."""
        check_key_version(name)
        super().__init__(Line("Cloud KMS", google_fault, retry or Retry()))
        self.name = name
        self._timeout = timeout
        self._crc32c = crc32c()
        self._client = kms_client(self._line, client, endpoint_url)

    def _request_key(self) -> NamedKey:
        answer = self._client.get_public_key(
            request={"name": self.name}, retry=None, timeout=self._timeout
        )
        return NamedKey(self.name, sound_key(sound_pem(answer, self.name, _ALGORITHM)))

    def _request_signature(self, message: bytes, key: NamedKey) -> bytes:
        answer = self._client.asymmetric_sign(
            request={
                "name": self.name,
                "data": message,  # not `digest`: that would be another signature
                "data_crc32c": self._crc32c(message),
            },
            retry=None,
            timeout=self._timeout,
        )
        if answer.name != key.name:
            raise Unusable("another key version signed than the one asked for")
        if not answer.verified_data_crc32c:
            raise Unusable("the message was damaged on its way", is_transient=True)
        refuse_damaged(self._crc32c(answer.signature), answer.signature_crc32c, "signature")
        return sound_signature(answer.signature)


class SecretManagerKeyProvider(RemoteKeyProvider):
    """Yields the key pair that a secret version in Google Secret Manager holds.

    A PKCS#8 PEM, `u` and the base64url of a seed, PKCS#8 DER, or the 32 bytes of the seed. `name`
    is `projects/…/secrets/…/versions/latest`, or better a number. It is read once, here.
    """

    __slots__ = ()

    def __init__(
        self,
        name: str,
        *,
        client: SecretClient | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retry: Retry | None = None,
    ) -> None:
        """Fetch and read the secret, or raise a KeySecretError that says what to do."""
        if not _SECRET_VERSION.fullmatch(name):
            raise ValueError(
                "name is no secret version: wanted is projects/…/secrets/…/versions/latest"
            )
        line = Line("Secret Manager", google_fault, retry or Retry())
        checksum = crc32c()
        asked: SecretClient = (
            line.ask(
                "client",
                vendor("google.cloud.secretmanager_v1", "gcp").SecretManagerServiceClient,
            )
            if client is None
            else client
        )

        def fetch() -> bytes:
            payload = asked.access_secret_version(
                request={"name": name}, retry=None, timeout=timeout
            ).payload
            data: bytes = payload.data
            refuse_damaged(checksum(data), payload.data_crc32c, "secret")
            return data

        super().__init__(name, line, fetch)


def check_key_version(name: str) -> None:
    """Raise where this is not the full name of one key version."""
    if not _KEY_VERSION.fullmatch(name):
        raise ValueError(
            "name is no key version: wanted is projects/…/locations/…/keyRings/…/cryptoKeys/…/"
            "cryptoKeyVersions/1"
        )


def crc32c() -> Callable[[bytes], int]:
    """Return the checksum that Google's services tell and check."""
    found: Callable[[bytes], int] = vendor("google_crc32c", "gcp").value
    return found


def kms_client(
    line: Line, client: CloudKMSClient | None, endpoint_url: str | None
) -> CloudKMSClient:
    """Return the caller's client, or make one."""
    if client is not None:
        if endpoint_url is not None:
            raise ValueError("endpoint_url is for a client that is made here")
        return client
    scheme, place = ("", "") if endpoint_url is None else _parts(endpoint_url)
    kind = vendor("google.cloud.kms_v1", "gcp").KeyManagementServiceClient

    def make() -> Any:
        if scheme == "http":
            # A channel that is given comes as it is: without credentials, and by no proxy.
            channel = vendor("grpc", "gcp").insecure_channel(
                place, options=[("grpc.enable_http_proxy", 0)]
            )
            return kind(transport=kind.get_transport_class("grpc")(channel=channel))
        return kind(client_options={"api_endpoint": place}) if place else kind()

    made: CloudKMSClient = line.ask("client", make)
    return made


def _parts(endpoint_url: str) -> tuple[str, str]:
    """Return scheme and `HOST[:PORT]` of an endpoint that a key may be asked for at."""
    wanted = "endpoint is no URL of a service: wanted is https://HOST[:PORT]"
    if not (endpoint_url.isascii() and endpoint_url.isprintable()):
        raise ValueError(wanted)
    try:
        parts = urlsplit(endpoint_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(wanted) from None
    shown = f"[{host}]" if ":" in host else host
    place = shown if port is None else f"{shown}:{port}"
    # As it was written, but for a slash at its end: no user, path or query is left out in silence.
    if not host or endpoint_url.lower().removesuffix("/") != f"{parts.scheme}://{place}":
        raise ValueError(wanted)
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(PLAIN_HTTP)
    if parts.scheme not in ("https", "http"):
        raise ValueError(wanted)
    return parts.scheme, place


def sound_pem(answer: Any, name: str, algorithm: str) -> str:
    """Return the key in an answer of GetPublicKey, which must be whole and about the right one."""
    if answer.name != name:
        raise Unusable("its answer is about another key version than the one asked for")
    if getattr(answer.algorithm, "name", None) != algorithm:  # a plain number if too new
        raise Unusable(f"the key is no {algorithm}")
    pem: str = answer.pem
    refuse_damaged(crc32c()(pem.encode()), answer.pem_crc32c, "public key")
    return pem


def refuse_damaged(computed: int, told: object, what: str) -> None:
    """Refuse what does not have the checksum that came with it."""
    if computed != told:
        raise Unusable(f"the {what} was damaged on its way", is_transient=True)


def google_fault(error: Exception) -> Fault:
    """Say what an exception of Google's clients means."""
    fault = fault_of(error, _FAULTS)
    # google.auth knows for each of its errors whether to try again.
    if getattr(error, "retryable", False) is True and not fault.is_transient:
        return Fault("no credentials could be fetched", is_transient=True)
    return fault
