# SPDX-License-Identifier: Apache-2.0
"""Connections that stay open between requests: few, young, and quiet.

Nothing here waits on a lock: a signal handler that flushes, run by the very thread that it
interrupted in here, must get through.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

from tallystick.deliver import lifetime
from tallystick.deliver.answer import Answer, Request, WireFault
from tallystick.deliver.wire import Connection, left_s
from tallystick.limits import CONNECTIONS_MAX, IDLE_MS_MAX


class Pool:
    """Lends connections to one endpoint. The one used last is lent first."""

    def __init__(
        self,
        connect: Callable[[float], Connection],
        *,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        size: int = CONNECTIONS_MAX,
    ) -> None:
        """Take a function that connects before a deadline, and both clocks."""
        self._connect = connect
        self._clock = clock
        self._monotonic = monotonic
        self._size = size
        # Operations on either are atomic.
        self._idle: deque[Connection] = deque()
        self._turns: SimpleQueue[None] = SimpleQueue()
        self._is_closed = False
        self._fill()
        lifetime.after_fork_in_child(self._leave_to_parent)
        weakref.finalize(self, _close_all, self._idle)

    def exchange(self, request: Request, body: bytes, deadline: float) -> Answer:
        """Send a request on a connection that is open, or on a new one."""
        try:
            self._turns.get(timeout=left_s(deadline, self._monotonic))
        except Empty:
            raise WireFault(f"keeps all {self._size} connections busy") from None
        try:
            connection = self._lend()
            if connection is not None:
                try:
                    return self._use(connection, request, body, deadline)
                except WireFault as fault:
                    if fault.fate != "stale":
                        raise
                # It was closed while it lay idle, so the others may be too. The request may have
                # been read all the same; the collector knows a receipt by its id.
                _close_all(self._idle)
            return self._use(self._connect(deadline), request, body, deadline)
        finally:
            self._turns.put(None)

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._is_closed = True
        _close_all(self._idle)

    def _leave_to_parent(self) -> None:
        _close_all(self._idle)
        self._turns = SimpleQueue()
        self._fill()

    def _fill(self) -> None:
        for _ in range(self._size):
            self._turns.put(None)

    def _lend(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break  # another thread was faster
            if self._is_young(connection) and connection.is_quiet():
                return connection
            connection.close()
        return None

    def _is_young(self, connection: Connection) -> bool:
        # Both clocks: either one may stand still while a machine is frozen.
        then, then_ns = connection.idle_since
        idle_ms = (self._monotonic() - then) * 1000
        idle_by_day_ms = (self._clock() - then_ns) / 1_000_000
        return max(idle_ms, idle_by_day_ms) < IDLE_MS_MAX

    def _use(
        self, connection: Connection, request: Request, body: bytes, deadline: float
    ) -> Answer:
        answer = connection.exchange(request, body, deadline)
        if not connection.is_reusable or self._is_closed:
            connection.close()
        else:
            connection.idle_since = (self._monotonic(), self._clock())
            self._idle.append(connection)
        return answer


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        try:
            connections.pop().close()
        except IndexError:
            return
