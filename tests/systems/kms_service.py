# SPDX-License-Identifier: Apache-2.0
"""AWS KMS as its clients see it: the JSON 1.1 protocol, three actions, and the rules of `Sign`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.curve import CurveKey
from tests.systems.http_service import Answer, HttpService, Request, Trick

from tallystick.crypto.ed25519 import KeyPair, SigningKey

ACCOUNT: Final = "arn:aws:kms:eu-west-1:111122223333"
MESSAGE_BYTES_MAX: Final = 4096
_TYPE: Final = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "r-1"}

# Which kinds of message go with which algorithm.
_COMBINATIONS: Final = {
    "ED25519_SHA_512": ("RAW",),
    "ED25519_PH_SHA_512": ("DIGEST",),
    "ECDSA_SHA_256": ("RAW", "DIGEST"),
}

Members = dict[str, Any]


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()  # each one reads megabytes of service models: one is enough


def client_for(kms: KmsService) -> Any:
    """Return a client of boto3 without retries of its own."""
    config = Config(retries={"total_max_attempts": 1})
    return _session().client("kms", endpoint_url=kms.url, config=config)


class Refusal(Exception):
    """An error of the service: its code, and the HTTP status it comes with."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.answer = Answer(
            status, json.dumps({"__type": code, "message": message}).encode(), dict(_TYPE)
        )


@dataclass
class Key:
    """A key in the account."""

    arn: str
    signing_key: SigningKey | None
    spki: bytes
    spec: str = "ECC_NIST_EDWARDS25519"
    usage: str = "SIGN_VERIFY"
    state: str = "Enabled"
    algorithms: tuple[str, ...] = ("ED25519_PH_SHA_512", "ED25519_SHA_512")
    curve_key: CurveKey | None = None


def refuses(code: str, status: int = 400) -> Trick:
    """Return a trick: refuse with this code."""
    return lambda _request, _connection, _stop: Refusal(code, status=status).answer


def tells_all(request: Request, _connection: object, _stop: object) -> Answer:
    """Refuse, and quote the whole request with all of its credentials."""
    told = json.dumps([request.headers, request.body.decode()])
    return Refusal("SignatureDoesNotMatch", told, 403).answer


class KmsService(HttpService):
    """An account with keys and aliases."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, Key] = {}
        self.aliases: dict[str, str] = {}
        self.denied: set[str] = set()
        # Changes the members of an answer before it is sent.
        self.alter: Callable[[str, Members], None] | None = None
        self._actions: dict[str, Callable[[Key, Members], Members]] = {
            "DescribeKey": self._describe_key,
            "GetPublicKey": self._get_public_key,
            "Sign": self._sign,
        }

    def make_key(self, seed: bytes, alias: str | None = None) -> Key:
        """Add an Ed25519 key; an alias that exists moves to it."""
        pair = KeyPair.from_seed(seed)
        spki = serialization.load_pem_public_key(pair.public_key.encode()).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        name = f"{ACCOUNT}:key/{seed.hex()[:8]}-0000-4000-8000-000000000000"
        key = self.keys[name] = Key(name, pair.signing_key(), spki)
        if alias is not None:
            self.aliases[alias] = name
        return key

    def make_evm_key(self, secret: int, alias: str) -> CurveKey:
        """Add a secp256k1 key; an alias that exists moves to it."""
        key = CurveKey(secret)
        name = f"{ACCOUNT}:key/{secret:08x}-0000-4000-8000-000000000000"
        self.keys[name] = Key(
            name, None, key.spki, "ECC_SECG_P256K1", algorithms=("ECDSA_SHA_256",), curve_key=key
        )
        self.aliases[alias] = name
        return key

    def make_curve_key(self, alias: str) -> Key:
        """Add a NIST P-256 key."""
        spki = (
            ec.derive_private_key(7, ec.SECP256R1())
            .public_key()
            .public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        name = f"{ACCOUNT}:key/p256"
        key = Key(name, None, spki, "ECC_NIST_P256", algorithms=("ECDSA_SHA_256",))
        self.keys[name] = key
        self.aliases[alias] = name
        return key

    def count(self, action: str) -> int:
        """Return how often an action was asked for."""
        return sum(
            request.headers.get("X-Amz-Target") == f"TrentService.{action}"
            for request in self.requests
        )

    def answer(self, request: Request) -> Answer:
        """Do as the service's documentation says."""
        try:
            action = self._admit(request)
            asked = json.loads(request.body)
            key = self._find(asked["KeyId"])
            members = self._actions[action](key, asked)
        except Refusal as refusal:
            return refusal.answer
        if self.alter is not None:
            self.alter(action, members)
        return Answer(200, json.dumps(members).encode(), dict(_TYPE))

    def _admit(self, request: Request) -> str:
        if not request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            raise Refusal("MissingAuthenticationToken", status=403)
        service, _, action = request.headers.get("X-Amz-Target", "").partition(".")
        if service != "TrentService" or action not in self._actions:
            raise Refusal("UnknownOperationException")
        if action in self.denied:
            raise Refusal("AccessDeniedException", f"User: someone may not kms:{action}")
        return action

    def _find(self, name: str) -> Key:
        name = name.rpartition(":")[2] if ":alias/" in name else name
        arn = self.aliases.get(name, name)
        key = self.keys.get(arn) or self.keys.get(f"{ACCOUNT}:key/{arn}")
        if key is None:
            raise Refusal("NotFoundException", f"Alias {name} is not found.")
        return key

    def _describe_key(self, key: Key, _asked: Members) -> Members:
        state = {"KeyState": key.state, "Enabled": key.state == "Enabled"}
        return {"KeyMetadata": {"Arn": key.arn, "KeySpec": key.spec, "KeyUsage": key.usage} | state}

    def _get_public_key(self, key: Key, _asked: Members) -> Members:
        self._use(key)
        return {
            "KeyId": key.arn,
            "KeySpec": key.spec,
            "KeyUsage": key.usage,
            "PublicKey": base64.b64encode(key.spki).decode(),
            "SigningAlgorithms": list(key.algorithms),
        }

    def _sign(self, key: Key, asked: Members) -> Members:
        self._use(key)
        message = base64.b64decode(asked["Message"], validate=True)
        algorithm, kind = asked["SigningAlgorithm"], asked.get("MessageType", "RAW")
        if not 1 <= len(message) <= MESSAGE_BYTES_MAX:
            raise Refusal("ValidationException", "message: length must be 1 to 4096")
        if algorithm not in key.algorithms or kind not in _COMBINATIONS[algorithm]:
            raise Refusal("InvalidKeyUsageException", f"{algorithm} with {kind}")
        if key.curve_key is not None:
            if kind == "RAW":
                message = sha256(message).digest()
            if len(message) != 32:
                raise Refusal("ValidationException", "Digest is invalid length for algorithm.")
            signature = key.curve_key.sign(message)
        else:
            assert key.signing_key is not None
            signature = key.signing_key.sign(message)
        return {
            "KeyId": key.arn,
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": algorithm,
        }

    def _use(self, key: Key) -> None:
        if key.state == "Disabled":
            raise Refusal("DisabledException", f"{key.arn} is disabled.")
        if key.state != "Enabled":
            raise Refusal("KMSInvalidStateException", f"{key.arn} is {key.state}.")
