# SPDX-License-Identifier: Apache-2.0
"""A service from its socket to its orderly end."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from tests.serving import Serving, all_of, status_of

from tallystick.errors import SettingError
from tallystick.limits import FILES_RESERVED
from tallystick.serve.server import bound_socket, check_address, shown_address


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        while not self.go_on.is_set():
            await asyncio.sleep(0.01)
        await send(
            {"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]}
        )
        await send({"type": "http.response.body", "body": b""})


def test_what_has_begun_ends_and_nothing_new_begins() -> None:
    """On stop the listening socket closes first, then requests come to their end."""
    slow = Slow()
    with Serving(slow, drain_ms=20_000) as serving, serving.dial() as line:
        line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        assert slow.begun.wait(10)
        serving.server.stop()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                serving.dial().close()
            except ConnectionRefusedError:
                break
            time.sleep(0.02)
        else:
            pytest.fail("it still listens")
        assert not serving.has_ended(0.2)
        slow.go_on.set()
        assert status_of(all_of(line)) == 201
        assert serving.has_ended(10)


def test_idle_connections_do_not_hold_it_up() -> None:
    """A client that keeps a connection and asks nothing is let go at once."""
    slow = Slow()
    slow.go_on.set()
    with Serving(slow, drain_ms=20_000) as serving, serving.dial() as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert status_of(line.recv(4096)) == 201
        serving.server.stop()
        assert all_of(line) == b""
        assert serving.has_ended(5)


def test_draining_has_an_end() -> None:
    """What takes longer than the time for it is cut off."""
    slow = Slow()
    with Serving(slow, drain_ms=500) as serving, serving.dial() as line:
        line.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert slow.begun.wait(10)
        serving.server.stop()
        assert serving.has_ended(8)


def test_an_address_in_use_is_told() -> None:
    """In one line, with the address."""
    with bound_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingError, match=f"127.0.0.1:{port} can't be listened on"):
            bound_socket("127.0.0.1", port)
        with pytest.raises(SettingError, match=f"127.0.0.1:{port} can't be listened on"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)


def test_ipv6_is_an_address_too() -> None:
    """Where this machine has it."""
    assert shown_address("::1", 80) == "[::1]:80"
    assert shown_address("127.0.0.1", 80) == "127.0.0.1:80"
    try:
        probe = socket.socket(socket.AF_INET6)
        probe.bind(("::1", 0))
        probe.close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with bound_socket("::1", 0) as listener:
        assert listener.family == socket.AF_INET6


@pytest.mark.parametrize(
    ("files", "connections", "room"),
    [((300, 300), 2048, 300 - FILES_RESERVED), ((300, 400), 200, 200), ((20, 20), 5, 1)],
)
def test_connections_leave_files_for_all_else(
    files: tuple[int, int], connections: int, room: int
) -> None:
    """The limit is raised where it may be, and otherwise fewer connections are taken."""
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, {files})\n"
        "from tallystick.serve.server import room_for\n"
        f"print(room_for({connections}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == room
