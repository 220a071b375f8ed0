# SPDX-License-Identifier: Apache-2.0
"""The single writer of a chain: owns its head, puts calls in order, signs, and delivers.

Two locks make two lines. In the first, one caller at a time builds, signs and links: the head
moves here and nowhere else. In the second (see line.py), one caller at a time delivers, oldest
first, for all who wait; so a slow collector holds up deliveries and not signatures, and a delivery
that failed fails once for everyone who stood behind it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from tallystick.chain.issue import (
    ABSENT,
    Clock,
    Ids,
    create_receipt,
    default_clock,
    head_behind,
    random_uuid,
    sign_receipt,
)
from tallystick.chain.line import Line
from tallystick.chain.payload import capped_intent, capped_outcome, with_parameters
from tallystick.chain.recorded import RecordedAction
from tallystick.chain.threads import Threads
from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import ChainClosedError, EmitError, KeyMismatchError, ReceiptError
from tallystick.limits import UNDELIVERED_MAX
from tallystick.model.action import Action, Authorization, Intent, Outcome
from tallystick.model.chain import Delegation, Head, Link
from tallystick.model.extension import Extension, predecessor, with_extension
from tallystick.model.receipt import Issuer, Principal, Receipt
from tallystick.model.rotation import rotation_between
from tallystick.model.taxonomy import AGENT_END, KEY_ROTATE
from tallystick.ports import Emitter, LeasedSigner, Signer

_LOG = logging.getLogger("tallystick.chain")

Status = Literal["complete", "interrupted"]


class ReceiptChain:
    """One chain of receipts. Safe from any number of threads and from asyncio (`aemit`).

    Nothing is written from a signal handler that interrupts a call of the same chain: that raises
    `EmitError`. `flush` may be called there.
    """

    def __init__(
        self,
        *,
        signer: KeyPair | Signer,
        issuer: Issuer | Mapping[str, Any],
        principal: Principal | Mapping[str, Any],
        emitter: Emitter,
        verification_method: str | None = None,
        chain_id: str | None = None,
        session_id: str | None = None,
        head: Head | None = None,
        previous_chain: Head | None = None,
        hold_undelivered: bool = False,
        clock: Clock = default_clock,
        ids: Ids = random_uuid,
    ) -> None:
        """Begin a chain, or go on from `head`. A fresh `chain_id` is made where none is given.

        With `hold_undelivered`, an emit whose delivery failed for now returns instead of raising;
        the receipt stays in line, and `undelivered` counts it.
        """
        self._issuer = _bound(_typed(Issuer, issuer), session_id)
        self._principal = _typed(Principal, principal)
        self._method = verification_method or f"{self._issuer.id}#key-1"
        self._head = head or Head(chain_id=chain_id or f"chain_{ids()}")
        if chain_id is not None and self._head.chain_id != chain_id:
            raise ReceiptError("is not the chain of the head to go on from", "/chain_id")
        self._clock = clock
        self._ids = ids
        self._first = Extension(previous_chain=predecessor(previous_chain))
        self._process = os.getpid()
        # Guards the head, the signer and the order of `_line`.
        self._writing = threading.Lock()
        # The thread that writes: interrupted by a signal, it must not wait for itself.
        self._writer = 0
        # Receipts that are signed; delivered by one caller at a time, for all that wait.
        self._line = Line(emitter, self._head.sequence, hold=hold_undelivered)
        self._threads = Threads()
        self._has_warned = False
        self._is_closed = False
        self._signer = _signer(signer)
        self._key = b""
        self._lease: LeasedSigner | None = None
        if isinstance(self._signer, LeasedSigner):
            self._lease = self._signer
            self._signer = self._lease.root
        if head is not None and head.sequence and self._lease is not None:
            raise ReceiptError("a lease begins a chain of its own and can't go on from a head")

    @property
    def head(self) -> Head:
        """Hash and sequence of the last receipt."""
        return self._head

    @property
    def chain_id(self) -> str:
        """The chain's id."""
        return self._head.chain_id

    @property
    def is_closed(self) -> bool:
        """Whether the terminal receipt has been written."""
        return self._is_closed

    @property
    def undelivered(self) -> int:
        """How many receipts are signed and stand in line for delivery."""
        return len(self._line)

    def emit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        *,
        parameters: object = ABSENT,
        response: object = ABSENT,
        intent: Intent | Mapping[str, Any] | None = None,
        authorization: Authorization | Mapping[str, Any] | None = None,
        delegation: Delegation | Mapping[str, Any] | None = None,
        correlation_id: str | None = None,
    ) -> Receipt:
        """Sign the next receipt, link it, deliver it, and return it.

        `parameters` and `response` (any JSON value, redacted already) are hashed in full and not
        carried. Raises `EmitError` where delivery failed; the receipt stays in line, so that the
        chain neither forks nor skips, and the error's `receipt` names it.
        """
        draft = {
            "action": with_parameters(action, parameters),
            "outcome": capped_outcome(outcome),
            "intent": capped_intent(intent),
            "authorization": authorization,
            "delegation": delegation,
            "correlation_id": correlation_id,
            "response_body": response,
        }
        receipt = self._in_turn(lambda: self._write(draft, self._head.link()))
        self._line.deliver(receipt)
        return receipt

    async def aemit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        **members: Any,
    ) -> Receipt:
        """Do what `emit` does, in a thread: the event loop is never blocked."""
        return await self._threads.run(self.emit, action, outcome, **members)

    def action(
        self,
        action: str | Action | Mapping[str, Any],
        *,
        target: Mapping[str, str] | None = None,
        parameters: object = ABSENT,
        correlation_id: str | None = None,
    ) -> RecordedAction:
        """Record a call as two receipts: pending before it runs, then its result or failure.

        Use it as `with chain.action("filesystem.file.read") as a: a.result = …`, as `async with`,
        or as a decorator. A process that is killed in between leaves the pending one alone.
        """
        return RecordedAction(
            self, action, target, parameters, correlation_id or f"call_{self._ids()}"
        )

    def rotate(self, new_signer: KeyPair | Signer) -> Receipt:
        """Hand the chain over to another key; the receipt is signed by the outgoing one."""
        if isinstance(new_signer, LeasedSigner):
            raise ReceiptError("a lease begins a chain of its own and can't take over this one")
        receipt = self._in_turn(lambda: self._hand_over(_signer(new_signer)))
        self._line.deliver(receipt)
        return receipt

    def close(self, status: Status = "complete") -> Receipt:
        """Write the terminal receipt. Later calls of `emit` raise `ChainClosedError`."""
        receipt = self._in_turn(lambda: self._end(status))
        self._line.deliver(receipt)
        return receipt

    def flush(self) -> int:
        """Try to deliver what stands in line; return how much still does."""
        if os.getpid() != self._process:
            return 0  # what stands in line is the parent's, and so is its delivery
        return self._line.flush()

    def _in_turn(self, write: Callable[[], Receipt]) -> Receipt:
        """Write as the only one who does, behind the hand-over where a lease has just begun."""
        me = threading.get_ident()
        with self._turn(me):
            try:
                self._writer = me
                self._begin_lease()
                return write()
            finally:
                self._writer = 0

    def _turn(self, me: int) -> threading.Lock:
        """Return the writer's lock; say once that calls overlap. Refuse who would never get it."""
        if os.getpid() != self._process:  # asked before any lock, which a fork may have left taken
            raise ChainClosedError(
                f"chain {self.chain_id} belongs to process {self._process}, of which this one is a "
                "fork: two writers would fork the chain. Begin a chain in each process"
            )
        if me == self._writer or self._line.is_mine:
            raise EmitError(
                f"chain {self.chain_id} was called while the same thread is inside it: a signal "
                "handler can't write; see install_sigterm_flush",
                is_transient=True,
            )
        if self._writing.locked() and not self._has_warned:
            self._has_warned = True
            _LOG.warning(
                "chain %s: emit was called while another call was being written; "
                "calls are put in order",
                self.chain_id,
            )
        return self._writing

    def _begin_lease(self) -> None:
        """Hand a new chain over to its session key before its first receipt of an action."""
        if self._lease is not None and self._head.sequence == 0:
            self._line.forget_caller(self._hand_over(self._lease))

    def _hand_over(self, new_signer: Signer) -> Receipt:
        key = new_signer.get_public_key()  # once: another answer would not fit what is signed
        rotation = rotation_between(self._signer.get_public_key(), key)
        draft = {
            "action": Action(type=KEY_ROTATE),
            "outcome": Outcome(status="success"),
            "key_rotation": rotation,
        }
        return self._write(draft, self._head.link(), successor=(new_signer, key))

    def _end(self, status: Status) -> Receipt:
        draft = {
            "action": Action(type=AGENT_END),
            "outcome": Outcome(status="success"),
        }
        link = self._head.link(terminal=True, status=status)
        receipt = self._write(draft, link, ended=self._lease)
        if self._lease is not None:
            self._lease.close()
        return receipt

    def _write(
        self,
        draft: Mapping[str, Any],
        link: Link,
        *,
        ended: LeasedSigner | None = None,
        successor: tuple[Signer, bytes] | None = None,
    ) -> Receipt:
        """Build, sign and link; the head moves only when all of it has worked."""
        if self._is_closed:
            raise ChainClosedError(f"chain {self.chain_id} is closed; begin a new one")
        if len(self._line) >= UNDELIVERED_MAX:
            raise EmitError(f"{UNDELIVERED_MAX} receipts wait for delivery", is_transient=True)
        self._check_key()
        facts, signer = self._first, self._signer
        if ended is not None:
            facts = msgspec.structs.replace(facts, lease_ended=True)
            if signer is ended:
                signer = ended.closing  # signs the end also where the lease is used up
        unsigned = create_receipt(
            issuer=with_extension(self._issuer, facts),
            principal=self._principal,
            chain=link,
            clock=self._clock,
            ids=self._ids,
            **draft,
        )
        receipt = sign_receipt(unsigned, signer, self._method, clock=self._clock)
        head, is_closed = head_behind(receipt), link.terminal is True
        now_signs, its_key = successor or (self._signer, self._key)
        append = self._line.appending(receipt)
        # An interrupt (Ctrl-C) comes behind a call. Here is none before the last step, so that it
        # finds all of this done or nothing: a head without its receipt would leave a gap.
        self._head, self._first, self._is_closed = head, _NO_FACTS, is_closed
        self._signer, self._key = now_signs, its_key
        append(receipt)
        return receipt

    def _check_key(self) -> None:
        key = self._signer.get_public_key()
        if not self._key:
            self._key = key
        elif key != self._key:
            raise KeyMismatchError(
                f"the signer's key is not the one that chain {self.chain_id} stands on; "
                "hand over with rotate(), or begin a new chain"
            )


_NO_FACTS = Extension()


def _typed(kind: type[Any], value: object) -> Any:
    return value if isinstance(value, kind) else kind.from_dict(value)


def _bound(issuer: Issuer, session_id: str | None) -> Issuer:
    if session_id is None:
        return issuer
    return msgspec.structs.replace(issuer, session_id=session_id)


def _signer(key: object) -> Signer:
    if isinstance(key, KeyPair):
        return _KeyPairSigner(key)
    if not isinstance(key, Signer):
        kind = type(key).__name__
        raise TypeError(
            f"signer: wanted is a KeyPair or a Signer, not {kind}; a provider has get_key_pair()"
        )
    return key


class _KeyPairSigner:
    """A key pair as a signer."""

    def __init__(self, key_pair: KeyPair) -> None:
        self._key = key_pair.signing_key()

    def sign(self, message: bytes, /) -> bytes:
        return self._key.sign(message)

    def get_public_key(self) -> bytes:
        return self._key.public_key
