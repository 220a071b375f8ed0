# SPDX-License-Identifier: Apache-2.0
"""Bundles from where a post says they are: an address that a stranger chose.

So: https only, no redirect, nothing on this network (unless that is wanted), a bound on bytes and
time. The name is resolved once, and what was looked at is what is connected to.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import msgspec

from tallystick.errors import DurableError, NodeError, PostingError
from tallystick.limits import FETCHED_BYTES_MAX, FETCHED_SECONDS_MAX, URL_CHARS_MAX
from tallystick.onchain.exchange import Bounds, Connection, Oversized, Request, receive

_OK: Final = 200
# What of IPv6 is the world's, and what of that stands for addresses of IPv4, private ones included.
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_TUNNELS: Final = tuple(map(ipaddress.IPv6Network, ("2002::/16", "2001::/32")))


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked for: `private` allows this network's own addresses, and http there."""

    private: bool = False
    bytes_max: int = FETCHED_BYTES_MAX
    seconds_max: float = FETCHED_SECONDS_MAX


@contextmanager
def fetched(location: str, reach: Reach | None = None) -> Iterator[BinaryIO]:
    """Yield what lies at a location, or raise: PostingError for good, NodeError for now.

    DurableError says that it could not be kept here, which is no fault of the location's.
    """
    reach = reach or Reach()
    with TemporaryFile() as file:
        _fetch(location, reach, file)
        file.seek(0)
        yield file


def _fetch(location: str, reach: Reach, file: BinaryIO) -> None:
    parts = _parts(location, reach)
    is_secure = parts.scheme == "https"
    host, port = parts.hostname, parts.port or (443 if is_secure else 80)
    address = _resolved(host, port, reach)
    connection = Connection(host, port, tls=is_secure, address=address)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    bounds = Bounds(bytes_max=reach.bytes_max, seconds_max=reach.seconds_max)
    try:
        status = receive(connection, Request(path=path), _keeping(file), bounds)
    except Oversized:
        raise PostingError(f"the bundle is larger than {reach.bytes_max} bytes") from None
    except NodeError as fault:
        why = str(fault)
        raise NodeError(f"the bundle's location can't be read: {why}", is_transient=True) from None
    finally:
        connection.close()
    if status != _OK:
        raise NodeError(
            f"the bundle's location answers with HTTP {status}",
            is_transient=status in (408, 429) or status >= 500,
        )


def _keeping(file: BinaryIO) -> Callable[[bytes], None]:
    def keep(chunk: bytes) -> None:
        try:
            file.write(chunk)
            file.flush()
        except OSError as fault:
            why = fault.strerror or type(fault).__name__
            raise DurableError(f"a fetched bundle can't be kept here: {why}") from None

    return keep


def _parts(location: str, reach: Reach) -> Any:
    schemes = ("https", "http") if reach.private else ("https",)
    # Whatever is no plain text of an address is nobody's; addresses are spelled in ASCII.
    is_plain = location.isascii() and location.isprintable() and " " not in location
    try:
        parts = urlsplit(location)
        port = parts.port
    except ValueError:
        raise PostingError("the bundle's location is no address") from None
    if not is_plain or len(location) > URL_CHARS_MAX:
        raise PostingError("the bundle's location is no address")
    if parts.scheme not in schemes or not parts.hostname:
        raise PostingError(f"the bundle's location is none of {' or '.join(schemes)}")
    if "@" in parts.netloc or port == 0:
        raise PostingError("the bundle's location is no plain address")
    return parts


def _resolved(host: str, port: int, reach: Reach) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NodeError("the bundle's location has no such host", is_transient=True) from None
    address = str(found[0][4][0])
    if not reach.private and not _is_public(ipaddress.ip_address(address)):
        raise PostingError("the bundle's location is on this network, and not asked")
    return address


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        is_plain = address in _UNICAST and not any(address in one for one in _TUNNELS)
        return is_plain and address.is_global
    return address.is_global and not address.is_multicast
