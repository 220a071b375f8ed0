# SPDX-License-Identifier: Apache-2.0
"""One emitter's connection: what came in, what waits to be stored, what goes back.

Two threads meet here: the loop reads, and whoever has stored answers. Only `answer` and
`flush` write, and only they and `close` take the lock, so that no answer goes to a descriptor that
another connection has taken over.
"""

from __future__ import annotations

import socket
import threading
from typing import Final

from tallystick.daemon.draft_process import Asked
from tallystick.daemon.inbound import Inbound
from tallystick.daemon.peer import Attestation
from tallystick.errors import FrameRefused
from tallystick.limits import FRAME_WEIGHT_BYTES_EACH, ODD_PORTIONS_MAX

READ_BYTES: Final = 64 * 1024


class Account:
    """What all connections of one user take up together; only the loop changes it."""

    __slots__ = ("connections", "first", "frames", "held", "uid")

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.connections = 0
        self.frames = 0  # that wait to be stored
        self.held = 0  # bytes of these, and of unfinished frames
        # Who may go on although too much is held: its frame will be whole, or late.
        self.first: Connection | None = None


class Arrived:
    """Frames that came in together on one connection; `fault` is what stands behind the last."""

    __slots__ = ("asked", "bodies", "connection", "fault", "is_passed_on", "received_ns", "size")

    def __init__(
        self,
        connection: Connection,
        bodies: list[bytes],
        received_ns: int,
        fault: FrameRefused | None = None,
    ) -> None:
        self.connection = connection
        self.bodies = bodies
        self.received_ns = received_ns
        self.fault = fault
        self.asked: Asked | None = None  # where it was handed over to be stated ahead
        self.is_passed_on = False  # whether the thread that writes answers it
        self.size = sum(map(len, bodies)) + FRAME_WEIGHT_BYTES_EACH * len(bodies)


class Connection:
    """One accepted socket and the state of both directions."""

    __slots__ = (
        "_lock",
        "_odd",
        "_out",
        "_passes",
        "account",
        "active_ms",
        "asks",
        "attestation",
        "frames",
        "inbound",
        "is_broken",
        "is_closed",
        "is_ended",
        "is_held",
        "socket",
        "stuck_ms",
        "unfinished_ms",
    )

    def __init__(
        self, accepted: socket.socket, attestation: Attestation, account: Account, now_ms: int
    ) -> None:
        self.socket = accepted
        self.attestation = attestation
        self.account = account
        self.inbound = Inbound()
        self.active_ms = now_ms
        self.unfinished_ms = 0  # since when a frame is under way
        self.stuck_ms = 0  # since when nobody takes the answers
        self.frames = 0  # that wait to be stored
        self.asks = False  # whether it has ever asked for an answer
        self.is_ended = False  # nothing more is read
        self.is_held = False  # nothing is read for now
        self.is_broken = False  # nobody is there to take answers
        self.is_closed = False
        self._out = bytearray()
        self._lock = threading.Lock()
        # How often in a row most of its frames were not usual, and what that still counts for.
        self._odd = self._passes = 0

    def note_unusual(self, count: int, of: int) -> None:
        """Hear how many frames another process could not state: then it is asked less often."""
        self._odd = min(self._odd + 1, ODD_PORTIONS_MAX) if 2 * count > of else 0
        self._passes = (1 << self._odd) - 1

    def passes_by(self) -> bool:
        """Whether what came in is better not handed to another process; to be asked once each."""
        if not self._passes:
            return False
        self._passes -= 1
        return True

    @property
    def unsent(self) -> int:
        """How many bytes of answers wait for the emitter to take them."""
        return len(self._out)

    def read(self) -> bytes | None:
        """Return what is there: nothing at the end, and None where more may come."""
        try:
            return self.socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def answer(self, data: bytes) -> None:
        """Send without waiting; what does not go now goes with `flush`."""
        with self._lock:
            if self.is_closed or self.is_broken:
                return
            if self._out:
                self._out += data
                return
            sent = self._send(data)
            if sent < len(data):
                self._out += memoryview(data)[sent:]

    def flush(self) -> int:
        """Send more of what waits, without waiting; return how many bytes went."""
        with self._lock:
            if self.is_closed or self.is_broken or not self._out:
                return 0
            sent = self._send(bytes(self._out[: READ_BYTES * 4]))
            del self._out[:sent]
            return sent

    def give_up(self) -> None:
        """Send no more answers."""
        with self._lock:
            self.is_broken = True
            self._out.clear()

    def close(self) -> None:
        """Close the socket; answers that come later are dropped."""
        with self._lock:
            if not self.is_closed:
                self.is_closed = True
                self._out.clear()
                self.socket.close()

    def _send(self, data: bytes) -> int:
        try:
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.is_broken = True
            self._out.clear()
            return len(data)
