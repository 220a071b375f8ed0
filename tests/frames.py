# SPDX-License-Identifier: Apache-2.0
"""Frames for tests, as an emitter writes them, and a plain client that speaks to a daemon."""

from __future__ import annotations

import json
import socket
from struct import Struct
from typing import Any, Self

HEADER = Struct(">I")


def members(**more: Any) -> dict[str, Any]:
    """Return the members of a usual frame; None leaves one out."""
    usual = {
        "v": "1",
        "ts_emit": "2026-11-21T12:00:00.123Z",
        "session_id": "6f1c1f1e-0b52-4f0e-9d4e-2a8f0a9b1c2d",
        "channel": "sdk",
        "tool": {"name": "read_file", "server": "fs"},
        "decision": "allowed",
        "input": {"path": "/srv/report.txt"},
    }
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


def body(**more: Any) -> bytes:
    """Return the body of a frame."""
    return json.dumps(members(**more), separators=(",", ":")).encode()


def framed(*bodies: bytes) -> bytes:
    """Return bodies with their lengths before them."""
    return b"".join(HEADER.pack(len(one)) + one for one in bodies)


def frame(**more: Any) -> bytes:
    """Return one whole frame."""
    return framed(body(**more))


class Line:
    """A connection to a daemon, for tests that look at bytes."""

    def __init__(self, path: str, wait_s: float = 20) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(wait_s)
        self.socket.connect(path)
        self._rest = b""

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def may_send(self, data: bytes) -> bool:
        """Send what goes at once, and tell whether anything went."""
        wait_s = self.socket.gettimeout()
        self.socket.setblocking(False)
        try:
            return self.socket.send(data) > 0
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(wait_s)

    def answer(self) -> dict[str, Any]:
        """Return the next answer; EOFError where the daemon closed instead."""
        (size,) = HEADER.unpack(self._exactly(HEADER.size))
        answer: dict[str, Any] = json.loads(self._exactly(size))
        return answer

    def ask(self, **more: Any) -> dict[str, Any]:
        """Send a frame that asks for an answer, and return that."""
        self.send(frame(ack=True, **more))
        return self.answer()

    def is_closed(self) -> bool:
        """Wait for the daemon to close, and tell whether it said nothing before."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self._rest += data
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
