# SPDX-License-Identifier: Apache-2.0
"""All connections of the daemon: reads their frames, and keeps each within its bounds.

Where too much waits to be stored, nothing is thrown away: the sockets of whoever takes up too much
are not read until there is room, and their emitters feel it.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.connection import Account, Arrived, Connection
from tallystick.daemon.loop import READ, WRITE, Loop
from tallystick.daemon.quotas import Bounds, Quotas
from tallystick.daemon.tallies import Tallies
from tallystick.errors import FrameRefused
from tallystick.limits import IDLE_BEFORE_EVICTION_MS_MAX
from tallystick.serve.logs import event

_WALK_MS: Final = 500
# What was in a socket stays readable after this on Linux; macOS throws it away.
_KEEPS_READABLE: Final = sys.platform.startswith("linux")


class Connections:
    """Reads admitted connections and passes frames on, in order, to `submit`.

    All methods but `finished` belong to the loop's thread.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        submit: Callable[[Arrived], None],
        clock_ns: Callable[[], int],
        tallies: Tallies,
        bounds: Bounds,
    ) -> None:
        self._loop = loop
        self._submit = submit
        self._clock_ns = clock_ns
        self._tallies = tallies
        self._quotas = Quotas(bounds)
        self._open: dict[Connection, _Watcher] = {}
        self._held: set[Connection] = set()
        self._ending: set[Connection] = set()
        self._finished: deque[Arrived] = deque()
        self._waiting = 0
        self._wants_wake = False
        self.is_draining = False
        loop.call_every(_WALK_MS, self._walk)

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    @property
    def unread(self) -> int:
        """How many connections may still bring frames."""
        return sum(not one.is_ended for one in self._open)

    @property
    def waiting(self) -> int:
        """How many frames wait to be stored."""
        return self._waiting

    @property
    def is_waited_for(self) -> bool:
        """Whether anything that came in is not settled yet, be it only a line's last fault."""
        return self._quotas.total.frames > 0

    def take_bounds(self, bounds: Bounds) -> None:
        """Keep within other bounds from now on."""
        self._quotas.bounds = bounds

    def finished(self, arrived: Arrived) -> None:
        """Hear that these frames are stored and answered; for whoever stored them."""
        self._finished.append(arrived)
        if self._wants_wake or arrived.connection.unsent:
            self._loop.wake()

    def settle(self) -> None:
        """Do what became possible; call this after each turn of the loop."""
        self._wants_wake = True  # first: what finishes from here on wakes the loop
        while self._finished:
            self._settle(self._finished.popleft())
        for connection in list(self._held):
            if not self._is_over(connection):
                self._held.discard(connection)
                connection.is_held = False
                self._rewatch(connection)
        self._wants_wake = bool(self._held or self._ending) or self.is_draining

    def drain(self) -> None:
        """Let emitters write no more, and read on until all that they have written is here."""
        self.is_draining = True
        for connection in list(self._open):
            self._end_writing(connection)

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._open):
            self._close(connection)

    # ----------------------------------------------------------------------------- who comes

    @property
    def is_full(self) -> bool:
        """Whether no more connections may be open."""
        return len(self._open) >= self._quotas.bounds.connections

    @property
    def has_idle(self) -> bool:
        """Whether a connection would give way to another one."""
        return bool(self._idle(None))

    def admit(self, accepted: socket.socket, attestation: Attestation) -> None:
        """Take over a connection, and read what came along with it."""
        account = self._quotas.account_of(attestation.credential.uid)
        is_over = not self._quotas.may_connect(account) and not self._evict(account)
        connection = Connection(accepted, attestation, account, self._loop.now_ms)
        account.connections += 1
        self._tallies.connections += 1
        watcher = self._open[connection] = _Watcher(self, connection)
        if is_over:
            # It may say what it has said already, and no more.
            self._tallies.over_quota += 1
            self._end_writing(connection)
        elif self.is_draining:
            self._end_writing(connection)
        else:
            watcher.on_event(READ)
        self._rewatch(connection)

    def make_room(self) -> bool:
        """Close the connection that was idle the longest, where one was for long enough."""
        return self._evict(None)

    def _evict(self, account: Account | None) -> bool:
        idle = self._idle(account)
        if not idle:
            return False
        self._tallies.evicted += 1
        oldest = min(idle, key=lambda one: one.active_ms)
        self._end_writing(oldest)
        while self.read(oldest):
            pass  # what came in at the last moment
        return True

    def _idle(self, account: Account | None) -> list[Connection]:
        latest = self._loop.now_ms - IDLE_BEFORE_EVICTION_MS_MAX
        return [
            one
            for one in self._open
            if one.active_ms <= latest
            and (account is None or one.account is account)
            and not (one.frames or len(one.inbound) or one.unsent or one.is_ended)
        ]

    # ------------------------------------------------------------------------- one connection

    def read(self, connection: Connection) -> bool:
        """Read once what has come in, and return whether there may be more."""
        if connection.is_ended or connection.is_closed:
            return False
        if self._is_over(connection):
            self._hold(connection)
            return False
        data = connection.read()
        if data is None:
            return False
        if not data:
            self._end(connection)
            return False
        connection.active_ms = self._loop.now_ms
        before = len(connection.inbound)
        bodies, fault = connection.inbound.take(data)
        self._quotas.count(connection.account, 0, len(connection.inbound) - before)
        if bodies or not len(connection.inbound):
            connection.unfinished_ms = 0
        if len(connection.inbound) and not connection.unfinished_ms:
            connection.unfinished_ms = self._loop.now_ms
        if bodies or fault is not None:
            self._pass_on(connection, bodies, fault)
        if fault is not None:
            self._end(connection)
        return fault is None

    def write(self, connection: Connection) -> None:
        """Send more of the answers that wait."""
        if connection.flush():
            connection.stuck_ms = self._loop.now_ms
        self._rewatch(connection)
        self._close_if_done(connection)

    def fail(self, connection: Connection, fault: Exception) -> None:
        """Close a connection that our own code stumbled over."""
        self._tallies.faults += 1
        event(logging.ERROR, "connection_failed", kind=type(fault).__name__)
        try:
            self._cut(connection, "INTERNAL", "the daemon failed to read this connection")
        finally:
            self._close(connection)

    def _pass_on(
        self, connection: Connection, bodies: list[bytes], fault: FrameRefused | None
    ) -> None:
        arrived = Arrived(connection, bodies, self._clock_ns(), fault)
        self._submit(arrived)
        self._waiting += len(bodies)
        connection.frames += len(bodies) + 1
        self._quotas.count(connection.account, len(bodies) + 1, arrived.size)

    def _settle(self, arrived: Arrived) -> None:
        connection = arrived.connection
        self._waiting -= len(arrived.bodies)
        connection.frames -= len(arrived.bodies) + 1
        self._quotas.count(connection.account, -len(arrived.bodies) - 1, -arrived.size)
        if connection.is_closed:
            self._quotas.forget(connection.account)
            return
        if connection.unsent and not connection.stuck_ms:
            connection.stuck_ms = self._loop.now_ms
        self._rewatch(connection)
        self._close_if_done(connection)

    def _end(self, connection: Connection) -> None:
        """Read no more; what is stored is still answered."""
        if connection.is_ended or connection.is_closed:
            return
        self._cut(connection, "FRAME_CUT", "the connection ended in the middle of a frame")
        connection.is_ended = True
        self._held.discard(connection)
        self._ending.add(connection)
        self._rewatch(connection)
        self._close_if_done(connection)

    def _cut(self, connection: Connection, code: str, why: str) -> None:
        left = len(connection.inbound)
        if left and not connection.is_ended:
            self._quotas.count(connection.account, 0, -left)
            connection.inbound = type(connection.inbound)()
            self._pass_on(connection, [], FrameRefused(code, why))

    def _end_writing(self, connection: Connection) -> None:
        """Let the emitter's next write fail, so that it knows; what it has written is read."""
        if connection.is_ended or connection.is_closed:
            return
        if _KEEPS_READABLE:
            try:
                connection.socket.shutdown(socket.SHUT_RD)
            except OSError:
                pass  # it is gone already: what it left is read all the same
            self._rewatch(connection)
            return
        while self.read(connection):
            pass
        self._end(connection)

    def _close_if_done(self, connection: Connection) -> None:
        if not connection.is_ended:
            return
        if connection.is_broken or not (connection.frames or connection.unsent):
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        if connection.is_closed:
            return
        self._loop.watch(connection.socket, 0, self._open.pop(connection))
        self._held.discard(connection)
        self._ending.discard(connection)
        self._quotas.count(connection.account, 0, -len(connection.inbound))
        connection.is_ended = True
        connection.close()
        connection.account.connections -= 1
        self._quotas.forget(connection.account)

    def _rewatch(self, connection: Connection) -> None:
        if connection.is_closed:
            return
        events = 0 if connection.is_ended or connection.is_held else READ
        if connection.unsent:
            events |= WRITE
        else:
            connection.stuck_ms = 0
        self._loop.watch(connection.socket, events, self._open[connection])

    def _is_over(self, connection: Connection) -> bool:
        return self._quotas.is_over(connection, counts_answers=not self.is_draining)

    def _hold(self, connection: Connection) -> None:
        connection.is_held = True
        self._tallies.holds += 1
        self._held.add(connection)
        self._rewatch(connection)

    # ------------------------------------------------------------------------------- clocks

    def _walk(self) -> None:
        """Look at all connections: who is too slow?"""
        now_ms, bounds = self._loop.now_ms, self._quotas.bounds
        for connection in list(self._open):
            if connection.stuck_ms and now_ms - connection.stuck_ms > bounds.stall_ms:
                self._tallies.stalled += 1
                connection.give_up()  # no more answers; what it has sent is stored all the same
                connection.is_held = False
                self._held.discard(connection)
                self._end_writing(connection)
                self._close_if_done(connection)
            elif connection.is_ended:
                continue
            elif self._is_slow(connection):
                self._read_on(connection)  # what came in while we were stopped
                if not self._is_slow(connection) or connection.is_ended:
                    continue
                if connection.is_held and connection.account.frames:
                    connection.unfinished_ms = now_ms  # it is we who are slow
                else:
                    self._tallies.slow += 1
                    self._cut(connection, "FRAME_SLOW", "the frame took too long to come in")
                    self._end(connection)
            elif now_ms - connection.active_ms > bounds.idle_ms and not connection.frames:
                self._tallies.idle += 1
                self._end_writing(connection)

    def _is_slow(self, connection: Connection) -> bool:
        begun_ms = connection.unfinished_ms
        return bool(begun_ms) and self._loop.now_ms - begun_ms > self._quotas.bounds.frame_ms

    def _read_on(self, connection: Connection) -> None:
        """Read the rest of the slow frame, and no more: what comes behind it waits its turn."""
        try:
            while self._is_slow(connection) and not connection.is_held:
                if not self.read(connection):
                    break
        except Exception as fault:  # noqa: BLE001 - one connection's trouble is not another's
            self.fail(connection, fault)
            connection.unfinished_ms = 0


class _Watcher:
    """One connection, as the loop sees it."""

    __slots__ = ("_all", "_connection")

    def __init__(self, connections: Connections, connection: Connection) -> None:
        self._all = connections
        self._connection = connection

    def on_event(self, events: int) -> None:
        if self._connection.is_closed:
            return  # closed in this very turn, for another one's sake
        try:
            if events & WRITE:
                self._all.write(self._connection)
            if events & READ:
                self._all.read(self._connection)
        except Exception as fault:  # noqa: BLE001 - one connection's trouble is not another's
            self.on_fault(fault)

    def on_fault(self, fault: Exception) -> None:
        self._all.fail(self._connection, fault)
