# SPDX-License-Identifier: Apache-2.0
"""Receipts in batches: delivered when enough have come together, or after a while.

What is buffered is in memory, and ends with the process; put a write-ahead log behind nothing that
buffers. What could not be delivered stays buffered, in order, and is tried again.
"""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from tallystick.deliver import lifetime
from tallystick.deliver.retry import within
from tallystick.errors import EmitError
from tallystick.limits import BUFFERED_RECEIPTS_MAX, EMIT_WAIT_MS_MAX, EXIT_FLUSH_MS_MAX
from tallystick.model.receipt import Receipt
from tallystick.ports import Emitter


class BufferingEmitter:
    """Delivers to `inner` as soon as `size` receipts are new, or `interval_ms` after the first.

    A failed delivery is raised by the `emit` that made it, or by the next one; the receipts stay
    buffered, also that one. A receipt that `inner` refuses for good stays too, and holds up none
    behind it; any other failure ends the batch, so that order is kept. A buffer of
    BUFFERED_RECEIPTS_MAX takes no more: then `emit` raises, and keeps nothing.
    """

    def __init__(
        self,
        inner: Emitter,
        *,
        size: int,
        interval_ms: int,
        capacity: int = BUFFERED_RECEIPTS_MAX,
    ) -> None:
        """Take what delivers, and when."""
        within("capacity", capacity, 1, BUFFERED_RECEIPTS_MAX)
        within("size", size, 1, capacity)
        within("interval_ms", interval_ms, 1, EMIT_WAIT_MS_MAX)
        self._inner = inner
        self._size = size
        self._interval_s = interval_ms / 1000
        self._capacity = capacity
        self._begin()
        lifetime.after_fork_in_child(self._begin)  # what is buffered stays with the parent
        lifetime.at_exit(self._finish)

    def _begin(self) -> None:
        # Re-entrant: a signal handler may flush while its thread is in here.
        self._lock = threading.RLock()
        self._delivering = threading.RLock()
        # By id and signature, so that a receipt which is emitted again is there once.
        self._buffer: dict[tuple[str, str], Receipt] = {}
        self._new = 0
        self._unsaid: Exception | None = None
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._clockwork: threading.Thread | None = None
        self._is_closed = False

    @property
    def acknowledges(self) -> bool:
        """Whether `emit` returns only when the receiver has the receipt: never."""
        return False

    def __len__(self) -> int:
        """How many receipts are buffered."""
        return len(self._buffer)

    def emit(self, receipt: Receipt, /) -> None:
        """Buffer a receipt; deliver all where enough are new; raise for what failed."""
        with self._lock:
            self._put(receipt)
            is_due = self._new >= self._size
        if is_due:
            self._deliver()
        with self._lock:
            fault, self._unsaid = self._unsaid, None
        if fault is not None:
            raise EmitError(
                f"{len(self._buffer)} receipts stay buffered and will be tried again: {fault}",
                status=getattr(fault, "status", None),
                is_transient=True,
            ) from fault

    def flush(self, deadline_ms: int = 2_000) -> int:
        """Deliver what is buffered; return how many receipts remain. Never raises.

        The deadline is looked at between receipts: one that is under way is waited for.
        """
        self._deliver(time.monotonic() + deadline_ms / 1000)
        return len(self._buffer)

    def close(self, deadline_ms: int = 2_000) -> None:
        """Flush, and raise if anything remains; it is still there for another `flush`."""
        with self._lock:
            self._is_closed = True
            self._wake.put(False)
        remaining = self.flush(deadline_ms)
        if remaining:
            fault = self._unsaid
            raise EmitError(
                f"closed with {remaining} receipts that are not delivered: {fault or 'too slow'}",
                status=getattr(fault, "status", None),
                is_transient=True,
            ) from fault

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except EmitError:
            if fault is None:
                raise

    def __repr__(self) -> str:
        return f"BufferingEmitter({self._inner!r}, {len(self._buffer)} buffered)"

    def _put(self, receipt: Receipt) -> None:
        if self._is_closed:
            raise EmitError("the emitter is closed", is_transient=True)
        key = (receipt.id, receipt.proof.proofValue)
        if key in self._buffer:
            return
        if len(self._buffer) >= self._capacity:
            raise EmitError(
                f"{self._capacity} receipts are buffered already; this one was not taken",
                is_transient=True,
            )
        self._start()
        was_empty = not self._buffer
        self._buffer[key] = receipt
        self._new += 1
        if was_empty:
            self._wake.put(True)

    def _deliver(self, until: float | None = None) -> None:
        """Deliver in order up to the first failure that may pass, or the deadline."""
        with self._delivering:
            with self._lock:
                self._new = 0
                keys = list(self._buffer)
            for key in keys:
                receipt = self._buffer.get(key)
                if receipt is None:
                    continue  # delivered by a signal handler meanwhile
                if until is not None and time.monotonic() >= until:
                    return
                try:
                    self._inner.emit(receipt)
                except Exception as fault:  # noqa: BLE001  # whatever it was, the receipt stays
                    self._unsaid = fault
                    if not isinstance(fault, EmitError) or fault.is_transient:
                        return
                else:
                    self._buffer.pop(key, None)

    def _start(self) -> None:
        if self._clockwork is None:
            clockwork = threading.Thread(target=self._tick, name="tallystick-buffer", daemon=True)
            try:
                clockwork.start()
            except RuntimeError as error:
                raise EmitError(
                    f"no thread for the interval: {error}", is_transient=True
                ) from error
            self._clockwork = clockwork

    def _tick(self) -> None:
        """Deliver whenever the oldest receipt has waited for the interval, until closed."""
        wake = self._wake
        while wake.get():
            while self._buffer:
                try:
                    if not wake.get(timeout=self._interval_s):
                        return
                except Empty:
                    self._deliver()

    def _finish(self) -> None:
        """Use what time a program's end leaves; say what is lost with it."""
        if self._buffer and self.flush(EXIT_FLUSH_MS_MAX):
            import logging

            logging.getLogger("tallystick.deliver").warning(
                "the program ends with %d receipts in a buffer", len(self._buffer)
            )
