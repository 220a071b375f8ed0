# SPDX-License-Identifier: Apache-2.0
"""A short post that is answered without a task of its own.

A task, a scope and the coroutines between cost more than storing a receipt does. So a connection
collects a post whose head tells that its body is short, hands it over whole, and is given the
answer by a call. Whatever is unusual about a request leads to the application instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from tallystick.serve.problem import Headers

# Status, headers and body of an answer; to be called on the loop, and only once.
Reply = Callable[[int, Headers, bytes], None]


class Posts(Protocol):
    """What takes posts to one address."""

    @property
    def path(self) -> bytes:
        """The address."""
        ...

    def admit(self, head: Mapping[bytes, bytes], state: Mapping[str, Any], /) -> str | None:
        """Return whose post this is, or None where the application has to look at it."""
        ...

    def take(self, tenant: str, body: bytes, reply: Reply, /) -> None:
        """Begin to answer a post. Never raises: what goes wrong is an answer, too."""
        ...


class Post:
    """One post under way. For uvicorn's connection it stands where an exchange of its own would."""

    __slots__ = (
        "body",
        "disconnected",
        "keep_alive",
        "response_complete",
        "response_started",
        "tenant",
    )

    message_event: Final = asyncio.Event()  # who waits for more of an exchange: here nobody
    more_body: Final = False  # of a post that was handed over

    def __init__(self, tenant: str, *, keep_alive: bool) -> None:
        self.tenant = tenant
        self.body = bytearray()
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
