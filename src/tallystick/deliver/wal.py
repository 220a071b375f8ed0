# SPDX-License-Identifier: Apache-2.0
"""Journal first, deliver, clear on acknowledgement: no receipt is lost between signing and 201.

Receipts are delivered one at a time and oldest first, whoever emits. One caller delivers for all
that wait; each learns what became of its own receipt:

- `emit` returns: it was acknowledged.
- `EmitError`: it is kept in the log. Where it `is_transient`, the line does not move for now, and
  the next `emit`, `flush` or `replay` tries again; a wrong token or URL is of this kind, since
  everything is delivered once somebody has put it right. Otherwise the collector does not want
  this very receipt, or promises for ever what can't be: it is now a dead letter, and the line
  moves on.
- `WalError`: the log could not take it, and nothing was sent. After a failed write it may still be
  there when the log is opened again: its place in the chain must not be given to another.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import msgspec

from tallystick.deliver.lifetime import after_fork_in_child
from tallystick.errors import CompositeEmitError, EmitError, Error, SettingError, WalError
from tallystick.model.receipt import Receipt
from tallystick.ports import DeadLetter, Emitter, Wal


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a backlog."""

    delivered: int
    remaining: int
    set_aside: int = 0


class _Ticket:
    """One caller who waits for one receipt. Owned by the emitter's guard once registered."""

    __slots__ = ("fault", "is_kept", "is_settled")

    def __init__(self) -> None:
        self.fault: EmitError | None = None
        self.is_kept = False
        self.is_settled = False

    def settle(self, fault: EmitError | None) -> None:
        self.fault = fault
        self.is_settled = True


class WalEmitter:
    """Delivers through a write-ahead log. Safe from any number of threads."""

    acknowledges = True
    keeps = True

    def __init__(
        self, *, inner: Emitter, wal: Wal, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Put a log before an emitter that returns only after delivery."""
        if not getattr(inner, "acknowledges", True):
            raise SettingError(
                f"{type(inner).__name__} returns before the receipt is delivered, so the log would "
                "be cleared too early; put the log around an emitter that waits (HttpEmitter with "
                "strategy='sync'), and buffer outside of it"
            )
        self._inner = inner
        self._wal = wal
        self._monotonic = monotonic
        # Whoever holds it delivers, for all that wait.
        self._turn = threading.Lock()
        # Guards the tickets.
        self._guard = threading.Lock()
        self._tickets: dict[str, list[_Ticket]] = {}
        self._inside: set[int] = set()
        after_fork_in_child(self._begin_anew)

    @property
    def wal(self) -> Wal:
        """The log, with what waits in it."""
        return self._wal

    @property
    def pending(self) -> int:
        """How many receipts wait for delivery."""
        return len(self._wal)

    @property
    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """What the collector refused for good, oldest first. Emitting one again is a new try."""
        return self._wal.dead_letters()

    def emit(self, receipt: Receipt, /) -> None:
        """Keep the receipt, deliver what is older, deliver it, and forget it."""
        me = threading.get_ident()
        if me in self._inside:
            raise WalError(
                "emit was called while the same thread is inside it: a signal handler may flush, "
                "but emits only from another thread"
            )
        ticket = _Ticket()
        try:
            self._inside.add(me)
            with self._guard:
                self._tickets.setdefault(receipt.id, []).append(ticket)
            self._wal.append(receipt)
            ticket.is_kept = True
            with self._turn:
                if not ticket.is_settled:
                    self._drain(until=lambda: ticket.is_settled)
        finally:
            try:
                self._forget(receipt.id, ticket)
            finally:
                self._inside.discard(me)  # also after Ctrl-C: or this thread never emits again
        if not ticket.is_settled:
            raise EmitError(f"{receipt.id} was taken out of the log by somebody else")
        if ticket.fault is not None:
            raise self._told(receipt.id, ticket.fault) from ticket.fault

    def replay(self) -> Replay:
        """Deliver what an earlier process left, oldest first; call it once at start."""
        with self._turn:
            delivered, set_aside = self._drain()
        return Replay(delivered=delivered, remaining=len(self._wal), set_aside=set_aside)

    def flush(self, deadline_ms: int = 2000) -> int:
        """Deliver what is pending; return after the deadline at the latest, with what remains.

        May be called from a signal handler: it waits for no lock that the interrupted code may
        hold. A delivery that is under way at the deadline goes on behind it.
        """
        if len(self._wal) == 0:
            return 0
        end = self._monotonic() + deadline_ms / 1000
        is_done = _thread.allocate_lock()
        is_done.acquire()
        try:
            # Not threading.Thread: starting one takes locks that the interrupted code may hold.
            _thread.start_new_thread(self._drain_before, (end, is_done))
        except RuntimeError:  # the interpreter is about to end, and starts no threads any more
            self._drain_before(end, is_done)
        is_done.acquire(timeout=max(0.0, end - self._monotonic()))
        return len(self._wal)

    def close(self) -> None:
        """Try once more to deliver what is pending; let go of the inner emitter and of the log."""
        self.flush()
        try:
            close: Any = getattr(self._inner, "close", None)
            if close is not None:
                close()
        finally:
            self._wal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"WalEmitter(inner={self._inner!r}, wal={self._wal!r})"

    def _begin_anew(self) -> None:
        """In a forked child: nobody waits here, whoever held a lock."""
        self._turn, self._guard = threading.Lock(), threading.Lock()
        self._tickets, self._inside = {}, set()

    def _drain(self, *, until: Callable[[], bool] = lambda: False) -> tuple[int, int]:
        """Deliver in order until something says stop; the caller has the turn."""
        delivered = set_aside = 0
        for receipt in self._wal.pending():
            if until():
                break
            fault = self._deliver(receipt)
            if fault is None:
                self._wal.remove(receipt.id)
                delivered += 1
            elif _is_refusal(fault):
                self._wal.set_aside(receipt.id, str(fault))
                set_aside += 1
            else:
                self._settle_all(fault)
                break
            self._settle(receipt.id, fault)
        return delivered, set_aside

    def _drain_before(self, end: float, is_done: _thread.LockType) -> None:
        try:
            if self._turn.acquire(timeout=max(0.0, end - self._monotonic())):
                try:
                    self._drain(until=lambda: self._monotonic() >= end)
                finally:
                    self._turn.release()
        except Error:
            pass  # the log was closed meanwhile, or can't be read: what remains is counted
        finally:
            is_done.release()

    def _deliver(self, receipt: Receipt) -> EmitError | None:
        try:
            self._inner.emit(receipt)
        except EmitError as fault:
            return fault
        except Exception as error:  # noqa: BLE001  # an emitter of somebody else: it may raise anything
            # Not its text: we don't know what it holds.
            unknown = EmitError(f"{type(error).__name__} in the emitter", is_transient=True)
            unknown.__cause__ = error
            return unknown
        return None

    def _settle(self, receipt_id: str, fault: EmitError | None) -> None:
        with self._guard:
            for ticket in self._tickets.get(receipt_id, ()):
                ticket.settle(fault)

    def _settle_all(self, fault: EmitError) -> None:
        """Tell all whose receipts stand in line: they don't each wait for the same failure."""
        with self._guard:
            for tickets in self._tickets.values():
                for ticket in tickets:
                    if ticket.is_kept and not ticket.is_settled:
                        ticket.settle(fault)

    def _told(self, receipt_id: str, fault: EmitError) -> EmitError:
        """Return an error of one's own for each caller."""
        is_refusal, where, hint = _is_refusal(fault), "", ""
        if not getattr(self._wal, "lasts", True):
            where = " in the memory of this process"
            hint = " (set TALLY_WAL, or give a FileWal, to keep it on disk)"
        if is_refusal:
            text = f"was refused and is kept as a dead letter{where}{hint}"
        else:
            text = f"is kept{where} and not yet delivered{hint}"
        return EmitError(
            f"{receipt_id} {text}: {fault}", status=fault.status, is_transient=not is_refusal
        )

    def _forget(self, receipt_id: str, ticket: _Ticket) -> None:
        with self._guard:
            tickets = [one for one in self._tickets.get(receipt_id, ()) if one is not ticket]
            if tickets:
                self._tickets[receipt_id] = tickets
            else:
                self._tickets.pop(receipt_id, None)


def _is_refusal(fault: Exception) -> bool:
    """Whether the receipt itself was refused, and would be again."""
    if isinstance(fault, CompositeEmitError):
        return all(map(_is_refusal, fault.errors))
    return isinstance(fault, EmitError) and not fault.is_transient
