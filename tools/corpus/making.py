# SPDX-License-Identifier: Apache-2.0
"""Makes receipts for the vectors from nothing but hashlib, rfc8785 and libsodium's Ed25519.

Nothing here imports tallystick: what the verifier is measured by is not made by the verifier. All
is fixed: keys come from their names, ids from the case's name, and the clock starts in 2026.
"""

from __future__ import annotations

import copy
import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import rfc8785
from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

Json = dict[str, Any]

NEWEST: Final = "0.6.0"
VERSIONS: Final = ("0.1.0", "0.2.0", "0.2.1", "0.3.0", "0.4.0", "0.5.0", "0.6.0")
W3C: Final = "https://www.w3.org/ns/credentials/v2"
ISSUER_ID: Final = "did:agent:sample"
# Upper-case codes that say "could not check"; all other upper-case codes refuse.
UNCHECKED_CODES: Final = frozenset(
    {"KEY_MISSING", "KEY_UNKNOWN_ISSUER", "KEY_UNUSABLE", "NOTHING_TO_VERIFY",
     "RESPONSE_UNREADABLE"}
)  # fmt: skip
# Later than any date that a case states: an earlier proof would be a finding of its own.
PROVED_AT: Final = "2030-01-02T04:00:00.000Z"
HASH_A: Final = "sha256:" + "a1" * 32
HASH_B: Final = "sha256:" + "b2" * 32


@dataclass(frozen=True)
class Key:
    """An Ed25519 key that is made from its name."""

    name: str

    @property
    def seed(self) -> bytes:
        """The 32 bytes of the private key."""
        return hashlib.sha256(f"tallystick vector key: {self.name}".encode()).digest()

    @property
    def raw(self) -> bytes:
        """The 32 bytes of the public key."""
        return crypto_sign_seed_keypair(self.seed)[0]

    @property
    def did(self) -> str:
        """The public key as did:key."""
        return did_key(self.raw)

    @property
    def pem(self) -> str:
        """The public key as SubjectPublicKeyInfo PEM."""
        return pem("PUBLIC KEY", bytes.fromhex("302a300506032b6570032100") + self.raw)

    @property
    def private_pem(self) -> str:
        """The private key as PKCS#8 PEM."""
        return pem("PRIVATE KEY", bytes.fromhex("302e020100300506032b657004220420") + self.seed)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw public key."""
        return sha256(self.raw)

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return crypto_sign(message, crypto_sign_seed_keypair(self.seed)[1])[:64]


FIRST: Final = Key("first")
SECOND: Final = Key("second")
THIRD: Final = Key("third")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One vector: what goes in, and what has to come out."""

    kind: str  # receipt, chain or input: which question is asked
    name: str
    why: str
    data: bytes
    suffix: str = "json"
    codes: tuple[str, ...] = ()
    verdict: str = "verified"
    keys: tuple[str, ...] = field(default_factory=lambda: (FIRST.did,))
    trust: str | None = None
    options: Json = field(default_factory=dict)
    chains: list[Json] | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.verdict == verdict_of(self.codes), f"{self.name}: {self.verdict}?"

    def expectation(self) -> Json:
        """Return what `expect.json` says."""
        told: Json = {"why": self.why, "verdict": self.verdict, "codes": sorted(self.codes)}
        if self.trust is None:
            told["keys"] = list(self.keys)
        else:
            told["trust"] = "trust.toml"
        if self.options:
            told["options"] = self.options
        if self.chains is not None:
            told["chains"] = self.chains
        return told

    def contents(self) -> dict[str, bytes]:
        """Return all files of the case's folder."""
        told = json.dumps(self.expectation(), indent=2, ensure_ascii=False) + "\n"
        made = {f"input.{self.suffix}": self.data, "expect.json": told.encode(), **self.files}
        if self.trust is not None:
            made["trust.toml"] = self.trust.encode()
        return made


def verdict_of(codes: Iterable[str]) -> str:
    """Return the verdict that these codes lead to: refused beats unchecked beats verified."""
    decisive = {code for code in codes if code.isupper()}
    if not decisive:
        return "verified"
    return "refused" if decisive - UNCHECKED_CODES else "unchecked"


def did_key(raw: bytes, prefix: bytes = b"\xed\x01") -> str:
    """Return raw key bytes as did:key."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number, digits = int.from_bytes(prefix + raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = alphabet[digit] + digits
    return "did:key:z" + digits


def pem(label: str, der: bytes) -> str:
    """Return DER as PEM."""
    return f"-----BEGIN {label}-----\n{b64encode(der).decode()}\n-----END {label}-----\n"


def sha256(data: bytes) -> str:
    """Return the protocol's spelling of a SHA-256."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def b64u(data: bytes) -> str:
    """Return multibase `u`: base64url without padding."""
    return "u" + urlsafe_b64encode(data).decode().rstrip("=")


def uuid(*names: object) -> str:
    """Return a version 4 UUID that is made from names."""
    digits = hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"


def moment(number: int) -> str:
    """Return the timestamp of the receipt with that number: one a second."""
    return f"2026-01-02T03:{number // 60:02d}:{number % 60:02d}.000Z"


def context_of(version: str) -> str:
    """Return the context URI that goes with a version."""
    number = {"0.5.0": 2, "0.6.0": 3}.get(version, 1)
    return f"https://agentreceipts.ai/context/v{number}"


def draft(case: str, number: int = 1, *, version: str = NEWEST, issuer: str = ISSUER_ID) -> Json:
    """Return a small unsigned receipt, genesis of its chain; ids come from case and number."""
    return {
        "@context": [W3C, context_of(version)],
        "id": f"urn:receipt:{uuid(case, number, 'receipt')}",
        "type": ["VerifiableCredential", "AgentReceipt"],
        "version": version,
        "issuer": {"id": issuer},
        "issuanceDate": moment(number),
        "credentialSubject": {
            "principal": {"id": "did:user:alice"},
            "action": {
                "id": f"act_{uuid(case, number, 'action')}",
                "type": "filesystem.file.read",
                "risk_level": "low",
                "timestamp": moment(number),
            },
            "outcome": {"status": "success"},
            "chain": {
                "sequence": 1,
                "previous_receipt_hash": None,
                "chain_id": f"chain-{case}",
            },
        },
    }


def envelope(case: str) -> Json:
    """Return a disclosure envelope of the right shape; nobody has the key."""
    filler = hashlib.sha512(f"{case} envelope".encode()).digest()
    return {
        "v": "1",
        "alg": "hpke-x25519-hkdf-sha256-aes-256-gcm",
        "recipients": [{"kid": HASH_A, "enc": b64u(filler[:32])[1:]}],
        "ct": b64u(filler)[1:],
    }


def rotation(old: Key, new: Key) -> Json:
    """Return the `keyRotation` member that hands over from one key to another."""
    return {
        "event_type": "key_rotated",
        "new_public_key": b64u(new.raw),
        "old_key_fingerprint": old.fingerprint,
        "new_key_fingerprint": new.fingerprint,
        "old_algorithm": "ed25519",
        "new_algorithm": "ed25519",
        "signed_with": "old",
    }


def full_draft(case: str) -> Json:
    """Return an unsigned receipt with every member of the protocol."""
    made = draft(case)
    made["issuer"] |= {
        "type": "AIAgent",
        "name": "Sample agent",
        "operator": {"id": "did:org:acme", "name": "Acme"},
        "model": "model-1",
        "session_id": "session-1",
        "runtime": {"agent_id": "sub-1", "agent_type": "general", "usage": {"in": 12, "out": 34}},
    }
    subject = made["credentialSubject"]
    subject["principal"]["type"] = "HumanPrincipal"
    subject["action"] |= {
        "target": {"system": "disk", "resource": "/srv/data.csv"},
        "parameters_hash": HASH_A,
        "parameters_disclosure": envelope(case),
        "peer_credential": {
            "platform": "linux", "pid": 4711, "uid": 0, "gid": 0, "exe_path": "/usr/bin/agent"
        },
        "emitter_metadata": {"drop_count": 0},
        "trusted_timestamp": "MIIBAg==",
        "idempotency_key": "request-1",
    }  # fmt: skip
    subject["intent"] = {
        "conversation_hash": HASH_A,
        "prompt_preview": "read the file",
        "prompt_preview_truncated": False,
        "reasoning_hash": HASH_B,
    }
    subject["outcome"] |= {
        "error": "none",
        "reversible": True,
        "reversal_method": "restore",
        "reversal_window_seconds": 30,
        "reversal_of": f"urn:receipt:{uuid(case, 'reversed')}",
        "state_change": {"before_hash": HASH_A, "after_hash": HASH_B},
        "response_hash": HASH_B,
        "response_disclosure": envelope(case + " response"),
    }
    subject["authorization"] = {
        "scopes": ["files:read"],
        "granted_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-12-31T23:59:59Z",
        "grant_ref": "grant-1",
    }
    subject["delegation"] = {
        "parent_chain_id": "chain-parent",
        "parent_receipt_id": f"urn:receipt:{uuid(case, 'parent')}",
        "delegator": {"id": "did:agent:parent"},
    }
    subject["chain"] |= {"terminal": True, "status": "complete"}
    subject["keyRotation"] = rotation(FIRST, SECOND)
    subject["correlation_id"] = "call-1"
    return made


def put(value: Json, pointer: str, new: Any) -> Json:
    """Return a copy with the member at a JSON Pointer set."""
    made = copy.deepcopy(value)
    *steps, last = pointer.split("/")[1:]
    inner: Any = made
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    if isinstance(inner, list):
        inner[int(last)] = new
    else:
        inner[last] = new
    return made


def without(value: Json, pointer: str) -> Json:
    """Return a copy without the member at a JSON Pointer."""
    made = copy.deepcopy(value)
    *steps, last = pointer.split("/")[1:]
    inner: Any = made
    for step in steps:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    del inner[last]
    return made


def body(receipt: Json) -> bytes:
    """Return what is signed and hashed: the RFC 8785 form without the proof."""
    return rfc8785.dumps({name: receipt[name] for name in receipt if name != "proof"})


def digest(receipt: Json) -> str:
    """Return the hash by which the next receipt names this one."""
    return sha256(body(receipt))


def prove(unsigned: Json, signature: bytes | str) -> Json:
    """Return the receipt with a proof that holds this signature (or this proofValue)."""
    issuer = unsigned.get("issuer")
    name = issuer.get("id") if isinstance(issuer, dict) else ISSUER_ID
    return unsigned | {
        "proof": {
            "type": "Ed25519Signature2020",
            "created": PROVED_AT,
            "verificationMethod": f"{name or ISSUER_ID}#key-1",
            "proofPurpose": "assertionMethod",
            "proofValue": signature if isinstance(signature, str) else b64u(signature),
        }
    }


def sign(unsigned: Json, key: Key = FIRST) -> Json:
    """Return the signed receipt."""
    return prove(unsigned, key.sign(body(unsigned)))


def spell(value: Any) -> bytes:
    """Return sorted, compact JSON: RFC 8785 where that is possible, and types kept elsewhere."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def lines(receipts: list[Json]) -> bytes:
    """Return JSON Lines."""
    return b"".join(spell(receipt) + b"\n" for receipt in receipts)
