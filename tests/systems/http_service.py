# SPDX-License-Identifier: Apache-2.0
"""The other side over HTTP: a local service on a free port, and a script of how it misbehaves."""

from __future__ import annotations

import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

import trustme

GARBAGE: Final = b"\x00\xff<html>not what you asked for"


@dataclass
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What the service sends back."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


# Misbehaves instead of answering: returns an answer, or None after doing its worst to the socket.
Trick = Callable[[Request, socket.socket, Event], Answer | None]


def reset(_request: Request, connection: socket.socket, _stop: Event) -> None:
    """Reset the connection before any byte of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def hang(_request: Request, _connection: socket.socket, stop: Event) -> None:
    """Take the request and never answer."""
    stop.wait(30)


def garbage(_request: Request, _connection: socket.socket, _stop: Event) -> Answer:
    """Answer 200 with bytes of no protocol."""
    return Answer(200, GARBAGE, {"Content-Type": "application/json"})


def balancer_down(_request: Request, _connection: socket.socket, _stop: Event) -> Answer:
    """Answer as a load balancer whose back end is gone."""
    return Answer(503, b"<html><h1>503 Service Temporarily Unavailable</h1></html>")


class HttpService:
    """Serves `answer` on 127.0.0.1; each trick in `tricks` is played once, in order, before it."""

    def __init__(self) -> None:
        self.tricks: deque[Trick] = deque()
        self._scheme = "http"
        self.requests: list[Request] = []
        self._stop = Event()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def _serve(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                request = Request(
                    self.command, self.path, dict(self.headers.items()), self.rfile.read(size)
                )
                service.requests.append(request)
                if service.tricks:
                    answer = service.tricks.popleft()(request, self.connection, service._stop)
                else:
                    answer = service.answer(request)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_told: object) -> None:
                """Say nothing."""

        for method in ("GET", "POST", "PUT"):
            setattr(Handler, f"do_{method}", Handler._serve)

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A client that went away is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where the service listens."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def use_tls(self, authority: trustme.CA | None = None) -> None:
        """Serve TLS from now on, under an authority that nobody knows where none is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (authority or trustme.CA()).issue_cert("127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"

    def answer(self, request: Request) -> Answer:
        """Answer a request as the service's rules say."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
