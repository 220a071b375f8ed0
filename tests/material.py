# SPDX-License-Identifier: Apache-2.0
"""Receipts for tests, made from plain dicts: signed and linked without the code under test.

Only the key and the raw signature come from the library; the canonical form is `rfc8785`'s.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, Final

import rfc8785

from tallystick.crypto.ed25519 import KeyPair
from tallystick.crypto.multibase import b64u_encode

KEY: Final = KeyPair.from_seed(bytes(range(32)))
OTHER_KEY: Final = KeyPair.from_seed(bytes(range(1, 33)))
PUBLIC: Final = KEY.signing_key().public_key
OTHER_PUBLIC: Final = OTHER_KEY.signing_key().public_key

ISSUER: Final = "did:agent:a"
METHOD: Final = "did:agent:a#key-1"
CHAIN: Final = "chain:a"
DAY: Final = "2026-05-04T03:02:01.000Z"

CONTEXTS: Final = {
    "0.1.0": 1, "0.2.0": 1, "0.2.1": 1, "0.3.0": 1, "0.4.0": 1, "0.5.0": 2, "0.6.0": 3,
}  # fmt: skip

Members = dict[str, Any]


def uuid(number: int) -> str:
    """Return a text of a UUID's shape, another for each number."""
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def context(version: str) -> list[str]:
    """Return `@context` as it goes with a version."""
    ours = f"https://agentreceipts.ai/context/v{CONTEXTS[version]}"
    return ["https://www.w3.org/ns/credentials/v2", ours]


def statement(
    sequence: int = 1,
    previous: str | None = None,
    *,
    chain_id: str = CHAIN,
    number: int | None = None,
    version: str = "0.6.0",
) -> Members:
    """Return the least that a receipt states, unsigned."""
    number = sequence if number is None else number
    return {
        "@context": context(version),
        "credentialSubject": {
            "action": {
                "id": f"act_{uuid(number)}",
                "risk_level": "low",
                "timestamp": DAY,
                "type": "filesystem.file.read",
            },
            "chain": {
                "chain_id": chain_id,
                "previous_receipt_hash": previous,
                "sequence": sequence,
            },
            "outcome": {"status": "success"},
            "principal": {"id": "did:user:u"},
        },
        "id": f"urn:receipt:{uuid(number)}",
        "issuanceDate": DAY,
        "issuer": {"id": ISSUER},
        "type": ["VerifiableCredential", "AgentReceipt"],
        "version": version,
    }


def body_of(receipt: Members) -> bytes:
    """Return what is signed and hashed, in RFC 8785 form."""
    return rfc8785.dumps({name: receipt[name] for name in receipt if name != "proof"})


def hash_of(receipt: Members) -> str:
    """Return the hash that the next receipt of the chain names."""
    return "sha256:" + sha256(body_of(receipt)).hexdigest()


def signed(receipt: Members, key: KeyPair = KEY, method: str = METHOD) -> Members:
    """Return the receipt with a proof by that key, in place of any that it had."""
    signature = key.signing_key().sign(body_of(receipt))
    proof = {
        "created": DAY,
        "proofPurpose": "assertionMethod",
        "proofValue": "u" + b64u_encode(signature),
        "type": "Ed25519Signature2020",
        "verificationMethod": method,
    }
    return {**receipt, "proof": proof}


def chain_of(
    length: int,
    *,
    key: KeyPair = KEY,
    chain_id: str = CHAIN,
    first_number: int = 1,
    change: Callable[[Members, int], None] | None = None,
) -> list[Members]:
    """Return a chain, linked and signed; `change` may alter each statement before."""
    receipts: list[Members] = []
    previous = None
    for sequence in range(1, length + 1):
        number = first_number + sequence - 1
        receipt = statement(sequence, previous, chain_id=chain_id, number=number)
        if change is not None:
            change(receipt, sequence)
        receipts.append(signed(receipt, key))
        previous = hash_of(receipt)
    return receipts


def relinked(receipts: Iterable[Members], key: KeyPair = KEY) -> list[Members]:
    """Return receipts renumbered, linked and signed anew: what only the key's holder can do."""
    done: list[Members] = []
    previous = None
    for sequence, receipt in enumerate(receipts, 1):
        link = {"sequence": sequence, "previous_receipt_hash": previous}
        fresh = copy.deepcopy(receipt)
        fresh["credentialSubject"]["chain"] |= link
        done.append(signed(fresh, key))
        previous = hash_of(fresh)
    return done


def with_member(receipt: Members, pointer: str, value: object) -> Members:
    """Return a deep copy with the member at a JSON Pointer set; objects on the way are made."""
    changed = copy.deepcopy(receipt)
    *way, last = pointer[1:].split("/")
    place: Any = changed
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return changed


def without_member(receipt: Members, pointer: str) -> Members:
    """Return a deep copy without the member at a JSON Pointer."""
    changed = copy.deepcopy(receipt)
    *way, last = pointer[1:].split("/")
    place: Any = changed
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    del place[last]
    return changed


def wire(receipt: Members) -> bytes:
    """Return the RFC 8785 bytes of a receipt."""
    return rfc8785.dumps(receipt)


def lines(receipts: Iterable[Members]) -> bytes:
    """Return receipts as JSON Lines."""
    return b"".join(wire(receipt) + b"\n" for receipt in receipts)


def array(receipts: Iterable[Members], indent: int | None = None) -> bytes:
    """Return receipts as a JSON array."""
    return json.dumps(list(receipts), indent=indent, ensure_ascii=False).encode()


def full_statement(sequence: int = 1, previous: str | None = None) -> Members:
    """Return a statement with every member that the protocol has, delegation and all."""
    receipt = statement(sequence, previous)
    digest = "sha256:" + "a" * 64
    receipt["issuer"] |= {
        "model": "m",
        "name": "Agent",
        "operator": {"id": "did:org:o", "name": "Org"},
        "runtime": {"agent_id": "a", "agent_type": "t", "load": 0.5, "nested": {"n": [1, None]}},
        "session_id": "s",
        "type": "Agent",
    }
    subject = receipt["credentialSubject"]
    subject["principal"]["type"] = "HumanPrincipal"
    subject["action"] |= {
        "emitter_metadata": {"drop_count": 0},
        "idempotency_key": "k",
        "parameters_disclosure": {"path": "/x"},
        "parameters_hash": digest,
        "peer_credential": {
            "exe_path": "/bin/x", "gid": 1, "pid": 2, "platform": "linux", "uid": 3,
        },
        "target": {"resource": "r", "system": "s"},
        "tool_name": "read",
        "trusted_timestamp": "AAAA",
    }  # fmt: skip
    subject["intent"] = {
        "conversation_hash": digest,
        "prompt_preview": "p",
        "prompt_preview_truncated": True,
        "reasoning_hash": digest,
    }
    subject["outcome"] |= {
        "error": "e",
        "response_disclosure": envelope(),
        "response_hash": digest,
        "reversal_method": "undo",
        "reversal_of": f"urn:receipt:{uuid(77)}",
        "reversal_window_seconds": 60,
        "reversible": True,
        "state_change": {"after_hash": digest, "before_hash": digest},
    }
    subject["authorization"] = {
        "expires_at": "2027-01-01T00:00:00Z",
        "grant_ref": "g",
        "granted_at": "2026-01-01T00:00:00Z",
        "scopes": ["files:read"],
    }
    subject["delegation"] = {
        "delegator": {"id": "did:agent:p"},
        "parent_chain_id": "chain:p",
        "parent_receipt_id": f"urn:receipt:{uuid(78)}",
    }
    subject["correlation_id"] = "c"
    subject["chain"] |= {"status": "complete", "terminal": True}
    return receipt


def envelope() -> Members:
    """Return a disclosure envelope of the right shape; nothing is inside."""
    return {
        "alg": "hpke-x25519-hkdf-sha256-aes-256-gcm",
        "ct": "A" * 24,
        "recipients": [{"enc": "A" * 43, "kid": "k"}],
        "v": "1",
    }


def rotation(old: bytes, new: bytes) -> Members:
    """Return the `keyRotation` member that hands over from one raw public key to another."""
    return {
        "event_type": "key_rotated",
        "new_algorithm": "ed25519",
        "new_key_fingerprint": "sha256:" + sha256(new).hexdigest(),
        "new_public_key": "u" + b64u_encode(new),
        "old_algorithm": "ed25519",
        "old_key_fingerprint": "sha256:" + sha256(old).hexdigest(),
        "signed_with": "old",
    }
