# SPDX-License-Identifier: Apache-2.0
"""A collector on a real socket that does what it is told, also what no collector should do."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

OK_BODY = b'{"id":"x","receipt_hash":"y"}'

Behaviour = Callable[["Exchange"], bool]


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n")[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}


@dataclass(frozen=True)
class Exchange:
    """What a behaviour works with; it returns whether the connection stays open."""

    socket: socket.socket
    request: Seen
    is_over: threading.Event

    def send(self, data: bytes, *, stays_open: bool = True) -> bool:
        self.socket.sendall(data)
        return stays_open


def answer(status: int, *headers: str, body: bytes = OK_BODY) -> Behaviour:
    """Answer properly."""
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    whole = head if status == 204 else head + body
    return lambda exchange: exchange.send(whole)


def raw(data: bytes, *, stays_open: bool = False) -> Behaviour:
    """Answer with these bytes."""
    return lambda exchange: exchange.send(data, stays_open=stays_open)


def drop(exchange: Exchange) -> bool:
    """Close without a word."""
    return False


def reset(exchange: Exchange) -> bool:
    """Reset the connection."""
    exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def closing(behaviour: Behaviour) -> Behaviour:
    """Do that and close, without having said so."""
    return lambda exchange: bool(behaviour(exchange) and False)


def silent(exchange: Exchange) -> bool:
    """Say nothing until the other side goes away."""
    wait_for_end(exchange)
    return False


def drip(data: bytes, pause_s: float = 0.03) -> Behaviour:
    """Send one byte at a time, and the last one again and again."""

    def behaviour(exchange: Exchange) -> bool:
        position = 0
        while not exchange.is_over.wait(pause_s):
            exchange.send(data[position : position + 1])
            position = min(position + 1, len(data) - 1)
        return False

    return behaviour


def endless(head: bytes, block: bytes) -> Behaviour:
    """Send blocks for as long as somebody takes them."""

    def behaviour(exchange: Exchange) -> bool:
        exchange.send(head)
        while not exchange.is_over.is_set():
            exchange.send(block)
        return False

    return behaviour


def wait_for_end(exchange: Exchange) -> None:
    while not exchange.is_over.is_set():
        if select.select([exchange.socket], [], [], 0.02)[0]:
            return


class Collector:
    """Listens on 127.0.0.1. The script's behaviours are used up in turn; the last one stays."""

    def __init__(
        self,
        *script: Behaviour,
        tls: ssl.SSLContext | None = None,
        reads: bool = True,
        greets: Behaviour | None = None,
    ) -> None:
        """With `greets`, a connection is only greeted; without `reads`, no request is read."""
        self.script = list(script or (answer(201),))
        self.requests: list[Seen] = []
        self.connections = 0
        self._tls = tls
        self._reads = reads
        self._greets = greets
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        if not reads:  # soon full: the other side must notice that nobody reads
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port = self._listening.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        return [seen.body for seen in self.requests]

    def then(self, *script: Behaviour) -> None:
        """Go on with another script."""
        with self._lock:
            self.script = list(script)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive(), "a connection was not let go of"

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                if select.select([self._listening], [], [], 0.02)[0]:
                    accepted, _ = self._listening.accept()
                    self.connections += 1
                    self._start(self._serve, accepted)
            except (OSError, ValueError):
                return

    def _serve(self, accepted: socket.socket) -> None:
        try:
            accepted.settimeout(5)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                accepted = self._tls.wrap_socket(accepted, server_side=True)
            if self._greets is not None:
                self._greets(Exchange(accepted, Seen(b"", b""), self._over))
                return
            while self._serve_one(accepted):
                pass
        except (OSError, ValueError):
            pass  # the other side left, which is what some tests are about
        finally:
            accepted.close()

    def _serve_one(self, accepted: socket.socket) -> bool:
        request = self._read(accepted) if self._reads else Seen(b"", b"")
        if request is None:
            return False
        with self._lock:
            self.requests.append(request)
            behaviour = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return behaviour(Exchange(accepted, request, self._over))

    def _read(self, accepted: socket.socket) -> Seen | None:
        data = b""
        while b"\r\n\r\n" not in data:
            while not getattr(accepted, "pending", int)():
                if self._over.is_set():
                    return None
                if select.select([accepted], [], [], 0.02)[0]:
                    break
            chunk = accepted.recv(65536)
            if not chunk:
                return None
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        size = int(Seen(head, b"").headers.get("content-length", "0"))
        parts = [body]
        missing = size - len(body)
        while missing > 0:
            chunk = accepted.recv(65536)
            if not chunk:
                return None
            parts.append(chunk)
            missing -= len(chunk)
        return Seen(head, b"".join(parts))


class Proxy(Collector):
    """Answers CONNECT and passes bytes on; everything else goes to the script."""

    def _serve_one(self, accepted: socket.socket) -> bool:
        request = self._read(accepted)
        if request is None:
            return False
        self.requests.append(request)
        if not request.line.startswith("CONNECT "):
            return self.script[0](Exchange(accepted, request, self._over))
        host, _, port = request.line.split(" ")[1].rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            accepted.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._pass_on(accepted, onward)
        return False

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        ends: Sequence[socket.socket] = (one, other)
        while not self._over.is_set():
            for source in select.select(ends, [], [], 0.02)[0]:
                data = source.recv(65536)
                if not data:
                    return
                (other if source is one else one).sendall(data)
