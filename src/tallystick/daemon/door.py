# SPDX-License-Identifier: Apache-2.0
"""Where emitters come in: accepts, has the kernel say who it is, and hands over.

Whoever can't be let in now waits in the kernel's line with what was sent already: nothing is lost
there. Where descriptors are scarce the door rests for a moment.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from typing import Final

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.connections import Connections
from tallystick.daemon.loop import READ, Loop
from tallystick.daemon.tallies import Tallies
from tallystick.errors import PeerError
from tallystick.limits import ACCEPTS_PER_TURN_MAX, DESCRIPTOR_PAUSE_MS_MAX
from tallystick.serve.logs import event

_SCARCE: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_LOOK_MS: Final = 500


class Door:
    """One listening socket. Owned by the loop's thread."""

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        connections: Connections,
        *,
        tallies: Tallies,
        attests: Callable[[socket.socket], Attestation],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._connections = connections
        self._tallies = tallies
        self._attests = attests
        self._rests_until_ms = 0
        self._is_full = False
        self.is_closed = False
        loop.watch(listener, READ, self)
        loop.call_every(_LOOK_MS, self._look)

    def on_event(self, _events: int) -> None:
        """Let some of those in who wait."""
        if not self.is_closed:
            self._accept(ACCEPTS_PER_TURN_MAX)

    def on_fault(self, fault: Exception) -> None:
        """Rest: something of our own is wrong."""
        self._tallies.faults += 1
        event(logging.ERROR, "accept_failed", kind=type(fault).__name__)
        self._rest()

    def close_when_empty(self) -> bool:
        """Let in all who wait already, then nobody more; return whether that is done.

        The name must be gone by now: else there is no end of them.
        """
        if not self.is_closed and self._accept(None):
            self.close()
        return self.is_closed

    def close(self) -> None:
        """Let nobody in any more."""
        if not self.is_closed:
            self.is_closed = True
            self._loop.watch(self._listener, 0, self)
            self._listener.close()

    def _accept(self, most: int | None) -> bool:
        """Let in so many, or all; return whether nobody waits any more."""
        taken = 0
        while most is None or taken < most:
            taken += 1
            if self._connections.is_full and not self._connections.has_idle:
                self._is_full = True
                self._loop.watch(self._listener, 0, self)
                return False
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return True
            except OSError as fault:
                if fault.errno == errno.ECONNABORTED:
                    continue
                self._report(fault)
                self._rest()
                return False
            try:
                if self._connections.is_full:
                    self._connections.make_room()
                self._admit(accepted)
            except Exception as fault:  # noqa: BLE001 - who comes next is let in all the same
                self._tallies.faults += 1
                event(logging.ERROR, "admission_failed", kind=type(fault).__name__)
                accepted.close()
        return False

    def _admit(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            attestation = self._attests(accepted)
        except PeerError as fault:
            self._tallies.strangers += 1
            event(logging.WARNING, "no_peer", reason=str(fault))
            accepted.close()
            return
        self._connections.admit(accepted, attestation)

    def _report(self, fault: OSError) -> None:
        self._tallies.scarcities += 1
        event(
            logging.WARNING,
            "accept_failed",
            reason=fault.strerror,
            is_scarce=fault.errno in _SCARCE,
            connections=len(self._connections),
        )
        self._connections.make_room()

    def _rest(self) -> None:
        self._rests_until_ms = self._loop.now_ms + DESCRIPTOR_PAUSE_MS_MAX
        self._loop.watch(self._listener, 0, self)
        self._loop.call_later(DESCRIPTOR_PAUSE_MS_MAX, self._look)

    def _look(self) -> None:
        """Open again where there is room again."""
        if self._rests_until_ms and self._loop.now_ms >= self._rests_until_ms:
            self._rests_until_ms = 0
        if self._is_full and (not self._connections.is_full or self._connections.has_idle):
            self._is_full = False
        if not (self.is_closed or self._is_full or self._rests_until_ms):
            self._loop.watch(self._listener, READ, self)
