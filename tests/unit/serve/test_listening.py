# SPDX-License-Identifier: Apache-2.0
"""Connections that are accepted and say nothing, before they are any."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.serving import Serving, status_of
from tests.unit.serve.test_protocol import CLOSE, echo

from tallystick.serve import listening
from tallystick.serve.listening import Listening
from tallystick.serve.server import bound_socket

ASK = b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let only a few shake hands at a time."""
    monkeypatch.setattr(listening, "HANDSHAKES_MAX", 4)
    return 4


@pytest.fixture
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server and its clients need for TLS."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


def is_closed(line: socket.socket) -> bool:
    """Whether the other side has let go of a connection."""
    line.setblocking(False)
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_who_says_nothing_makes_room(
    few: int, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """The oldest handshakes are dropped, the newest go on, and an honest client is answered."""
    server, client = contexts
    with Serving(echo, tls=server) as serving, ExitStack() as silent:
        lines = [silent.enter_context(serving.dial()) for _ in range(3 * few)]
        end = time.monotonic() + 20
        while sum(map(is_closed, lines)) < 2 * few and time.monotonic() < end:
            time.sleep(0.01)
        assert [is_closed(one) for one in lines] == [True] * 2 * few + [False] * few
        assert serving.server.connections == 0
        assert status_of(serving.say(ASK, client)) == 200


def test_a_handshake_that_is_none_is_let_go(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Who speaks plain HTTP to a service with TLS is cut off, and the next one is served."""
    server, client = contexts
    with Serving(echo, tls=server) as serving:
        assert b"200" not in serving.say(ASK)
        assert status_of(serving.say(ASK, client)) == 200


class _Starved:
    """A loop without a file for the first few connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fails: int) -> None:
        self._loop = loop
        self.fails = fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def sock_accept(self, listener: socket.socket) -> Any:
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return await self._loop.sock_accept(listener)


def test_no_file_left_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file for a connection it tries again after a pause, and goes on."""
    monkeypatch.setattr(listening, "_PAUSE_S", 0.01)

    async def run() -> bytes:
        listener = bound_socket("127.0.0.1", 0)
        starved = _Starved(asyncio.get_running_loop(), 3)
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: starved)

        class Greeting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert isinstance(transport, asyncio.Transport)
                transport.write(b"hello")
                transport.close()

        one = Listening(listener, Greeting, None)
        monkeypatch.undo()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        said = await asyncio.wait_for(reader.read(), 20)
        assert starved.fails == 0
        assert one.arriving == 0
        writer.close()
        one.close()
        await one.wait_closed()
        return said

    assert asyncio.run(run()) == b"hello"


def test_it_ends_with_those_who_shake_hands(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Closing lets go of all that arrive, and leaves no file open."""
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    serving = Serving(echo, tls=contexts[0])
    with serving, ExitStack() as silent:
        lines = [silent.enter_context(serving.dial()) for _ in range(3)]
        time.sleep(0.1)
        serving.server.stop()
        assert serving.has_ended(10)
        assert all(map(is_closed, lines))
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before
