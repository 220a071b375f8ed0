# SPDX-License-Identifier: Apache-2.0
"""An ASGI application on a real socket, served as our services are, in a thread."""

from __future__ import annotations

import socket
import ssl
import threading
from types import TracebackType
from typing import Any, Self

from tallystick.serve.server import Server, bound_socket


class Serving:
    """Serves an application while the block runs."""

    def __init__(self, app: Any, **options: Any) -> None:
        listener = bound_socket("127.0.0.1", 0)
        self.port: int = listener.getsockname()[1]
        self._ready = threading.Event()
        self.server = Server(app, listener, on_ready=self._ready.set, **options)
        self._thread = threading.Thread(target=self.server.run, name="serving")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def has_ended(self, within_s: float) -> bool:
        """Whether the server ends within a time."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def dial(self) -> socket.socket:
        """Return a connection; whoever asks closes it."""
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def say(self, data: bytes, tls: ssl.SSLContext | None = None) -> bytes:
        """Send bytes on a connection of their own, and return all that comes back."""
        with self.dial() as plain:
            line = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
            with line:
                line.sendall(data)
                return all_of(line)


def all_of(line: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts = []
    try:
        while part := line.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass  # the other side had not read all that we sent
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """Return the status of the last answer."""
    return int(answer[answer.rindex(b"HTTP/1.1 ") + 9 :][:3])
