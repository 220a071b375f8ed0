# SPDX-License-Identifier: Apache-2.0
"""From an address to a connection."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from tests.misbehaving import Collector, Proxy

from tallystick.deliver.answer import WireFault
from tallystick.deliver.dial import Dialler
from tallystick.deliver.endpoint import parse_endpoint, parse_proxy


def dialler(url: str, **settings: Any) -> Dialler:
    return Dialler(parse_endpoint(url, allow_insecure=True), time.monotonic, **settings)


def soon(seconds: float = 2.0) -> float:
    return time.monotonic() + seconds


def test_plain_connections() -> None:
    """A TCP connection, without delay for small pieces."""
    with Collector() as collector:
        connection = dialler(collector.url).connect(soon())
        assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "refused the connection"),
        ("http://nothing.invalid", "does not resolve"),
    ],
)
def test_nobody_there(url: str, words: str) -> None:
    """It is said whether it was the name or the door."""
    with pytest.raises(WireFault, match=words) as caught:
        dialler(url).connect(soon())
    assert caught.value.fate == "again"


def test_no_time_left() -> None:
    """A deadline that has passed is not connected before."""
    with Collector() as collector:
        with pytest.raises(WireFault, match="in time"):
            dialler(collector.url).connect(time.monotonic() - 1)
        time.sleep(0.05)
    assert collector.connections == 0


def full_listener() -> tuple[socket.socket, list[socket.socket]]:
    """Return a listener that accepts nothing any more."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
        waiting.append(one)
    return listening, waiting


def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two addresses the first never answers: half of the time is kept for the second."""
    listening, waiting = full_listener()
    with Collector() as collector, listening:
        places = [listening.getsockname(), ("127.0.0.1", collector.port)]
        monkeypatch.setattr(
            "socket.getaddrinfo",
            lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in places],
        )
        start = time.monotonic()
        dialler("http://two.example").connect(soon(2)).close()
        assert 0.5 < time.monotonic() - start < 2
        places.pop()
        with pytest.raises(WireFault, match="reached in time"):
            dialler("http://one.example").connect(soon(0.1))
        for one in waiting:
            one.close()


def test_localhost_never_leaves_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a resolver says of `localhost`, plain text goes to a loopback address only."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(WireFault, match="name without an address"):
        dialler("http://localhost").connect(soon())


def test_through_a_proxy() -> None:
    """For https the proxy is asked for a tunnel; TLS and its name are the collector's."""

    class Context:
        def wrap_socket(self, plain: socket.socket, **options: Any) -> socket.socket:
            self.options = options
            return plain

    context = Context()
    with Collector() as collector, Proxy() as proxy:
        url = f"https://127.0.0.1:{collector.port}"
        through = dialler(
            url,
            context=context,
            proxy=parse_proxy(proxy.url),
            proxy_header=b"Proxy-Authorization: Basic eA==\r\n",
        )
        through.connect(soon()).close()
    (seen,) = proxy.requests
    assert seen.line == f"CONNECT 127.0.0.1:{collector.port} HTTP/1.1"
    assert seen.headers["proxy-authorization"] == "Basic eA=="
    assert context.options["server_hostname"] == b"127.0.0.1"
    assert context.options["suppress_ragged_eofs"] is False


def test_a_tunnel_to_an_ipv6_address_is_in_brackets() -> None:
    """The authority of CONNECT always names a port."""
    with Proxy() as proxy:
        through = dialler("https://[::1]:9", proxy=parse_proxy(proxy.url))
        with pytest.raises(WireFault, match="proxy"):
            through.connect(soon())
    assert proxy.requests[0].line == "CONNECT [::1]:9 HTTP/1.1"
