# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a request within bounds: of one body, and of all that are under way at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from tallystick.limits import BODIES_BYTES_MAX
from tallystick.serve.problem import Refusal

Headers = Sequence[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Any]]


class ClientGone(Exception):
    """The client closed the connection before its request was whole; there is nobody to answer."""


class BodyDoor:
    """Lets bodies in, as long as there is room for them."""

    def __init__(self, room_bytes: int = BODIES_BYTES_MAX) -> None:
        self._room = room_bytes

    async def read(self, headers: Headers, receive: Receive, limit: int) -> bytes:
        """Return the whole body. Its room is taken until `leave` is called with its length."""
        length = header_of(headers, b"content-length")
        if length is not None and length.isdigit() and int(length.lstrip(b"0") or b"0") > limit:
            raise too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self.enter(len(body), limit)
            return body
        return await self._read_on(body, receive, limit)

    async def _read_on(self, first: bytes, receive: Receive, limit: int) -> bytes:
        parts, held, more = bytearray(first), len(first), True
        self._take(held)
        try:
            while True:
                if len(parts) > limit:
                    raise too_large(limit)
                if not more:
                    return bytes(parts)
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk, more = message.get("body", b""), message.get("more_body", False)
                self._take(len(chunk))
                held += len(chunk)
                parts += chunk
        except BaseException:
            self.leave(held)
            raise

    def enter(self, size: int, limit: int) -> None:
        """Take room for a body that is whole, until `leave` is called with its length."""
        if size > limit:
            raise too_large(limit)
        self._take(size)

    def leave(self, size: int) -> None:
        """Give the room of a body back."""
        self._room += size

    def _take(self, size: int) -> None:
        if size > self._room:
            raise Refusal("busy", "too many bodies are under way at once")
        self._room -= size


def too_large(limit: int) -> Refusal:
    """Return the refusal of a body over its limit."""
    return Refusal("too-large", f"over the limit of {limit} bytes", members={"limit": limit})


def header_of(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of a header."""
    for key, value in headers:
        if key == name:
            return value
    return None


def check_media_type(headers: Headers, taken: Collection[bytes]) -> None:
    """Raise `Refusal` (415) unless the body is of one of these media types, and not compressed."""
    for key, value in headers:
        if key == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise Refusal("wrong-media-type", "compressed bodies are not taken")
    given = header_of(headers, b"content-type")
    if given is None:
        raise Refusal("wrong-media-type", "Content-Type is missing")
    if given not in taken and given.partition(b";")[0].strip().lower() not in taken:
        raise Refusal(
            "wrong-media-type", f"Content-Type is none of {b', '.join(sorted(taken)).decode()}"
        )
