# SPDX-License-Identifier: Apache-2.0
"""Azure Key Vault as its client sees it: HTTPS, the challenge, Get Key and Sign (api 7.x)."""

from __future__ import annotations

import json
import re
import ssl
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import trustme
from azure.keyvault.keys import KeyClient
from tests.curve import CurveKey
from tests.systems.http_service import Answer, HttpService, Request

TOKEN: Final = "eyJ0eXAiOiJKV1QiLCJhbGciOi-secret-token"  # shaped as one
TENANT: Final = "00000000-0000-4000-8000-000000000000"
VERSION: Final = "0123456789abcdef0123456789abcdef"
_PATH: Final = re.compile(r"/keys/([A-Za-z0-9-]+)/([0-9a-f]{32})(/sign)?\?api-version=[0-9.]+.*")

Members = dict[str, Any]


class Token(NamedTuple):
    """What azure.core calls an AccessToken."""

    token: str
    expires_on: int


class Credential:
    """Gives a token, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def get_token(self, *scopes: str, **options: Any) -> Token:
        """Return the token."""
        self.asked.append((scopes, options))
        return Token(TOKEN, 1 << 40)


def b64(data: bytes) -> str:
    """Return unpadded base64url, as the service writes bytes."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class KeyVaultService(HttpService):
    """A vault with keys on P-256K."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"
        self.authority = home / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.keys: dict[str, CurveKey] = {}
        self.curves: dict[str, str] = {}
        self.disabled: set[str] = set()
        # Changes the members of an answer before it is sent.
        self.alter: Callable[[str, Members], None] | None = None
        self.credential = Credential()

    def make_key(self, secret: int, name: str) -> str:
        """Add a key and return the identifier of its version."""
        self.keys[name] = CurveKey(secret)
        return f"{self.url}/keys/{name}/{VERSION}"

    def client(self, **settings: Any) -> KeyClient:
        """Return Microsoft's own client, without retries of its own."""
        return KeyClient(
            vault_url=self.url,
            credential=cast("Any", self.credential),
            verify_challenge_resource=False,  # the resource is Azure's domain, we are not
            connection_verify=str(self.authority),
            retry_total=0,
            **settings,
        )

    def count(self, action: str) -> int:
        """Return how often an action was done: `sign` or `get`."""
        return sum(
            "Authorization" in request.headers and ("/sign?" in request.path) is (action == "sign")
            for request in self.requests
        )

    def answer(self, request: Request) -> Answer:
        """Do as the service's documentation says."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            challenge = (
                f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", '
                'resource="https://vault.azure.net"'
            )
            return self._refusal(401, "Unauthorized", {"WWW-Authenticate": challenge})
        found = _PATH.fullmatch(request.path)
        key = self.keys.get(found[1]) if found else None
        if found is None or key is None or found[2] != VERSION:
            return self._refusal(404, "KeyNotFound")
        name = found[1]
        if found[3] and name in self.disabled:
            return self._refusal(403, "Forbidden")
        members = self._sign(name, key, request) if found[3] else self._get(name, key)
        if isinstance(members, Answer):
            return members
        if self.alter is not None:
            self.alter("sign" if found[3] else "get", members)
        return Answer(200, json.dumps(members).encode(), {"Content-Type": "application/json"})

    def _get(self, name: str, key: CurveKey) -> Members:
        x, y = key.numbers
        return {
            "key": {
                "kid": f"{self.url}/keys/{name}/{VERSION}",
                "kty": "EC",
                "key_ops": ["sign", "verify"],
                "crv": self.curves.get(name, "P-256K"),
                "x": b64(x),
                "y": b64(y),
            },
            "attributes": {"enabled": True, "created": 1, "updated": 1},
        }

    def _sign(self, name: str, key: CurveKey, request: Request) -> Members | Answer:
        asked = json.loads(request.body)
        digest = urlsafe_b64decode(asked["value"] + "==")
        if asked["alg"] != "ES256K" or len(digest) != 32:
            return self._refusal(400, "BadParameter")
        return {
            "kid": f"{self.url}/keys/{name}/{VERSION}",
            "value": b64(key.sign_raw(digest)),
        }

    def _refusal(self, status: int, code: str, headers: dict[str, str] | None = None) -> Answer:
        body = {"error": {"code": code, "message": f"The token {TOKEN} may not do that."}}
        return Answer(
            status,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"} | (headers or {}),
        )
