# SPDX-License-Identifier: Apache-2.0
"""Records actions on one chain after the other: a lease that ends begins the next one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from tallystick.chain.issue import ABSENT, random_uuid
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.chain.recorded import RecordedAction
from tallystick.chain.threads import Threads
from tallystick.errors import ChainClosedError, Error, KeyMismatchError, LeaseExpired
from tallystick.model.action import Action, Outcome
from tallystick.model.receipt import Receipt
from tallystick.ports import Emitter

_LOG = logging.getLogger("tallystick.recorder")


class Recorder:
    """Records actions on one chain after the other: a lease that ends begins the next one."""

    def __init__(
        self, begin: Callable[[ReceiptChain | None], ReceiptChain], emitter: Emitter
    ) -> None:
        """Take a function that begins a chain, given the one before it."""
        self._begin = begin
        self._chain = begin(None)
        self._changing = threading.Lock()
        self._threads = Threads()
        # The last chain that was closed here, because its lease had ended.
        self._used_up: ReceiptChain | None = None
        self.emitter = emitter

    @property
    def chain(self) -> ReceiptChain:
        """The chain that the next receipt goes to."""
        return self._chain

    @property
    def is_closed(self) -> bool:
        """Whether the last chain has its terminal receipt."""
        return self._chain.is_closed

    def emit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        **members: Any,
    ) -> Receipt:
        """Record one action with its outcome, as `ReceiptChain.emit` does."""
        chain, mismatches = self._chain, 0
        while True:
            try:
                return chain.emit(action, outcome, **members)
            except (ChainClosedError, LeaseExpired) as fault:
                # More than once, where others use up the new lease before it is our turn.
                chain = self._next_after(chain, fault)
            except KeyMismatchError as fault:
                # An alias was moved between warm-up and first receipt: nothing stands on its old
                # key yet. A chain that has begun never changes its key by itself.
                mismatches += 1
                if chain.head.sequence or mismatches > 1:
                    raise
                chain = self._next_after(chain, fault)

    async def aemit(
        self,
        action: Action | Mapping[str, Any],
        outcome: Outcome | Mapping[str, Any],
        **members: Any,
    ) -> Receipt:
        """Do what `emit` does without blocking the event loop."""
        return await self._threads.run(self.emit, action, outcome, **members)

    def action(
        self,
        action: str | Action | Mapping[str, Any],
        *,
        target: Mapping[str, str] | None = None,
        parameters: object = ABSENT,
        correlation_id: str | None = None,
    ) -> RecordedAction:
        """Record a call as two receipts, as `ReceiptChain.action` does."""
        return RecordedAction(
            self, action, target, parameters, correlation_id or f"call_{random_uuid()}"
        )

    def flush(self, deadline_ms: int = 2000) -> int:
        """Try to deliver what waits; return how many receipts still do."""
        flush = getattr(self.emitter, "flush", None)
        remaining: int = self._chain.flush() if flush is None else flush(deadline_ms=deadline_ms)
        return remaining

    @property
    def undelivered(self) -> int:
        """How many receipts of the chain are signed and stand in line for delivery."""
        return self._chain.undelivered

    def close(self, status: Literal["complete", "interrupted"] = "complete") -> None:
        """Close the chain, deliver what is left, and let go of files and connections."""
        try:
            if not self._chain.is_closed:
                self._chain.close(status)
        finally:
            close = getattr(self.emitter, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("complete" if kind is None else "interrupted")

    def _next_after(self, ended: ReceiptChain, fault: Error) -> ReceiptChain:
        with self._changing:
            if self._chain is not ended:
                return self._chain  # another thread was here before
            if isinstance(fault, KeyMismatchError):
                self._chain = self._begin(ended)
                return self._chain
            if isinstance(fault, ChainClosedError) and ended is not self._used_up:
                raise fault  # closed by the caller, not by us
            if ended is not self._used_up:
                _LOG.info("chain %s: its lease has ended; a new chain begins", ended.chain_id)
                self._used_up = ended
                try:
                    ended.close()
                except Error as trouble:
                    _LOG.warning("chain %s: its end is not delivered: %s", ended.chain_id, trouble)
            self._chain = self._begin(ended)
            return self._chain
