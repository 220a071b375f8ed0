# SPDX-License-Identifier: Apache-2.0
"""One HTTP exchange with a stranger: bounded in bytes and in time, and no redirect is followed.

A limit on each read is none: an answer of one byte at a time keeps within it for ever. So one clock
runs for all of it, and when that ends the connection is cut.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from threading import Event, Timer
from typing import Final

import msgspec

from tallystick.errors import NodeError

_CHUNK: Final = 1 << 16
_READ_SECONDS: Final = 20.0
_OK: Final = 200


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much of an answer is taken, and for how long it is waited."""

    bytes_max: int
    seconds_max: float


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; with a body it is a POST."""

    path: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    also: tuple[int, ...] = ()  # statuses besides 200 whose body is wanted


class Oversized(Exception):
    """More bytes than the bounds allow."""


class Connection(http.client.HTTPConnection):
    """A connection to an address that was looked up before, or to a name."""

    def __init__(self, host: str, port: int, *, tls: bool, address: str | None = None) -> None:
        """`host` is what the certificate must name; `address` is where that is."""
        self.default_port = 443 if tls else 80
        super().__init__(host, port, timeout=_READ_SECONDS)
        self._tls = tls
        self._address = address or host
        self._wire: socket.socket | None = None

    def connect(self) -> None:
        """Connect; what was begun can be cut at each moment."""
        self.sock = self._wire = socket.create_connection((self._address, self.port), _READ_SECONDS)
        if self._tls:
            wrapped = _context().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock = self._wire = wrapped
            wrapped.do_handshake()

    def cut(self) -> None:
        """End all reading and writing, of an answer that has the socket for itself, too."""
        if self._wire is not None:
            try:
                self._wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already


def receive(
    connection: Connection, request: Request, take: Callable[[bytes], object], bounds: Bounds
) -> int:
    """Give the body of an answer that is wanted to `take`, and return the status.

    Raises NodeError where no whole answer comes, and Oversized. After both, and after another
    status than 200, the connection is closed.
    """
    late = Event()
    clock = Timer(bounds.seconds_max, _cut, (connection, late))
    clock.daemon = True
    clock.start()
    status, why = 0, ""
    try:
        status = _received(connection, request, take, bounds.bytes_max)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = type(error).__name__
    finally:
        clock.cancel()
        if status != _OK:
            connection.close()
    if late.is_set():  # what was cut may look whole where its length was not told
        connection.close()
        why = f"no whole answer after {bounds.seconds_max:g} s"
    if why:
        raise NodeError(why, is_transient=True)
    return status


def _received(
    connection: Connection, request: Request, take: Callable[[bytes], object], bytes_max: int
) -> int:
    method = "GET" if request.body is None else "POST"
    connection.request(method, request.path, request.body, dict(request.headers))
    with connection.getresponse() as answer:
        if answer.status != _OK and answer.status not in request.also:
            return answer.status
        size = 0
        while chunk := answer.read(_CHUNK):
            size += len(chunk)
            if size > bytes_max:
                raise Oversized
            take(chunk)
        if answer.length:  # it was told, and less came
            raise http.client.IncompleteRead(b"", answer.length)
        return answer.status


def _cut(connection: Connection, late: Event) -> None:
    late.set()
    connection.cut()


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
