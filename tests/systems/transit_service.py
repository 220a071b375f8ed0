# SPDX-License-Identifier: Apache-2.0
"""Vault's transit engine as its clients see it: two paths, tokens, and versions of keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from tests.systems.http_service import Answer, HttpService, Request, Trick

from tallystick.crypto.ed25519 import KeyPair

TOKEN: Final = "hvs.CAESEXAMPLETOKEN"
_TYPE: Final = {"Content-Type": "application/json"}

Members = dict[str, Any]


def _answer(status: int, members: Members) -> Answer:
    return Answer(status, json.dumps(members).encode(), dict(_TYPE))


def refuses(status: int, *errors: str) -> Trick:
    """Return a trick: refuse with this status."""
    return lambda _request, _connection, _stop: _answer(status, {"errors": list(errors)})


def tells_all(request: Request, _connection: object, _stop: object) -> Answer:
    """Refuse, and quote the whole request with its token."""
    return _answer(403, {"errors": [json.dumps([request.headers, request.body.decode()])]})


class TransitService(HttpService):
    """One transit engine at `transit/`."""

    def __init__(self) -> None:
        super().__init__()
        # Versions of each key, the oldest first.
        self.keys: dict[str, list[KeyPair]] = {}
        self.minimum: dict[str, int] = {}
        self.settings: dict[str, Members] = {}
        # Changes the `data` of an answer before it is sent.
        self.alter: Callable[[str, Members], None] | None = None

    def rotate(self, name: str, seed: bytes) -> None:
        """Add a version to a key, which then is the latest."""
        self.keys.setdefault(name, []).append(KeyPair.from_seed(seed))

    def count(self, action: str) -> int:
        """Return how often `keys` was read or `sign` was asked for."""
        return sum(f"/transit/{action}/" in request.path for request in self.requests)

    def answer(self, request: Request) -> Answer:
        """Do as the engine's documentation says."""
        if request.headers.get("X-Vault-Token") != TOKEN:
            return _answer(403, {"errors": ["permission denied"]})
        _, _, mount, action, name = (request.path + "///").split("/")[:5]
        if mount != "transit" or name not in self.keys:
            return _answer(404, {"errors": []})
        if (request.method, action) == ("GET", "keys"):
            data = self._read(name)
        elif (request.method, action) == ("POST", "sign"):
            asked = json.loads(request.body)
            version = asked.get("key_version") or len(self.keys[name])
            if version < self.minimum.get(name, 0):
                return _answer(400, {"errors": ["version is less than the minimum"]})
            if version > len(self.keys[name]):
                return _answer(400, {"errors": ["version is too new"]})
            data = self._sign(name, version, base64.b64decode(asked["input"], validate=True))
        else:
            return _answer(405, {"errors": ["unsupported operation"]})
        if self.alter is not None:
            self.alter(action, data)
        return _answer(200, {"data": data})

    def _read(self, name: str) -> Members:
        versions = self.keys[name]
        return {
            "type": "ed25519",
            "derived": False,
            "latest_version": len(versions),
            "keys": {
                str(number): {
                    "name": "ed25519",
                    "public_key": base64.b64encode(pair.signing_key().public_key).decode(),
                }
                for number, pair in enumerate(versions, 1)
            },
        } | self.settings.get(name, {})

    def _sign(self, name: str, version: int, message: bytes) -> Members:
        signature = self.keys[name][version - 1].signing_key().sign(message)
        text = base64.b64encode(signature).decode()
        return {"key_version": version, "signature": f"vault:v{version}:{text}"}
