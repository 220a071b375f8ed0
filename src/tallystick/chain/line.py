# SPDX-License-Identifier: Apache-2.0
"""The receipts of one chain that are signed and not yet delivered: oldest first, one at a time.

Whoever has the turn delivers for all that stand before it. Each caller hears what became of its
own receipt, also where another one delivered it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from tallystick.errors import EmitError
from tallystick.model.receipt import Receipt
from tallystick.ports import Emitter

_LOG = logging.getLogger("tallystick.chain")


class Line:
    """Stands between the writer of a chain and its emitter. Safe from any number of threads."""

    def __init__(self, emitter: Emitter, delivered: int, *, hold: bool) -> None:
        """Take where to deliver, the last sequence that is delivered, and whether to hold."""
        self._emitter = emitter
        self._delivered = delivered
        self._hold = hold
        # The writer of the chain appends; who has the turn takes out.
        self._receipts: deque[Receipt] = deque()
        # Guards all that follows.
        self._turn = threading.Lock()
        self._failed: tuple[int, EmitError] | None = None
        # Whose callers wait to hear what became of them, and what others found out for them.
        self._waiting: set[int] = set()
        self._faults: dict[int, EmitError] = {}
        # The thread that has the turn: interrupted by a signal, it must not wait for itself.
        self._holder = 0

    def __len__(self) -> int:
        return len(self._receipts)

    @property
    def is_mine(self) -> bool:
        """Whether this very thread is delivering, and was interrupted."""
        return self._holder == threading.get_ident()

    def appending(self, receipt: Receipt) -> Callable[[Receipt], None]:
        """Return what puts that receipt last: a single step, which no interrupt divides."""
        self._waiting.add(receipt.link.sequence)
        return self._receipts.append

    def forget_caller(self, receipt: Receipt) -> None:
        """Know that nobody is going to ask for this one."""
        self._waiting.discard(receipt.link.sequence)

    def deliver(self, receipt: Receipt) -> None:
        """Deliver in order up to `receipt`, unless somebody else did; raise what became of it."""
        sequence, me = receipt.link.sequence, threading.get_ident()
        with self._turn:
            try:
                self._holder = me  # with no call before it, behind which a signal could come
                fault = self._faults.pop(sequence, None)
                if fault is None and self._failed is not None and sequence <= self._failed[0]:
                    fault = self._failed[1]  # it failed once for all who stood in line
                if fault is None:
                    fault = self._up_to(sequence, caller=sequence)
            finally:
                self._holder = 0
                self._waiting.discard(sequence)
        if fault is not None:
            self._complain(fault, receipt)

    def flush(self) -> int:
        """Try to deliver all; return how many remain. From inside a delivery, try nothing."""
        if self._receipts and not self.is_mine:
            me = threading.get_ident()
            with self._turn:
                try:
                    self._holder = me
                    if self._receipts:
                        self._up_to(self._receipts[-1].link.sequence)
                finally:
                    self._holder = 0
        return len(self._receipts)

    def _up_to(self, sequence: int, *, caller: int = 0) -> EmitError | None:
        """Deliver up to a place in the chain; return what `caller` has to hear."""
        self._failed = None
        while self._delivered < sequence:
            oldest = self._receipts[0]
            try:
                self._emitter.emit(oldest)
            except EmitError as fault:
                if fault.is_transient and not self._is_kept(fault):
                    self._failed = (self._receipts[-1].link.sequence, fault)
                    return fault
                # Refused for good, or kept by the emitter: the line goes on behind it.
                self._step(oldest)
                if oldest.link.sequence == caller:
                    return fault
                self._pass_on(fault, oldest)
            else:
                self._step(oldest)
        return None

    def _is_kept(self, fault: EmitError) -> bool:
        """Whether the emitter, or each that failed of several, has the receipt and tries again."""
        is_everywhere = all(isinstance(one, EmitError) for one in getattr(fault, "errors", ()))
        return is_everywhere and getattr(self._emitter, "keeps", False)

    def _step(self, delivered: Receipt) -> None:
        sequence = delivered.link.sequence
        self._delivered = sequence
        self._receipts.popleft()

    def _pass_on(self, fault: EmitError, receipt: Receipt) -> None:
        """Have the caller told whose receipt it is; where nobody waits, tell the log."""
        if receipt.link.sequence in self._waiting:
            self._faults[receipt.link.sequence] = fault
        else:
            _LOG.warning("chain %s: %s: %s", receipt.link.chain_id, receipt.id, fault)

    def _complain(self, fault: EmitError, receipt: Receipt) -> None:
        if self._hold and fault.is_transient:
            _LOG.warning("chain %s: not delivered for now: %s", receipt.link.chain_id, fault)
            return
        error = EmitError(str(fault), status=fault.status, is_transient=fault.is_transient)
        error.receipt = receipt
        raise error from fault
