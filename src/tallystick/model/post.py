# SPDX-License-Identifier: Apache-2.0
"""What a solver puts on chain about a run, and the hashes and digests made of it.

`Commitment` is the eight words of the source's `IntentReceipt`. A post of the first form signs
eleven words under EIP-191; a typed one signs EIP-712 and names whom it was done for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import read_address
from tallystick.errors import StatementError
from tallystick.model.artifact import outcome_hash
from tallystick.model.evm_statement import Eip191, Eip712
from tallystick.model.manifest import Manifest

NO_ADDRESS: Final = "0x" + "00" * 20
_WORDS: Final = (
    "intent_hash",
    "constraints_hash",
    "route_hash",
    "outcome_hash",
    "evidence_hash",
    "solver_id",
)
_COMMON: Final = (
    ("intentHash", "bytes32"),
    ("constraintsHash", "bytes32"),
    ("routeHash", "bytes32"),
    ("outcomeHash", "bytes32"),
    ("evidenceHash", "bytes32"),
    ("createdAt", "uint64"),
    ("expiry", "uint64"),
    ("solverId", "bytes32"),
)
TYPED_RECEIPT: Final = {
    "TypedReceipt": (
        *_COMMON,
        ("requester", "address"),
        ("declaredVolume", "uint256"),
        ("locationHash", "bytes32"),
    )
}
_CONSENT: Final = {
    "Register": (("operator", "address"), ("metadataHash", "bytes32")),
    "Rotate": (("solverId", "bytes32"), ("operator", "address")),
}


class Commitment(msgspec.Struct, frozen=True, kw_only=True):
    """The eight words that both forms of a post have."""

    intent_hash: bytes
    constraints_hash: bytes
    route_hash: bytes
    outcome_hash: bytes
    evidence_hash: bytes
    created_at: int
    expiry: int
    solver_id: bytes

    def __post_init__(self) -> None:
        """Refuse what does not fit into its word."""
        for name in _WORDS:
            found = getattr(self, name)
            if not isinstance(found, bytes) or len(found) != 32:
                raise StatementError(f"{name} has not 32 bytes")
        for name in ("created_at", "expiry"):
            number = getattr(self, name)
            if type(number) is not int or not 0 <= number < 1 << 64:
                raise StatementError(f"{name} is no number of 64 bits")

    def eight(self) -> tuple[bytes, bytes, bytes, bytes, bytes, int, int, bytes]:
        """Return the members in the contract's order."""
        return (
            self.intent_hash,
            self.constraints_hash,
            self.route_hash,
            self.outcome_hash,
            self.evidence_hash,
            self.created_at,
            self.expiry,
            self.solver_id,
        )

    def words(self) -> bytes:
        """Return the eight words as `abi.encode` writes them."""
        return b"".join(
            one.to_bytes(32, "big") if isinstance(one, int) else one for one in self.eight()
        )

    def receipt_id(self) -> bytes:
        """Return the identifier of a post of the first form, the same on every chain."""
        return keccak256(self.words())


class TypedTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a typed post adds: for whom, how much is at stake, and where the evidence is."""

    requester: str
    declared_volume: int
    location_hash: bytes


# What a claim about a post of the first form has in place of them.
NO_TERMS: Final = TypedTerms(requester=NO_ADDRESS, declared_volume=0, location_hash=bytes(32))


def message_statement(
    commitment: Commitment, *, chain_id: int, contract: str, nonce: int
) -> Eip191:
    """Return what a solver signs for `postReceipt`: the hash of eleven words, under EIP-191."""
    head = (chain_id, int.from_bytes(read_address(contract), "big"), nonce)
    words = b"".join(one.to_bytes(32, "big") for one in head) + commitment.words()
    return Eip191(message=keccak256(words))


def typed_statement(
    commitment: Commitment, terms: TypedTerms, *, chain_id: int, contract: str
) -> Eip712:
    """Return what a solver signs for `postReceiptTyped`; its digest is the post's identifier."""
    members = zip((name for name, _ in _COMMON), commitment.eight(), strict=True)
    return Eip712(
        domain=_domain("Tallystick IntentReceiptHub", chain_id, contract),
        types=TYPED_RECEIPT,
        primary_type="TypedReceipt",
        message={
            **dict(members),
            "requester": terms.requester,
            "declaredVolume": terms.declared_volume,
            "locationHash": terms.location_hash,
        },
    )


def register_statement(
    operator: str, metadata_hash: bytes, *, chain_id: int, contract: str
) -> Eip712:
    """Return what an operator signs to be registered."""
    return Eip712(
        domain=_domain("Tallystick SolverRegistry", chain_id, contract),
        types={"Register": _CONSENT["Register"]},
        primary_type="Register",
        message={"operator": operator, "metadataHash": metadata_hash},
    )


def rotate_statement(solver_id: bytes, operator: str, *, chain_id: int, contract: str) -> Eip712:
    """Return what a key signs to follow a solver's operator."""
    return Eip712(
        domain=_domain("Tallystick SolverRegistry", chain_id, contract),
        types={"Rotate": _CONSENT["Rotate"]},
        primary_type="Rotate",
        message={"solverId": solver_id, "operator": operator},
    )


def commitment_of(
    manifest: Manifest, digest: bytes, *, solver_id: bytes, created_at: int, expiry: int = 0
) -> Commitment:
    """Return what a run's manifest is committed by; `digest` is the manifest's SHA-256."""
    binding = manifest.receipt_chain
    if manifest.intent_hash is None or manifest.policy_hash is None or binding is None:
        raise StatementError(
            "the bundle can't be posted: it is not of a run with an intent, a decision and receipts"
        )
    root = _hash_of(manifest.artifacts_root)
    return Commitment(
        intent_hash=_hash_of(manifest.intent_hash),
        constraints_hash=_hash_of(manifest.policy_hash),
        route_hash=_hash_of(binding.head),
        outcome_hash=outcome_hash(manifest.artifact_count, root),
        evidence_hash=digest,
        created_at=created_at,
        expiry=expiry,
        solver_id=solver_id,
    )


def _hash_of(tagged: str) -> bytes:
    try:
        return bytes.fromhex(tagged.removeprefix("sha256:"))
    except ValueError:
        raise StatementError("a hash of the manifest is none") from None


def _domain(name: str, chain_id: int, contract: str) -> dict[str, object]:
    return {"name": name, "version": "1", "chainId": chain_id, "verifyingContract": contract}
