# SPDX-License-Identifier: Apache-2.0
"""Fire and forget, but not in silence: one bounded queue, one worker thread, and a count of losses.

A receipt that could not be delivered is counted, named, and told to the caller at the next call.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

import msgspec

from tallystick.deliver import lifetime
from tallystick.errors import EmitError, Error
from tallystick.limits import EXIT_FLUSH_MS_MAX, FAILURES_KEPT_MAX
from tallystick.model.receipt import Receipt

_POLL_S = 0.002


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt that was not delivered in the background, and why."""

    receipt_id: str
    error: EmitError


class Dispatcher:
    """Hands receipts to one worker, in order. Safe from threads, and from signal handlers."""

    def __init__(self, deliver: Callable[[Receipt], object], capacity: int) -> None:
        """Take what delivers one receipt, and how many may wait."""
        self._deliver = deliver
        self._capacity = capacity
        self._begin()
        lifetime.after_fork_in_child(self._begin)  # the parent keeps its queue, and its worker
        lifetime.at_exit(self._finish)

    def _begin(self) -> None:
        # Re-entrant: a signal handler may flush while its thread is in here.
        self._lock = threading.RLock()
        # The worker takes a receipt out when it is done with it: the length is what remains.
        self._waiting: deque[Receipt] = deque()
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._worker: threading.Thread | None = None
        self._is_closed = False
        self._unsaid: deque[Failure] = deque(maxlen=FAILURES_KEPT_MAX)
        self._kept: deque[Failure] = deque(maxlen=FAILURES_KEPT_MAX)
        self.dropped = 0

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The last receipts that were not delivered."""
        with self._lock:
            return tuple(self._kept)

    def put(self, receipt: Receipt) -> None:
        """Queue a receipt; raise where it can't be, or for what failed since the last call."""
        with self._lock:
            if self._is_closed:
                raise EmitError("the emitter is closed", is_transient=True)
            if len(self._waiting) >= self._capacity:
                self.dropped += 1
                error = EmitError(
                    f"{self._capacity} receipts wait already; this one was dropped",
                    is_transient=True,
                )
                self._kept.append(Failure(receipt_id=receipt.id, error=error))
                raise error
            self._start()
            self._waiting.append(receipt)
        self._wake.put(True)
        self._tell("; this one is queued")

    def flush(self, deadline_ms: int) -> int:
        """Wait until all is delivered or the deadline has passed; return how many remain."""
        until = time.monotonic() + deadline_ms / 1000
        while self._waiting and time.monotonic() < until:
            time.sleep(_POLL_S)
        return len(self._waiting)

    def close(self, deadline_ms: int) -> None:
        """Flush, drop what remains, and raise for what was not told yet."""
        with self._lock:
            self._is_closed = True
        self.flush(deadline_ms)
        with self._lock:
            self._drop_rest()
            self._wake.put(False)
        self._tell("")

    def _finish(self) -> None:
        """Use what time a program's end leaves; say what is lost with it."""
        remaining = self.flush(EXIT_FLUSH_MS_MAX)
        unsaid = len(self._unsaid)
        if remaining or unsaid:
            import logging

            logging.getLogger("tallystick.deliver").warning(
                "the program ends with %d receipts in a fire-and-forget queue, "
                "and %d failures that no one was told of",
                remaining,
                unsaid,
            )

    def _start(self) -> None:
        if self._worker is None:
            worker = threading.Thread(target=self._work, name="tallystick-emitter", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:
                raise EmitError(f"no worker thread: {error}", is_transient=True) from error
            self._worker = worker

    def _work(self) -> None:
        while self._wake.get():
            try:
                receipt = self._waiting[0]
            except IndexError:
                continue  # dropped by close
            error = self._error_of(receipt)
            with self._lock:
                if self._waiting and self._waiting[0] is receipt:  # or close has told of it
                    self._waiting.popleft()
                    if error is not None:
                        self._note(receipt, error)

    def _error_of(self, receipt: Receipt) -> EmitError | None:
        """Deliver, and return what came of it."""
        try:
            self._deliver(receipt)
        except EmitError as error:
            return error
        except Exception as fault:  # noqa: BLE001  # whatever it was, someone must be told
            text = str(fault) if isinstance(fault, Error) else type(fault).__name__
            unknown = EmitError(text)
            unknown.__cause__ = fault
            return unknown
        return None

    def _note(self, receipt: Receipt, error: EmitError) -> None:
        failure = Failure(receipt_id=receipt.id, error=error)
        with self._lock:
            self.dropped += 1
            self._kept.append(failure)
            self._unsaid.append(failure)

    def _drop_rest(self) -> None:
        while self._waiting:
            receipt = self._waiting.popleft()
            self._note(receipt, EmitError("closed before it was acknowledged", is_transient=True))

    def _tell(self, addition: str) -> None:
        """Raise once for the failures that no call has told of yet."""
        with self._lock:
            unsaid = list(self._unsaid)
            self._unsaid.clear()
        if not unsaid:
            return
        first = unsaid[0]
        raise EmitError(
            f"{len(unsaid)} of the receipts before were not delivered, {first.receipt_id} first: "
            f"{first.error}{addition}",
            status=first.error.status,
        ) from first.error
