# SPDX-License-Identifier: Apache-2.0
"""What a solver posts, made by Python: members, digests, trees and manifests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from eth_abi.abi import encode as abi_encode
from eth_hash.auto import keccak

from tallystick.crypto.merkle import leaf_hash, path_in, tree_rows

NO_ADDRESS: Final = "0x" + "00" * 20
LOCATION: Final = "https://evidence.example/bundle.tally"

_DOMAIN: Final = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_RECEIPT: Final = keccak(
    b"TypedReceipt(bytes32 intentHash,bytes32 constraintsHash,bytes32 routeHash,"
    b"bytes32 outcomeHash,bytes32 evidenceHash,uint64 createdAt,uint64 expiry,bytes32 solverId,"
    b"address requester,uint256 declaredVolume,bytes32 locationHash)"
)
_MEMBERS: Final = ["bytes32"] * 5 + ["uint64"] * 2 + ["bytes32"]
_TYPED: Final = [*_MEMBERS, "address", "uint256", "bytes32"]


def separator(name: str, chain_id: int, contract: str) -> bytes:
    """Return an EIP-712 domain."""
    members = (_DOMAIN, keccak(name.encode()), keccak(b"1"), chain_id, contract)
    return keccak(abi_encode(["bytes32"] * 3 + ["uint256", "address"], members))


def typed_digest(domain: bytes, struct: bytes) -> bytes:
    """Return the EIP-712 digest of a struct."""
    return keccak(b"\x19\x01" + domain + struct)


def register_digest(chain_id: int, registry: str, operator: str, metadata: bytes) -> bytes:
    """Return what an operator signs to be registered."""
    kind = keccak(b"Register(address operator,bytes32 metadataHash)")
    struct = keccak(abi_encode(["bytes32", "address", "bytes32"], (kind, operator, metadata)))
    return typed_digest(separator("Tallystick SolverRegistry", chain_id, registry), struct)


def rotate_digest(chain_id: int, registry: str, solver: bytes, operator: str) -> bytes:
    """Return what a new key signs to follow an old one."""
    kind = keccak(b"Rotate(bytes32 solverId,address operator)")
    struct = keccak(abi_encode(["bytes32", "bytes32", "address"], (kind, solver, operator)))
    return typed_digest(separator("Tallystick SolverRegistry", chain_id, registry), struct)


@dataclass(frozen=True, kw_only=True)
class Members:
    """The members of a receipt; the last three belong to the typed form."""

    intent: bytes
    constraints: bytes = b"\xc0" * 32
    route: bytes = b"\xa0" * 32
    outcome: bytes = b"\x0c" * 32
    evidence: bytes = b"\xed" * 32
    created_at: int
    expiry: int = 0
    solver: bytes
    requester: str = NO_ADDRESS
    volume: int = 0
    location: str | None = None

    @property
    def eight(self) -> tuple[Any, ...]:
        """What both forms have."""
        return (
            self.intent,
            self.constraints,
            self.route,
            self.outcome,
            self.evidence,
            self.created_at,
            self.expiry,
            self.solver,
        )

    @property
    def claim(self) -> tuple[Any, ...]:
        """The eleven members, as disputes take them."""
        if self.location is None:
            return (*self.eight, NO_ADDRESS, 0, b"\0" * 32)
        return (*self.eight, self.requester, self.volume, keccak(self.location.encode()))

    def legacy_id(self) -> bytes:
        """Return the identifier in the source's form."""
        return keccak(abi_encode(_MEMBERS, self.eight))

    def legacy_digest(self, chain_id: int, hub: str, nonce: int) -> bytes:
        """Return the eleven words under EIP-191."""
        words = abi_encode(
            ["uint256", "address", "uint256", *_MEMBERS], (chain_id, hub, nonce, *self.eight)
        )
        return keccak(b"\x19Ethereum Signed Message:\n32" + keccak(words))

    def typed_id(self, chain_id: int, hub: str) -> bytes:
        """Return the EIP-712 digest."""
        struct = keccak(abi_encode(["bytes32", *_TYPED], (_RECEIPT, *self.claim)))
        return typed_digest(separator("Tallystick IntentReceiptHub", chain_id, hub), struct)

    def but(self, **changes: Any) -> Members:
        """Return these with some changed."""
        return replace(self, **changes)


def canonical(value: object) -> bytes:
    """Return RFC 8785 for what stands in these tests: no floats, ASCII keys."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def entry(path: str, data: bytes, size: int | None = None) -> bytes:
    """Return an artefact's entry."""
    return canonical(
        {
            "bytes": len(data) if size is None else size,
            "contentType": "text/plain",
            "path": path,
            "sha256": sha256(data).hexdigest(),
        }
    )


def outcome_hash(count: int, root: bytes) -> bytes:
    """Return what a receipt commits to."""
    return sha256(b"\2" + count.to_bytes(8, "big") + root).digest()


@dataclass(frozen=True)
class Tree:
    """Entries and the tree over them."""

    entries: Sequence[bytes]
    rows: list[list[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tree_rows([leaf_hash(one) for one in self.entries]))

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self.entries)

    @property
    def root(self) -> bytes:
        """The root over them."""
        return self.rows[-1][0] if self.entries else sha256(b"").digest()

    @property
    def outcome(self) -> bytes:
        """What a receipt commits to."""
        return outcome_hash(self.count, self.root)

    def path(self, index: int) -> list[bytes]:
        """Return the path of an entry."""
        return path_in(self.rows, index)

    def proof(self, index: int) -> tuple[int, bytes, int, bytes, list[bytes]]:
        """Return count, root, index, entry and path: what the contract takes."""
        return self.count, self.root, index, self.entries[index], self.path(index)


def manifest(members: Members, tree: Tree, **changes: object) -> bytes:
    """Return a manifest that says what a receipt says, or something else."""
    said: dict[str, object] = {
        "manifestVersion": "1.0.0",
        "origin": "run",
        "artifactCount": tree.count,
        "artifacts": [json.loads(one) for one in tree.entries],
        "artifactsRoot": f"sha256:{tree.root.hex()}",
        "createdAt": "2027-01-15T08:00:00Z",
        "environment": {"runner": "command", "sandbox": {"note": 'a "quoted" { brace'}},
        "executionSummary": {"details": {"intentHash": "sha256:" + "0" * 64}, "status": "SUCCESS"},
        "intentHash": f"sha256:{members.intent.hex()}",
        "intentId": members.intent.hex(),
        "policyHash": f"sha256:{members.constraints.hex()}",
        "receiptChain": {
            "chainId": "run_1",
            "head": f"sha256:{members.route.hex()}",
            "length": 3,
        },
        "solver": {"service": "tallystick"},
    }
    said.update(changes)
    return canonical({key: value for key, value in said.items() if value is not ...})
