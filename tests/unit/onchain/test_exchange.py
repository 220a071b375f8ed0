# SPDX-License-Identifier: Apache-2.0
"""One exchange ends within its bounds, whatever the other side does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import create_server, socket
from threading import Thread

import pytest

from tallystick.errors import NodeError
from tallystick.onchain.exchange import Bounds, Connection, Oversized, Request, receive

SHORT = Bounds(bytes_max=1000, seconds_max=0.4)
PATIENT = Bounds(bytes_max=1000, seconds_max=20)


@contextmanager
def server(talk: Callable[[socket], None]) -> Iterator[int]:
    """Serve one connection; yield the port."""
    with create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                taken, _ = listening.accept()
                with taken:
                    talk(taken)
            except OSError:
                pass

        thread = Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join(5)
            assert not thread.is_alive()


def drip(head: bytes) -> Callable[[socket], None]:
    """Send a beginning, and then a byte at a time for as long as anybody listens."""

    def talk(connection: socket) -> None:
        connection.recv(1000)
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return talk


def say(answer: bytes) -> Callable[[socket], None]:
    def talk(connection: socket) -> None:
        connection.recv(1000)
        connection.sendall(answer)

    return talk


def ask(port: int, bounds: Bounds = PATIENT, *, tls: bool = False) -> tuple[int, bytes]:
    taken = bytearray()
    connection = Connection("localhost", port, tls=tls, address="127.0.0.1")
    try:
        status = receive(connection, Request(path="/x"), taken.extend, bounds)
    finally:
        connection.close()
    return status, bytes(taken)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n380\r\n",
    ],
)
def test_a_byte_at_a_time(head: bytes) -> None:
    """It ends when the clock does, in the head as in the body, however its length is told."""
    begun = time.monotonic()
    with server(drip(head)) as port, pytest.raises(NodeError, match=r"after 0.4 s|StatusLine"):
        ask(port, SHORT)
    assert time.monotonic() - begun < 15


def test_a_handshake_without_end() -> None:
    """The clock runs while the two sides greet each other, too."""

    def mute(connection: socket) -> None:
        while connection.recv(1000):
            pass

    with server(mute) as port, pytest.raises(NodeError, match=r"after 0.4 s"):
        ask(port, SHORT, tls=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200,
    ],
)
def test_answers_that_are_none(answer: bytes) -> None:
    """What is no whole answer is none, and worth another try."""
    with server(say(answer)) as port, pytest.raises(NodeError) as caught:
        ask(port)
    assert caught.value.is_transient


def test_too_many_bytes() -> None:
    """No more than the bound is taken."""
    with server(say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001)) as port, pytest.raises(Oversized):
        ask(port)
    with server(say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)) as port:
        assert ask(port) == (200, b"x" * 1000)


def test_redirects_are_not_followed() -> None:
    """The status is told; what it leads to is not asked."""
    with server(say(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n")) as port:
        assert ask(port) == (302, b"")
