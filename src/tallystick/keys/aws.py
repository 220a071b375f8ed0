# SPDX-License-Identifier: Apache-2.0
"""Keys at AWS: signatures by KMS, and key pairs kept in Secrets Manager.

Credentials come from boto3's own chain: instance role, task role, IRSA, environment, profile. The
role needs `kms:Sign` and `kms:GetPublicKey`, or `secretsmanager:GetSecretValue`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol
from urllib.parse import urlsplit

from tallystick.errors import KeyMismatchError
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
    is_open_http,
    sound_key,
    sound_signature,
    vendor,
)
from tallystick.keys.secret import RemoteKeyProvider
from tallystick.limits import AWS_KMS_MESSAGE_BYTES_MAX

# Pure Ed25519 of RFC 8032. The prehashed ED25519_PH_SHA_512 is another signature.
_ALGORITHM: Final = "ED25519_SHA_512"
_KEY_SPEC: Final = "ECC_NIST_EDWARDS25519"
_ARN: Final = re.compile(
    r"arn:[a-z0-9-]{1,32}:kms:[a-z0-9-]{1,32}:[0-9]{12}:key/[A-Za-z0-9-]{1,128}"
)
_CODE: Final = re.compile(r"[A-Za-z0-9.:_-]{1,80}")

_CREDENTIALS: Final = "the credentials are not accepted"
_ROUTE: Final = "is there a route from here: in a VPC, a NAT gateway or an endpoint for it?"
_NOT_ALLOWED: Final = "this identity may not do that; see the policies of key, role and endpoint"

_WRONG_KEY: Final = "the key is of another spec or usage; see the table of keys in our manual"

# Codes that say "later", whatever their HTTP status.
_TRANSIENT: Final = frozenset(
    {
        "DependencyTimeoutException",
        "InternalFailure",
        "InternalServiceError",
        "KMSInternalException",
        "KeyUnavailableException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# What other codes mean for whoever set this up.
_REMEDIES: Final = {
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "DecryptionFailure": "the role may not use the KMS key that encrypts the secret",
    "DisabledException": "the key is disabled; enable it, or start a new chain with another key",
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "IncompleteSignature": _CREDENTIALS,
    "InvalidKeyUsageException": _WRONG_KEY,
    "InvalidSignatureException": _CREDENTIALS + ", or this machine's clock is wrong",
    "KMSInvalidStateException": "the key is in no state to be used: pending deletion or import",
    "NotFoundException": "there is no such key in this account and region",
    "ResourceNotFoundException": "there is no such secret in this account and region",
    "UnrecognizedClientException": _CREDENTIALS,
    "UnsupportedOperationException": _WRONG_KEY,
}
# What the client raises before, or instead of, an answer.
_FAULTS: Final = {
    "ConnectionError": Fault("it can't be reached", is_transient=True),
    "CredentialRetrievalError": Fault("no credentials could be fetched", is_transient=True),
    "EndpointConnectionError": Fault(f"it can't be reached; {_ROUTE}", is_transient=True),
    "HTTPClientError": Fault("the connection broke", is_transient=True),
    "MetadataRetrievalError": Fault("no credentials could be fetched", is_transient=True),
    "NoCredentialsError": Fault("boto3 finds no credentials"),
    "NoRegionError": Fault("boto3 knows no region; give one, or set AWS_REGION"),
    "ReadTimeoutError": Fault("it did not answer in time", is_transient=True),
    "ConnectTimeoutError": Fault(f"it did not answer in time; {_ROUTE}", is_transient=True),
    "ResponseParserError": Fault("its answer is none of the protocol"),
    "SSLError": Fault("TLS failed; is the certificate one that this machine knows?"),
}


class KMSClient(Protocol):
    """What we ask of boto3's `kms` client; a caller may bring one of its own."""

    def sign(self, **members: Any) -> Mapping[str, Any]:
        """Call `kms:Sign`."""
        ...

    def get_public_key(self, **members: Any) -> Mapping[str, Any]:
        """Call `kms:GetPublicKey`."""
        ...


class SecretsClient(Protocol):
    """What we ask of boto3's `secretsmanager` client; a caller may bring one of its own."""

    def get_secret_value(self, **members: str) -> Mapping[str, Any]:
        """Call `secretsmanager:GetSecretValue`."""
        ...


class KMSSigner(RemoteSigner):
    """Signs with an `ECC_NIST_EDWARDS25519` key in AWS KMS, which takes 4096 bytes at most.

    `key_id` is a key's id or ARN, or an alias. The ARN that it names at first use is pinned: when
    an alias names another key later, `sign` raises KeyMismatchError, and `anew` follows it.
    `region`, `endpoint_url` and `timeout` (seconds) are for the client that is made here; a
    `client` that is given comes with its own, and with its own retries besides ours.
    """

    __slots__ = ("_client", "key_id")

    message_bytes_max: ClassVar[int] = AWS_KMS_MESSAGE_BYTES_MAX

    def __init__(
        self,
        key_id: str,
        *,
        client: KMSClient | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet."""
        check_key_id(key_id)
        super().__init__(Line("AWS KMS", aws_fault, retry or Retry()))
        self.key_id = key_id
        self._client: KMSClient = client_of(
            "kms", client, self._line, region=region, endpoint_url=endpoint_url, timeout=timeout
        )

    def _request_key(self) -> NamedKey:
        answer = self._client.get_public_key(KeyId=self.key_id)
        name = key_name(answer, self.key_id, _KEY_SPEC, _ALGORITHM)
        return NamedKey(name, sound_key(answer.get("PublicKey")))

    def _request_signature(self, message: bytes, key: NamedKey) -> bytes:
        # By the name that the caller gave: policies may allow the alias and not the key.
        answer = self._client.sign(
            KeyId=self.key_id, Message=message, MessageType="RAW", SigningAlgorithm=_ALGORITHM
        )
        refuse_other_key(answer, self.key_id, key, _ALGORITHM)
        return sound_signature(answer.get("Signature"))


class SecretsManagerKeyProvider(RemoteKeyProvider):
    """Yields the key pair that a secret in AWS Secrets Manager holds.

    As text: a PKCS#8 PEM, or `u` and the base64url of a seed. As bytes: those texts, PKCS#8 DER,
    or the 32 bytes of the seed. The secret is read once, here.
    """

    __slots__ = ()

    def __init__(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        client: SecretsClient | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Fetch and read the secret, or raise a KeySecretError that says what to do."""
        line = Line("AWS Secrets Manager", aws_fault, retry or Retry())
        asked: SecretsClient = client_of(
            "secretsmanager",
            client,
            line,
            region=region,
            endpoint_url=endpoint_url,
            timeout=timeout,
        )
        wanted = {"SecretId": secret_id} | ({"VersionId": version_id} if version_id else {})

        def fetch() -> str | bytes | None:
            answer = asked.get_secret_value(**wanted)
            found: str | bytes | None = answer.get("SecretString", answer.get("SecretBinary"))
            return found

        super().__init__(secret_id, line, fetch)


def key_name(answer: Mapping[str, Any], key_id: str, spec: str, algorithm: str) -> str:
    """Return the ARN in an answer of `GetPublicKey`, which must be about the right kind of key."""
    name = answer.get("KeyId")
    if not isinstance(name, str) or not _ARN.fullmatch(name) or not _is_asked_for(key_id, name):
        raise Unusable("its answer is about another key than the one asked for")
    if answer.get("KeySpec") != spec or answer.get("KeyUsage") != "SIGN_VERIFY":
        raise Unusable(f"the key is no {spec} for SIGN_VERIFY")
    if algorithm not in (answer.get("SigningAlgorithms") or ()):
        raise Unusable(f"the key does not sign with {algorithm}")
    return name


def refuse_other_key(answer: Mapping[str, Any], key_id: str, key: NamedKey, algorithm: str) -> None:
    """Refuse an answer of `Sign` by another key than the pinned one, or of another kind."""
    name = answer.get("KeyId")
    if not isinstance(name, str) or not _ARN.fullmatch(name):
        raise Unusable("its answer does not say which key signed")
    if name != key.name:
        raise KeyMismatchError(
            f"{key_id} now names {name}, and this chain stands on {key.name}: "
            "start a new chain (anew() gives a signer for the new key)"
        )
    if answer.get("SigningAlgorithm") != algorithm:
        raise Unusable(f"it did not sign with {algorithm}")


def _is_asked_for(key_id: str, arn: str) -> bool:
    if "alias/" in key_id:
        # What an alias stands for, only the answer says: a key of the alias's account and region.
        home, _, _ = key_id.partition("alias/")
        return arn.startswith(f"{home}key/") if home.startswith("arn:") else True
    return arn == key_id or arn.endswith(f":key/{key_id}")


def check_key_id(key_id: str) -> None:
    """Raise where nothing names a key."""
    if not key_id:
        raise ValueError("key_id is empty: wanted is a key's id or ARN, or an alias")


def client_of(
    service: str,
    client: Any,
    line: Line,
    *,
    region: str | None,
    endpoint_url: str | None,
    timeout: float | None,
) -> Any:
    """Return the caller's client, or make one of boto3's that does not ask again by itself."""
    if client is not None:
        if any(one is not None for one in (region, endpoint_url, timeout)):
            raise ValueError("region, endpoint_url and timeout are for a client that is made here")
        return client
    if endpoint_url is not None:
        _check_endpoint(endpoint_url)
    boto3 = vendor("boto3", "aws")
    seconds = TIMEOUT_SECONDS if timeout is None else timeout
    config = vendor("botocore.config", "aws").Config(
        connect_timeout=seconds,
        read_timeout=seconds,
        retries={"total_max_attempts": 1, "mode": "standard"},  # one schedule is enough: ours
    )

    def make(config: Any) -> Any:
        # A session of its own: making clients from the shared one is not safe from threads.
        return boto3.session.Session().client(
            service, region_name=region, endpoint_url=endpoint_url, config=config
        )

    made = line.ask("client", lambda: make(config))
    found = made.meta.endpoint_url
    _check_endpoint(found)  # AWS_ENDPOINT_URL and a profile name one, too
    if urlsplit(found).scheme == "http":
        # To this machine, and by no proxy: that one would read the credentials, and could answer.
        config = config.merge(type(config)(proxies={}))
        made = line.ask("client", lambda: make(config))
    line.let_go = made.close
    return made


def _check_endpoint(url: str) -> None:
    if is_open_http(url):
        raise ValueError(PLAIN_HTTP)
    if "@" in urlsplit(url).netloc:
        raise ValueError("endpoint holds a user, perhaps a password: wanted is https://HOST[:PORT]")


def aws_fault(error: Exception) -> Fault:
    """Say what an exception of boto3 means."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return fault_of(error, _FAULTS)
    code = str((answer.get("Error") or {}).get("Code"))
    status = (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode")
    status = status if isinstance(status, int) else 0
    is_transient = code in _TRANSIENT or status == 429 or status >= 500
    # A code is one of AWS's own words, unless the answer came from somebody else.
    told = f"{code if _CODE.fullmatch(code) else 'an unknown code'} (HTTP {status})"
    remedy = None if is_transient else _REMEDIES.get(code)
    return Fault(told if remedy is None else f"{told}; {remedy}", is_transient)
