# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a request within bounds: of one body, and of all that are under way at once.

Who lets several bodies stand half sent takes up room for as long as a body may take. So nobody gets
all of it: one owner holds at most three times what is left for the others, or one body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from tallystick.limits import BODIES_BYTES_MAX
from tallystick.serve.problem import Refusal

Headers = Sequence[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Any]]

_SHARE: Final = 3


class ClientGone(Exception):
    """The client closed the connection before its request was whole; there is nobody to answer."""


class BodyDoor:
    """Lets bodies in, as long as there is room for them."""

    def __init__(self, room_bytes: int = BODIES_BYTES_MAX) -> None:
        self._room = room_bytes
        # Owner → bytes that its bodies hold.
        self._held: dict[str, int] = {}

    async def read(self, headers: Headers, receive: Receive, limit: int, owner: str = "") -> bytes:
        """Return the whole body. Its room is taken until `leave` is called with its length."""
        length = header_of(headers, b"content-length")
        if length is not None and length.isdigit() and int(length.lstrip(b"0") or b"0") > limit:
            raise too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            self.enter(len(body), limit, owner)
            return body
        return await self._read_on(body, receive, limit, owner)

    async def _read_on(self, first: bytes, receive: Receive, limit: int, owner: str) -> bytes:
        parts, held, more = bytearray(first), len(first), True
        self._take(held, limit, owner)
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
                self._take(len(chunk), limit, owner)
                held += len(chunk)
                parts += chunk
        except BaseException:
            self.leave(held, owner)
            raise

    def enter(self, size: int, limit: int, owner: str = "") -> None:
        """Take room for a body that is whole, until `leave` is called with its length."""
        if size > limit:
            raise too_large(limit)
        self._take(size, limit, owner)

    def leave(self, size: int, owner: str = "") -> None:
        """Give the room of a body back."""
        self._room += size
        held = self._held.get(owner, 0) - size
        if held:
            self._held[owner] = held
        else:
            self._held.pop(owner, None)

    def _take(self, size: int, limit: int, owner: str) -> None:
        left = self._room - size
        held = self._held.get(owner, 0) + size
        if left < 0:
            raise Refusal("busy", "too many bodies are under way at once")
        if held > limit and held > _SHARE * left:
            raise Refusal("busy", "too many bodies of one caller are under way at once")
        self._room = left
        self._held[owner] = held


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
