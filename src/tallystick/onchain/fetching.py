# SPDX-License-Identifier: Apache-2.0
"""Bundles from where a post says they are: an address that a stranger chose.

So: https only, no redirect, nothing on this network (unless that is wanted), a bound on bytes and
time. The name is resolved once, and what was looked at is what is connected to.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import msgspec

from tallystick.errors import NodeError, PostingError
from tallystick.limits import FETCHED_BYTES_MAX, FETCHED_SECONDS_MAX, URL_CHARS_MAX

_CHUNK: Final = 1 << 16
_TIMEOUT_SECONDS: Final = 10.0


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked for: `private` allows this network's own addresses, and http there."""

    private: bool = False
    bytes_max: int = FETCHED_BYTES_MAX
    seconds_max: float = FETCHED_SECONDS_MAX
    clock: Callable[[], float] = time.monotonic


@contextmanager
def fetched(location: str, reach: Reach | None = None) -> Iterator[BinaryIO]:
    """Yield what lies at a location, or raise: PostingError for good, NodeError for now."""
    reach = reach or Reach()
    with TemporaryFile() as file:
        answer = _answer(location, reach)
        try:
            _store(answer, file, reach)
        finally:
            answer.close()
        file.seek(0)
        yield file


def _answer(location: str, reach: Reach) -> Any:
    parts = _parts(location, reach)
    host = parts.hostname or ""
    place = _resolved(host, parts.port or (443 if parts.scheme == "https" else 80), reach)
    urllib3 = import_module("urllib3")
    settings: dict[str, Any] = {"timeout": _TIMEOUT_SECONDS, "retries": False}
    pool = (
        urllib3.HTTPSConnectionPool(
            *place,
            server_hostname=host,
            assert_hostname=host,
            cert_reqs="CERT_REQUIRED",
            **settings,
        )
        if parts.scheme == "https"
        else urllib3.HTTPConnectionPool(*place, **settings)
    )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    answer: Any = None
    why = ""
    try:
        answer = pool.request(
            "GET", path, headers={"Host": parts.netloc}, redirect=False, preload_content=False
        )
    except urllib3.exceptions.HTTPError as error:
        why = type(error).__name__
    if why:
        raise NodeError(f"the bundle's location can't be reached: {why}", is_transient=True)
    if answer.status != 200:
        answer.close()
        raise NodeError(
            f"the bundle's location answers with HTTP {answer.status}",
            is_transient=answer.status in (408, 429) or answer.status >= 500,
        )
    return answer


def _parts(location: str, reach: Reach) -> Any:
    schemes = ("https", "http") if reach.private else ("https",)
    try:
        parts = urlsplit(location)
        port = parts.port
    except ValueError:
        raise PostingError("the bundle's location is no address") from None
    if len(location) > URL_CHARS_MAX or parts.scheme not in schemes or not parts.hostname:
        raise PostingError(f"the bundle's location is none of {' or '.join(schemes)}")
    if "@" in parts.netloc or port == 0:
        raise PostingError("the bundle's location is no plain address")
    return parts


def _resolved(host: str, port: int, reach: Reach) -> tuple[str, int]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NodeError("the bundle's location has no such host", is_transient=True) from None
    address = str(found[0][4][0])
    if not reach.private and not ipaddress.ip_address(address).is_global:
        raise PostingError("the bundle's location is on this network, and not asked")
    return address, port


def _store(answer: Any, file: BinaryIO, reach: Reach) -> None:
    deadline, size = reach.clock() + reach.seconds_max, 0
    why = ""
    try:
        for chunk in answer.stream(_CHUNK, decode_content=False):
            size += len(chunk)
            if size > reach.bytes_max:
                raise PostingError(f"the bundle is larger than {reach.bytes_max} bytes")
            if reach.clock() > deadline:
                raise NodeError("the bundle comes too slowly", is_transient=True)
            file.write(chunk)
    except import_module("urllib3").exceptions.HTTPError as error:
        why = type(error).__name__
    if why:
        raise NodeError(f"the bundle broke off: {why}", is_transient=True)
