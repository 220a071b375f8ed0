# SPDX-License-Identifier: Apache-2.0
"""Receipts of one transaction: built, linked and signed, and not yet written.

A batch works on heads of its own. They become the ledger's when the transaction is on stable
storage, and are forgotten when it is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from tallystick.chain.gapped import filled
from tallystick.chain.issue import UUID_VARIANT, create_receipt, seal, timestamp
from tallystick.chain.straight import Checked, state_straight, with_proof
from tallystick.daemon.attested import StatedFrame
from tallystick.daemon.key_source import SignAll
from tallystick.model.action import Action, Outcome
from tallystick.model.chain import Delegation, Delegator, Head, Link
from tallystick.model.extension import Extension, extension_of, predecessor, with_extension
from tallystick.model.frame import Acknowledgement
from tallystick.model.receipt import Issuer, Principal
from tallystick.model.taxonomy import AGENT_END, CHAIN_INTERRUPTED, DAEMON_ISSUER
from tallystick.ports import Signer
from tallystick.store.ledger import row_around, row_of
from tallystick.store.sql import Row

Status = Literal["complete", "interrupted"]

# What drafting makes of a frame: the arguments of `create_receipt` but for the chain's own.
Draft = Mapping[str, Any]

SUCCESS: Final = Outcome(status="success")
# Of which one id takes 19 digits.
_RANDOM_BYTES: Final = 10
_IDS_DRAWN: Final = 64
# Statements that still lie in a processor's cache when they are signed.
_SIGNED_AT_ONCE: Final = 64
_ENDS: Final = {"complete": AGENT_END, "interrupted": CHAIN_INTERRUPTED}


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a chain stands: its head, and the id of the receipt there."""

    head: Head
    receipt_id: str = ""
    is_terminal: bool = False


class Issuing(msgspec.Struct, frozen=True, kw_only=True):
    """In whose name receipts are issued, and who signs them."""

    issuer_id: str
    verification_method: str
    signer: Signer

    @property
    def issuer(self) -> Issuer:
        """The issuer of what the daemon itself has to say."""
        return Issuer(id=self.issuer_id, type=DAEMON_ISSUER)


class _Unsigned(NamedTuple):
    """A statement that waits for its signature, and its row around what is signed."""

    statement: bytes
    moment: str
    first: Row
    last: Row


class Batch:
    """One transaction in the making."""

    def __init__(self, issuing: Issuing, place_of: Callable[[str], Place], last_ms: int) -> None:
        """Go on from the places that `place_of` knows, never earlier than `last_ms`."""
        self._issuing = issuing
        self._place_of = place_of
        self.places: dict[str, Place] = {}
        self._rows: list[Row] = []
        # What stands behind these rows and waits for signatures.
        self._unsigned: list[_Unsigned] = []
        # A key in this process refuses no single message.
        self._sign_all: SignAll | None = getattr(issuing.signer, "sign_all", None)
        self.last_ms = last_ms
        # Not a method of this object: it would hold itself, with all its rows.
        self._draw = drawing()
        # Of the receipt before: most of a batch are of one millisecond.
        self._moment_ms, self._moment = -1, ""
        self._ids: Callable[[], str]  # made along with the moment

    @property
    def rows(self) -> list[Row]:
        """All receipts so far, signed."""
        self.sign()
        return self._rows

    def sign(self) -> None:
        """Sign what is not signed yet; where that fails, no row is lost and none is unsigned.

        One after the other takes a third less time than one beside each receipt's making: neither
        drives the other out of the processor's caches.
        """
        waiting, issuing = self._unsigned, self._issuing
        if not waiting:
            return
        statements = [one.statement for one in waiting]
        if self._sign_all is not None:
            signatures = self._sign_all(statements)
        else:
            signatures = [issuing.signer.sign(one) for one in statements]
        method = issuing.verification_method
        self._rows += [
            (*first, with_proof(statement, signature, moment, method).decode(), *last)
            for (statement, moment, first, last), signature in zip(waiting, signatures, strict=True)
        ]
        waiting.clear()

    def place(self, chain_id: str) -> Place:
        """Return where a chain stands behind what this batch holds already."""
        return self.places.get(chain_id) or self._place_of(chain_id)

    def add(
        self,
        place: Place,
        draft: Draft,
        now_ms: int,
        *,
        end: Status | None = None,
        signer: Signer | None = None,
    ) -> Acknowledgement:
        """Build and sign the next receipt of a chain; nothing has changed where this raises."""
        issued_ms = max(now_ms, self.last_ms)
        if type(draft) is Checked and end is None and place.head.sequence:
            return self._add_straight(place.head, draft, issued_ms)
        moment_ns = issued_ms * 1_000_000
        link = place.head.link(terminal=end is not None, status=end)
        unsigned = create_receipt(
            chain=link, clock=lambda: moment_ns, ids=ordered_ids(issued_ms, self._draw), **draft
        )
        issuing = self._issuing
        key = signer or issuing.signer
        sealed = seal(unsigned, key, issuing.verification_method, clock=lambda: moment_ns)
        receipt, digest = sealed.receipt, sealed.hash
        self.sign()  # rows stand in the order of their chains
        self._rows.append(row_of(receipt, sealed.body.decode(), digest))
        head = Head(chain_id=link.chain_id, sequence=link.sequence, hash=digest)
        self.places[link.chain_id] = Place(
            head=head, receipt_id=receipt.id, is_terminal=end is not None
        )
        self.last_ms = issued_ms
        return Acknowledgement(
            id=receipt.id, chain_id=link.chain_id, sequence=link.sequence, hash=digest
        )

    def _add_straight(self, head: Head, draft: Any, issued_ms: int) -> Acknowledgement:
        """Do the same for what a parser has checked already, in half of the time."""
        link = head.link()
        if issued_ms != self._moment_ms:
            self._moment_ms, self._moment = issued_ms, timestamp(issued_ms * 1_000_000)
            self._ids = ordered_ids(issued_ms, self._draw)
        stated = state_straight(chain=link, moment=self._moment, ids=self._ids, **draft)
        first, last = row_around(stated.receipt_id, stated.subject, draft["issuer"], stated.hash)
        return self._add_unsigned(
            _Unsigned(stated.statement, self._moment, first, last), link, issued_ms
        )

    def add_stated(self, head: Head, one: StatedFrame) -> Acknowledgement | None:
        """Do it for what was stated ahead, or return None where that was for another moment."""
        portion, stated = one.portion, one.statement
        issued_ms = max(one.received_ns // 1_000_000, self.last_ms)
        if issued_ms != portion.moment_ms or not head.sequence:
            return None
        link = head.link()
        statement, digest = filled(stated.before, link, stated.after)
        first = (
            stated.receipt_id,
            link.chain_id,
            link.sequence,
            stated.action_type,
            stated.tool_name,
            stated.risk_level,
            stated.status,
            portion.moment,
            self._issuing.issuer_id,
            portion.principal_id,
        )
        last = (digest, link.previous_receipt_hash, stated.session_id, 0)
        return self._add_unsigned(
            _Unsigned(statement, portion.moment, first, last), link, issued_ms
        )

    def _add_unsigned(self, one: _Unsigned, link: Link, issued_ms: int) -> Acknowledgement:
        self._unsigned.append(one)
        if self._sign_all is None or len(self._unsigned) >= _SIGNED_AT_ONCE:
            try:
                self.sign()
            except BaseException:
                self._unsigned.pop()
                raise
        receipt_id, digest = one.first[0], one.last[0]
        chain_id, sequence = link.chain_id, link.sequence
        head = Head(chain_id=chain_id, sequence=sequence, hash=digest)
        self.places[chain_id] = Place(head=head, receipt_id=receipt_id)
        self.last_ms = issued_ms
        return Acknowledgement(id=receipt_id, chain_id=chain_id, sequence=sequence, hash=digest)

    def mark(self) -> tuple[int, dict[str, Place], int]:
        """Return what `back_to` needs to forget all that comes after."""
        return len(self._rows) + len(self._unsigned), dict(self.places), self.last_ms

    def back_to(self, mark: tuple[int, dict[str, Place], int]) -> None:
        """Forget what was added since the mark: it is in no chain."""
        count, self.places, self.last_ms = mark
        del self._unsigned[max(0, count - len(self._rows)) :]
        del self._rows[count:]

    def own(self, action: Action, *, facts: Extension | None = None, **more: Any) -> Draft:
        """Return the draft of something that the daemon itself has to say."""
        issuer = self._issuing.issuer
        return {
            "issuer": issuer if facts is None else with_extension(issuer, facts),
            "principal": Principal(id=self._issuing.issuer_id),
            "action": action,
            "outcome": SUCCESS,
            **more,
        }

    def end(
        self, place: Place, status: Status, now_ms: int, *, signer: Signer | None = None
    ) -> None:
        """Close a chain."""
        self.add(place, self.own(Action(type=_ENDS[status])), now_ms, end=status, signer=signer)


def _random_digits() -> str:
    return os.urandom(_RANDOM_BYTES).hex()


def drawing() -> Callable[[], str]:
    """Return what gives digits for an id; from the second on the system is asked for many."""
    drawn: list[str] = []
    count = 2  # a receipt's

    def draw() -> str:
        nonlocal count
        if not drawn:
            digits, each = os.urandom(_RANDOM_BYTES * count).hex(), 2 * _RANDOM_BYTES
            drawn.extend([digits[at : at + each] for at in range(0, len(digits), each)])
            count = _IDS_DRAWN
        return drawn.pop()

    return draw


def ordered_ids(moment_ms: int, digits: Callable[[], str] = _random_digits) -> Callable[[], str]:
    """Return what makes UUIDs of version 7: an index over them grows at its end alone.

    Random ones would touch another page of a large store for each receipt.
    """
    begins = f"{moment_ms >> 16:08x}-{moment_ms & 0xFFFF:04x}-7"

    def make() -> str:
        drawn = digits()
        return f"{begins}{drawn[:3]}-{UUID_VARIANT[drawn[3]]}{drawn[4:7]}-{drawn[7:19]}"

    return make


def going_on_from(draft: Draft, previous: Head | None) -> Draft:
    """Return the draft of a chain's first receipt, with the chain that it goes on from."""
    link = predecessor(previous)
    if link is None:
        return draft
    issuer: Issuer = draft["issuer"]
    facts = extension_of(issuer) or Extension()
    facts = msgspec.structs.replace(facts, previous_chain=link)
    return {**draft, "issuer": with_extension(issuer, facts)}


def delegated(draft: Draft, parent: Place, issuer_id: str) -> Draft:
    """Return the draft of a sub-agent's first receipt, with where its chain hangs."""
    delegation = Delegation(
        delegator=Delegator(id=issuer_id),
        parent_chain_id=parent.head.chain_id,
        parent_receipt_id=parent.receipt_id,
    )
    return {**draft, "delegation": delegation}
