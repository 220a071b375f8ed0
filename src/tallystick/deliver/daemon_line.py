# SPDX-License-Identifier: Apache-2.0
"""One connection to the daemon's socket: dialled, kept, written to within a budget of time.

Built on `_socket`, the half of `socket` that is written in C: the other half costs a process that
sends one frame a fifth of its time, and nothing of it is needed here.
"""

from __future__ import annotations

import _socket
import errno
import os
import time

from tallystick.errors import EmitTransportError
from tallystick.limits import EMITTER_DIAL_MS_MAX
from tallystick.model.framing import HEADER_BYTES, body_bytes

# Where the daemon's queue of connections is full, the kernel says so at once instead of waiting.
_FULL = frozenset((errno.EAGAIN, errno.EWOULDBLOCK))
# A program that asked to die of SIGPIPE does not mean this pipe. macOS has no such flag.
_NO_SIGNAL = getattr(_socket, "MSG_NOSIGNAL", 0)
# The kernel takes so little whole or not at all. More is offered when there is room for it: a frame
# that is cut off costs the connection.
_AT_ONCE_BYTES_MAX = 1 << 14
_PAUSE_SECONDS_MIN = 0.0005
_PAUSE_SECONDS_MAX = 0.008


class BrokenLine(Exception):
    """The other end is gone, and nothing of this frame can have become a receipt."""


class DaemonLine:
    """The socket of one process. Not for several threads at once."""

    def __init__(self, path: str) -> None:
        """Remember the path; nothing is opened yet."""
        self._path = path
        self._socket: _socket.socket | None = None
        self._process = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection of this process."""
        return self._socket is not None and self._process == os.getpid()

    def has_lost_the_other_end(self) -> bool:
        """Drop a connection whose other end is gone; tell whether it left frames unread there."""
        if self._socket is None:
            return False
        if self._process != os.getpid():
            self.close()  # the parent's: two writers would mix their frames
            return False
        try:
            # An answer that nobody waits for is as bad as an end: who reads next would take it.
            self._socket.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            self.close()
            return True
        except OSError:
            pass
        self.close()
        return False

    def dial(self) -> None:
        """Connect, or raise `EmitTransportError`: at once where nobody listens."""
        until = time.monotonic() + EMITTER_DIAL_MS_MAX / 1000
        pause = _PAUSE_SECONDS_MIN
        while True:
            fresh = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            try:
                fresh.settimeout(max(until - time.monotonic(), 0.001))
                fresh.connect(self._path)
            except (OSError, ValueError) as fault:
                fresh.close()
                is_full = isinstance(fault, OSError) and fault.errno in _FULL
                if is_full and time.monotonic() + pause < until:
                    time.sleep(pause)
                    pause = min(pause * 2, _PAUSE_SECONDS_MAX)
                    continue
                raise EmitTransportError(
                    f"no daemon took the connection at {self._path!r}: {_reason(fault)}"
                ) from None
            fresh.setblocking(False)  # once: who has to wait says for how long
            self._socket, self._process = fresh, os.getpid()
            return

    def write(self, data: bytes, until: float) -> None:
        """Write all, by a time of the monotonic clock. A frame that is cut off ends the line."""
        assert self._socket is not None
        rest = memoryview(data)
        try:
            if len(rest) <= _AT_ONCE_BYTES_MAX:
                rest = rest[self._send_now(rest) :]
            while rest:
                rest = rest[self._send_when_taken(rest, until) :]
        except (BlockingIOError, TimeoutError):
            # What is written in part can't be taken back: the next frame needs a line of its own.
            # Where nothing is, the line is as good as before.
            if len(rest) < len(data):
                self.close()
            raise EmitTransportError(
                "the daemon takes no more for now; the frame is lost"
            ) from None
        except OSError as fault:
            self.close()
            raise BrokenLine(_reason(fault)) from None
        except BaseException:
            self.close()  # Ctrl-C in the middle of a frame: what comes next must not continue it
            raise

    def read_body(self, until: float) -> bytes:
        """Return the body of the next frame from the daemon, or raise `EmitTransportError`."""
        try:
            return self._read(body_bytes(self._read(HEADER_BYTES, until)), until)
        except (OSError, ValueError) as fault:
            # An answer that comes later must not be taken for that of another frame.
            self.close()
            raise EmitTransportError(
                f"the daemon did not answer, so the frame may be stored or not: {_reason(fault)}",
                may_be_stored=True,
            ) from None

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_now(self, rest: memoryview) -> int:
        assert self._socket is not None
        try:
            return self._socket.send(rest, _NO_SIGNAL)
        except BlockingIOError:
            return 0

    def _send_when_taken(self, rest: memoryview, until: float) -> int:
        assert self._socket is not None
        self._socket.settimeout(max(until - time.monotonic(), 0))
        try:
            return self._socket.send(rest, _NO_SIGNAL)
        finally:
            self._socket.setblocking(False)

    def _read(self, size: int, until: float) -> bytes:
        assert self._socket is not None
        data = b""
        try:
            while len(data) < size:
                self._socket.settimeout(max(until - time.monotonic(), 0.001))
                part = self._socket.recv(size - len(data))
                if not part:
                    raise OSError(errno.EPIPE, "the connection ended")
                data += part
        finally:
            self._socket.setblocking(False)
        return data


def _reason(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "out of time"
    return (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
