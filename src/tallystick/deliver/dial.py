# SPDX-License-Identifier: Apache-2.0
"""From an address to a connection: name, TCP, the proxy's tunnel, TLS; all within one deadline."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from tallystick.deliver.answer import Request, WireFault
from tallystick.deliver.endpoint import Endpoint
from tallystick.deliver.wire import Connection, fault_of, left_s


class Dialler:
    """Opens connections to one endpoint, straight or through a proxy."""

    __slots__ = ("_context", "_endpoint", "_monotonic", "_proxy", "_tunnel")

    def __init__(
        self,
        endpoint: Endpoint,
        monotonic: Callable[[], float],
        *,
        context: Any = None,
        proxy: Endpoint | None = None,
        proxy_header: bytes = b"",
    ) -> None:
        """Take where to connect, and the TLS context for https."""
        self._endpoint = endpoint
        self._monotonic = monotonic
        self._context = context
        self._proxy = proxy
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        whole = f"{host}:{endpoint.port}"
        self._tunnel = Request(f"CONNECT {whole}", whole, proxy_header)

    def connect(self, deadline: float) -> Connection:
        """Return a connection on which a request can be sent, or raise `WireFault`."""
        near = self._proxy or self._endpoint
        connected = self._reach(near, deadline)
        connection = Connection(connected, self._monotonic)
        try:
            if self._endpoint.scheme == "https":
                if self._proxy is not None:
                    self._ask_for_tunnel(connection, deadline)
                connection.secure(self._context, self._endpoint.host, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    def _reach(self, place: Endpoint, deadline: float) -> socket.socket:
        """Try each address of a host in turn; none may use up the time of those behind it."""
        addresses = _addresses(place)
        fault = WireFault("has a name without an address")
        for position, (family, address) in enumerate(addresses):
            left = left_s(deadline, self._monotonic)
            connected = socket.socket(family, socket.SOCK_STREAM)
            try:
                connected.settimeout(left / (len(addresses) - position))
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected.connect(address)
            except OSError as error:
                connected.close()
                fault = _unreachable(error)
            except BaseException:
                connected.close()
                raise
            else:
                return connected
        raise fault

    def _ask_for_tunnel(self, connection: Connection, deadline: float) -> None:
        try:
            status = connection.tunnel(self._tunnel, deadline)
        except WireFault as fault:
            raise WireFault(f"is behind a proxy, which {fault}") from fault
        if not 200 <= status < 300:
            raise WireFault(
                f"is behind a proxy, which answered {status} when asked for a tunnel",
                "setup" if 300 <= status < 500 else "again",
            )


def _addresses(place: Endpoint) -> list[tuple[int, Any]]:
    try:
        # As bytes: they need no codec, which would be loaded here and now, perhaps beside a fork.
        host = place.host.encode("ascii")
        found = socket.getaddrinfo(host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise WireFault(f"has a name that does not resolve: {reason}") from error
    addresses = [(int(family), address) for family, _, _, _, address in found]
    if place.scheme == "http" and place.host.lower() == "localhost":
        # Whoever answers for this name must not send plain text off this machine.
        addresses = [one for one in addresses if ipaddress.ip_address(one[1][0]).is_loopback]
    return addresses


def _unreachable(error: OSError) -> WireFault:
    if isinstance(error, TimeoutError):
        return WireFault("could not be reached in time")
    if isinstance(error, ConnectionRefusedError):
        return WireFault("refused the connection")
    return WireFault(f"could not be reached: {fault_of(error)}")
