# SPDX-License-Identifier: Apache-2.0
"""Signatures by the transit engine of HashiCorp Vault or OpenBao.

Address and token come from hvac's own places: VAULT_ADDR, VAULT_TOKEN or ~/.vault-token,
VAULT_CACERT, VAULT_CLIENT_CERT. The token's policy needs `update` on `transit/sign/<key>` and
`read` on `transit/keys/<key>`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

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
from tallystick.limits import VAULT_ANSWER_BYTES_MAX

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SIGNATURE: Final = re.compile(r"vault:(v[1-9][0-9]{0,8}):([A-Za-z0-9+/]{86}==)")
_RAW_KEY: Final = re.compile(r"[A-Za-z0-9+/]{43}=")

# Classes of hvac and requests. The nearest in an exception's ancestry counts.
_FAULTS: Final = {
    "BadGateway": Fault("it failed or can't be reached", is_transient=True),
    "ChunkedEncodingError": Fault("the connection broke", is_transient=True),
    "ConnectionError": Fault("it can't be reached; see VAULT_ADDR", is_transient=True),
    "Forbidden": Fault("permission denied: the token is expired, or its policy does not allow it"),
    "InternalServerError": Fault("it failed", is_transient=True),
    "InvalidPath": Fault("there is no such key, or no transit engine at this mount point"),
    "InvalidRequest": Fault("it refuses that; is this version below min_encryption_version?"),
    "InvalidURL": Fault("its address is none; see VAULT_ADDR"),
    "InvalidSchema": Fault("its address is none; see VAULT_ADDR"),
    "MissingSchema": Fault("its address is none; see VAULT_ADDR"),
    "RateLimitExceeded": Fault("its quota is used up for now", is_transient=True),
    "SSLError": Fault("TLS failed; is the certificate one that this machine knows?"),
    "Timeout": Fault("it did not answer in time", is_transient=True),
    "TooManyRedirects": Fault("its address leads nowhere"),
    "Unauthorized": Fault("the token is not accepted"),
    # hvac does not tell which status it was; 412 and 504 are the likely ones.
    "UnexpectedError": Fault("it answered with an odd status", is_transient=True),
    "VaultDown": Fault("it is sealed, or on standby", is_transient=True),
    "VaultNotInitialized": Fault("it is not initialised"),
}


class TransitSigner(RemoteSigner):
    """Signs with an `ed25519` key of Vault's transit engine.

    The version that is the latest at first use (or `key_version`) is pinned, and asked for by its
    number ever after: a rotation in Vault does not touch a chain, and `anew` follows it. `url`,
    `namespace` and `timeout` (seconds) are for the client that is made here.
    """

    __slots__ = ("_client", "_key_version", "_mount_point", "key_name")

    def __init__(
        self,
        key_name: str,
        *,
        key_version: int | None = None,
        mount_point: str = "transit",
        client: Any = None,
        url: str | None = None,
        namespace: str | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
    ) -> None:
        """Make the client; nothing is asked yet. A `client` is a `hvac.Client`."""
        if not _NAME.fullmatch(key_name):
            raise ValueError("key_name is no name of a transit key")
        folders = mount_point.removesuffix("/").split("/")
        if {"", ".", ".."} & set(folders) or not mount_point.isprintable():
            raise ValueError("mount_point is no path of a transit engine")
        if client is not None and any(one is not None for one in (url, namespace, timeout)):
            raise ValueError("url, namespace and timeout are for a client that is made here")
        super().__init__(Line("Vault", _fault, retry or Retry()))
        self.key_name = key_name
        self._key_version = key_version
        self._mount_point = mount_point
        self._client = client
        if client is None:
            seconds = TIMEOUT_SECONDS if timeout is None else timeout
            self._client = _client(url, namespace, seconds)
            self._line.let_go = self._client.session.close

    def _request_key(self) -> NamedKey:
        data = _data(
            self._client.secrets.transit.read_key(self.key_name, mount_point=self._mount_point)
        )
        if data.get("type") != "ed25519" or data.get("derived"):
            raise Unusable("the key is no plain ed25519 key")
        version = self._key_version or data.get("latest_version")
        versions = data.get("keys")
        key = versions.get(str(version)) if isinstance(versions, Mapping) else None
        text = key.get("public_key") if isinstance(key, Mapping) else None
        if type(version) is not int or not isinstance(text, str):
            raise Unusable("the key has no such version")
        if not _RAW_KEY.fullmatch(text):
            raise Unusable("its answer holds no Ed25519 key")
        return NamedKey(f"v{version}", sound_key(b64decode(text)))

    def _request_signature(self, message: bytes, key: NamedKey) -> bytes:
        data = _data(
            self._client.secrets.transit.sign_data(
                self.key_name,
                hash_input=b64encode(message).decode("ascii"),
                key_version=int(key.name[1:]),
                mount_point=self._mount_point,
            )
        )
        text = data.get("signature")
        found = _SIGNATURE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise Unusable("its answer holds no Ed25519 signature")
        if found[1] != key.name:
            raise Unusable(f"version {found[1]} signed, where {key.name} was asked for")
        return sound_signature(b64decode(found[2]))


def _client(url: str | None, namespace: str | None, timeout: float) -> Any:
    client = vendor("hvac", "vault").Client(url=url, namespace=namespace, timeout=timeout)
    if is_open_http(client.url):
        raise ValueError(PLAIN_HTTP)
    parts = urlsplit(client.url)
    if parts.scheme == "http":
        # Not by the proxy of HTTP_PROXY either: that one would read the token, and could answer.
        client.session.proxies = {f"http://{parts.hostname}": ""}
    # A standby sends its clients on to the active node, and hvac sends the token along.
    client.session.hooks["response"] += [_stay_with_tls, _take]
    return client


def _stay_with_tls(answer: Any, **_: Any) -> None:
    """Follow no redirect out of TLS, or off this machine without it: all would read the token."""
    if not answer.is_redirect:
        return
    there = urljoin(answer.url, answer.headers["location"])
    here, goal = urlsplit(answer.url), urlsplit(there)
    is_same_host = (here.scheme, here.hostname) == (goal.scheme, goal.hostname)
    if goal.scheme != "https" and (is_open_http(there) or not is_same_host):
        raise Unusable("it sends the request on to an address without TLS, where no token goes")


def _take(answer: Any, **_: Any) -> None:
    """Read an answer up to our bound: requests has none, and unpacks a thousandfold."""
    taken = bytearray()
    for piece in answer.iter_content(1 << 14):
        taken += piece
        if len(taken) > VAULT_ANSWER_BYTES_MAX:
            answer.close()
            raise Unusable(f"its answer has over {VAULT_ANSWER_BYTES_MAX} bytes")
    answer._content = bytes(taken)  # where requests keeps what was read


def _data(answer: object) -> Mapping[str, Any]:
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping):
        raise Unusable("its answer is none of the transit engine's")
    return data


def _fault(error: Exception) -> Fault:
    return fault_of(error, _FAULTS)
