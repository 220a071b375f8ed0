# SPDX-License-Identifier: Apache-2.0
"""The other side of the Lambda Runtime API (2018-06-01), on this machine: what AWS runs there.

It holds `next` until there is an event, and takes answers only for the request that is under way.
"""

from __future__ import annotations

import json
import queue
import select
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from tests.collector import wait_for

API: Final = "/2018-06-01/runtime"
ARN: Final = "arn:aws:lambda:eu-west-1:123456789012:function:prices"


@dataclass(frozen=True)
class Outcome:
    """What a function answered: how (`response` or `error`), and with what."""

    kind: str
    body: Any


class RuntimeApi:
    """Serves one execution environment."""

    def __init__(self) -> None:
        self.init_errors: list[Any] = []
        self.restores = 0
        self.faults: list[str] = []
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._under_way = ""
        self._is_polling = threading.Event()
        self._is_over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API is set to."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def send(self, event: object) -> None:
        """Hand an event to the function, and don't wait."""
        self._events.put((str(uuid.uuid4()), json.dumps(event).encode()))

    def answer(self, within_s: float = 20) -> Outcome:
        """Wait for the function's answer."""
        return self._outcomes.get(timeout=within_s)

    def invoke(self, event: object) -> Outcome:
        """Hand an event to the function, and return what it answered."""
        self.send(event)
        return self.answer()

    def is_idle(self, within_s: float = 20) -> None:
        """Wait until the environment has nothing to do: this is when AWS freezes it."""
        wait_for(self._is_polling.is_set, within_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        assert not self.faults, self.faults

    def next_event(self, asking: socket.socket) -> tuple[str, bytes] | None:
        """Wait for the next event; None at the end, or when who asked has gone."""
        self._is_polling.set()
        try:
            while not self._is_over.is_set() and not _has_gone(asking):
                try:
                    found = self._events.get(timeout=0.02)
                except queue.Empty:
                    continue
                self._under_way = found[0]
                return found
            return None
        finally:
            self._is_polling.clear()

    def take(self, request_id: str, kind: str, body: bytes) -> int:
        """Take an answer; return the HTTP status."""
        if request_id != self._under_way or kind not in ("response", "error"):
            self.faults.append(f"{kind} for {request_id}, which is not under way")
            return 400
        self._under_way = ""
        self._outcomes.put(Outcome(kind, json.loads(body)))
        return 202


def _has_gone(asking: socket.socket) -> bool:
    """Whether the other side has closed the connection, or is no more."""
    try:
        return bool(select.select([asking], [], [], 0)[0]) and not asking.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A function that was killed is no news."""


def _handler_of(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == f"{API}/restore/next":
                api.restores += 1
                self._answer(200, b"{}")
            elif self.path == f"{API}/invocation/next":
                found = api.next_event(self.connection)
                if found is None:
                    self.close_connection = True
                    return
                deadline = int(time.time() * 1000) + 60_000
                self._answer(
                    200,
                    found[1],
                    {
                        "Lambda-Runtime-Aws-Request-Id": found[0],
                        "Lambda-Runtime-Deadline-Ms": str(deadline),
                        "Lambda-Runtime-Invoked-Function-Arn": ARN,
                        "Lambda-Runtime-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793",
                    },
                )
            else:
                self._answer(404, b"{}")

        def do_POST(self) -> None:
            body = self._body()
            if self.path == f"{API}/init/error":
                api.init_errors.append(json.loads(body))
                self._answer(202, b"{}")
                return
            request_id, _, kind = self.path.removeprefix(f"{API}/invocation/").partition("/")
            self._answer(api.take(request_id, kind, body), b"{}")

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_told: object) -> None:
            """Say nothing."""

    return Handler
