# SPDX-License-Identifier: Apache-2.0
"""What stands in the contracts, read through a node: solvers, posts, disputes, claims."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final, TypeVar

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.secp256k1 import checksum_address, read_address
from tallystick.errors import NodeError, PostingError
from tallystick.model.post import NO_TERMS, Commitment, TypedTerms, typed_statement
from tallystick.onchain.artifact import DISPUTES, RECEIPTS, REGISTRY
from tallystick.onchain.codec import call_data, event_members, outputs, topic
from tallystick.onchain.deployment import Deployment
from tallystick.onchain.node import Event, Node

# A dispute about the manifest asks for this index.
MANIFEST_INDEX: Final = (1 << 64) - 1
# The state of a dispute that has not ended.
_OPEN: Final = 1


Status = TypeVar("Status", bound=IntEnum)


class PostStatus(IntEnum):
    """The statuses of a post, as in the contract."""

    PENDING = 0
    DISPUTED = 1
    FINALIZED = 2
    SLASHED = 3
    UNRESOLVED = 4


class SolverStatus(IntEnum):
    """The statuses of a solver, as in the contract."""

    INACTIVE = 0
    ACTIVE = 1
    JAILED = 2
    BANNED = 3


class SolverState(msgspec.Struct, frozen=True, kw_only=True):
    """A solver as the registry has it."""

    solver_id: bytes
    operator: str
    status: SolverStatus
    strikes: int
    registered_at: int
    jailed_until: int
    bond: int
    reserved: int
    finalized: int
    lost: int


class PostState(msgspec.Struct, frozen=True, kw_only=True):
    """A post as the contract keeps it."""

    status: PostStatus
    typed: bool
    promised: bool
    settled: bool
    unresolved: bool
    open_disputes: int
    solver_id: bytes
    posted_at: int
    deadline: int
    expiry: int
    declared_volume: int
    stake: int


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """A post with the members that its events show; they have been checked against its id."""

    receipt_id: bytes
    commitment: Commitment
    terms: TypedTerms
    location: str
    nonce: int | None
    block: int

    @property
    def typed(self) -> bool:
        """Whether it is one that names a requester."""
        return self.nonce is None

    def claim(self) -> tuple[Any, ...]:
        """Return the eleven members that disputes take."""
        terms = self.terms
        return (
            *self.commitment.eight(),
            terms.requester,
            terms.declared_volume,
            terms.location_hash,
        )


class DisputeState(msgspec.Struct, frozen=True, kw_only=True):
    """An availability dispute as its event told of it."""

    dispute_id: int
    receipt_id: bytes
    challenger: str
    index: int
    due_at: int
    block: int


class CaseState(msgspec.Struct, frozen=True, kw_only=True):
    """A dispute before a panel as its event told of it: until when it is what."""

    dispute_id: int
    evidence_until: int
    commit_until: int
    reveal_until: int


class Contracts:
    """Reads one deployment."""

    def __init__(self, node: Node, deployment: Deployment) -> None:
        """Nothing is asked yet, but the chain's number must be the deployment's."""
        if node.chain_id != deployment.chain_id:
            raise PostingError(
                f"the node is on chain {node.chain_id}, the contracts are on {deployment.chain_id}"
            )
        self.node = node
        self.at = deployment

    def read(self, contract: str, function: str, *arguments: Any) -> Any:
        """Return what a view function returns: one value, or several in a tuple."""
        data = call_data(contract, function, *arguments)
        place = self.at.address(contract)
        answer = self.node.call({"to": place, "data": data})
        if not answer and not self.node.has_code(place):
            raise PostingError(f"there is no contract at {place} ({contract}) on that chain")
        found = outputs(contract, function, answer)
        return found[0] if len(found) == 1 else found

    def solver_of(self, operator: str) -> bytes | None:
        """Return the id of the solver for whom an address speaks, if there is one."""
        found: bytes = self.read(REGISTRY, "getSolverByOperator", operator)
        return found if any(found) else None

    def solver(self, solver_id: bytes) -> SolverState:
        """Return a solver's state."""
        found = self.read(REGISTRY, "getSolver", solver_id)
        names = SolverState.__struct_fields__[1:]
        members = dict(zip(names, found, strict=True))
        members["operator"] = _checksummed(members["operator"])
        members["status"] = _status(SolverStatus, members["status"])
        return SolverState(solver_id=solver_id, **members)

    def withdrawal(self, solver_id: bytes) -> tuple[int, int, int]:
        """Return what a solver asks back of its bond: how much, from when on, and until when."""
        amount, ready_at, expires_at = self.read(REGISTRY, "withdrawals", solver_id)
        return amount, ready_at, expires_at

    def operator_at(self, solver_id: bytes, moment: int) -> str:
        """Return the key that spoke for a solver at a moment: it may have been rotated since."""
        found = self.solver(solver_id).operator
        keys = [found]
        if not self.read(REGISTRY, "isKeyAt", solver_id, found, moment):
            told = self._logs(REGISTRY, "OperatorKeyRotated", [solver_id])
            keys = [
                _checksummed(event_members(REGISTRY, "OperatorKeyRotated", one)["oldOperator"])
                for one in told
            ]
        for key in keys:
            if key == found or self.read(REGISTRY, "isKeyAt", solver_id, key, moment):
                return key
        raise NodeError("the node shows no key of the solver for that time")

    def post(self, receipt_id: bytes) -> PostState:
        """Return a post's state; raise RevertError where there is none."""
        found = self.read(RECEIPTS, "getPost", receipt_id)
        members = dict(zip(PostState.__struct_fields__, found, strict=True))
        members["status"] = _status(PostStatus, members["status"])
        return PostState(**members)

    def posted_for(self, solver_id: bytes, intent_hash: bytes) -> bytes | None:
        """Return the id of the one post of a solver for an intent, if there is one."""
        found: bytes = self.read(RECEIPTS, "receiptOf", solver_id, intent_hash)
        return found if any(found) else None

    def clock(self) -> int:
        """Return the time in which deadlines count: pauses stop it."""
        found: int = self.read(REGISTRY, "clock")
        return found

    def posted(self, receipt_id: bytes) -> Posted:
        """Return a post with its members, rebuilt from its events and checked against its id."""
        first = self._logs(RECEIPTS, "ReceiptPosted", [receipt_id])
        if not first:
            raise PostingError(f"there is no post 0x{receipt_id.hex()} in these contracts")
        told = event_members(RECEIPTS, "ReceiptPosted", first[0])
        for event in ("TypedReceiptRecorded", "ReceiptRecorded"):
            found = self._logs(RECEIPTS, event, [receipt_id], first[0].block)
            if found:
                members = told | event_members(RECEIPTS, event, found[0])
                return self._checked(receipt_id, members, first[0].block)
        raise PostingError(f"the node shows no members of the post 0x{receipt_id.hex()}")

    def posts(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        """Return block and id of the posts in a range of blocks."""
        logs = self.node.logs(self.at.receipts, [topic(RECEIPTS, "ReceiptPosted")], start, stop)
        return [
            (one.block, event_members(RECEIPTS, "ReceiptPosted", one)["receiptId"]) for one in logs
        ]

    def questions(self, receipt_id: bytes | None = None) -> list[DisputeState]:
        """Return the availability disputes, about one post or all."""
        topics = [None, receipt_id] if receipt_id is not None else []
        return self._asked(self._logs(DISPUTES, "AvailabilityChallenged", topics))

    def asked_by(self, challenger: str, start: int, stop: int) -> list[DisputeState]:
        """Return the availability disputes that somebody opened in a range of blocks."""
        who = read_address(challenger)
        topics = [topic(DISPUTES, "AvailabilityChallenged"), None, None, bytes(12) + who]
        found = self._asked(self.node.logs(self.at.disputes, topics, start, stop))
        return [one for one in found if read_address(one.challenger) == who]

    def has_ended(self, question: DisputeState, stop: int) -> bool:
        """Whether a question ended in a block up to this one."""
        number = question.dispute_id.to_bytes(32, "big")
        topics = [topic(DISPUTES, "DisputeResolved"), number]
        return any(self.node.logs(self.at.disputes, topics, question.block, stop))

    def _asked(self, events: Iterable[Event]) -> list[DisputeState]:
        return [
            DisputeState(
                dispute_id=told["disputeId"],
                receipt_id=told["receiptId"],
                challenger=_checksummed(told["challenger"]),
                index=told["index"],
                due_at=told["dueAt"],
                block=one.block,
            )
            for one in events
            for told in (event_members(DISPUTES, "AvailabilityChallenged", one),)
        ]

    def cases(self, receipt_id: bytes) -> list[CaseState]:
        """Return the disputes about a post that a panel decides."""
        return [
            CaseState(
                dispute_id=told["disputeId"],
                evidence_until=told["evidenceUntil"],
                commit_until=told["commitUntil"],
                reveal_until=told["revealUntil"],
            )
            for one in self._logs(DISPUTES, "SubjectiveChallenged", [None, receipt_id])
            for told in (event_members(DISPUTES, "SubjectiveChallenged", one),)
        ]

    def is_open(self, dispute_id: int) -> bool:
        """Whether a dispute has not ended."""
        return bool(self.read(DISPUTES, "disputes", dispute_id)[5] == _OPEN)

    def _logs(
        self, contract: str, event: str, indexed: list[bytes | None], block: int | None = None
    ) -> list[Event]:
        topics: list[Any] = [topic(contract, event), *indexed]
        start = self.at.first_block if block is None else block
        return list(self.node.logs(self.at.address(contract), topics, start, block))

    def _checked(self, receipt_id: bytes, members: dict[str, Any], block: int) -> Posted:
        nonce = members.get("nonce")
        commitment = Commitment(
            intent_hash=members["intentHash"],
            constraints_hash=members["constraintsHash"],
            route_hash=members["routeHash"],
            outcome_hash=members["outcomeHash"],
            evidence_hash=members["evidenceHash"],
            created_at=members["createdAt"],
            expiry=members["expiry"],
            solver_id=members["solverId"],
        )
        location = members.get("location", "")
        terms = NO_TERMS
        made = commitment.receipt_id()
        if nonce is None:
            terms = TypedTerms(
                requester=_checksummed(members["requester"]),
                declared_volume=members["declaredVolume"],
                location_hash=keccak256(location.encode(errors="surrogateescape")),
            )
            made = typed_statement(
                commitment, terms, chain_id=self.at.chain_id, contract=self.at.receipts
            ).digest()
        if made != receipt_id:
            raise PostingError("the node's events are not those of that post")
        return Posted(
            receipt_id=receipt_id,
            commitment=commitment,
            terms=terms,
            location=location,
            nonce=nonce,
            block=block,
        )


def _status(kind: type[Status], number: int) -> Status:
    try:
        return kind(number)
    except ValueError:
        raise NodeError(f"the node gave the status {number}, which there is not") from None


def _checksummed(address: str) -> str:
    return checksum_address(read_address(address.lower()))
