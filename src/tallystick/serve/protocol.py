# SPDX-License-Identifier: Apache-2.0
"""One connection, guarded: how much a head may hold, and how long a client may take over it.

The server brings no such bounds for the parser that it uses. Deadlines are kept by one walk over
all connections each half second (`Server`), so that a request costs two assignments and no timer.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from tallystick.limits import (
    ANSWER_STALL_MS_MAX,
    REQUEST_BODY_MS_MAX,
    REQUEST_HEAD_BYTES_MAX,
    REQUEST_HEAD_MS_MAX,
    REQUEST_HEADERS_MAX,
)
from tallystick.serve.problem import Refusal
from tallystick.serve.tls import certificate_names


class _OneWrite:
    """A transport that sends the head of an answer together with what follows it.

    The server writes them one by one: two system calls and two packets for each answer.
    """

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send bytes, or keep them for a moment where they are a head."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._held = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send what is kept: a head that nothing follows."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)

    def close(self) -> None:
        """Send what is kept, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's connection with bounds on heads, on slow clients and on their number."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections_max: int,
    ) -> None:
        """Take what uvicorn gives, and how many connections there may be."""
        super().__init__(config, server_state, app_state, _loop)
        self._connections_max = connections_max
        self._is_refused = False
        self._is_in_head = True
        self._head_bytes = 0
        self._raw_bytes = 0
        self._deadline = inf
        self._stalled_since: float | None = None
        self._now = self.loop.time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or tell the client to come back."""
        super().connection_made(cast("asyncio.Transport", _OneWrite(transport)))
        peer = transport.get_extra_info("ssl_object")
        if peer is not None:
            self.app_state = {**self.app_state, "certificate": certificate_names(peer)}
        if len(self.connections) > self._connections_max:
            self._refuse("busy", "too many connections")
        else:
            self._deadline = self._now() + REQUEST_HEAD_MS_MAX / 1000

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the connection is over already."""
        if self._is_refused:
            return
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head and not self._is_refused:
            # The parser joins the parts of a header however long it gets.
            self._raw_bytes += len(data)
            if self._raw_bytes > REQUEST_HEAD_BYTES_MAX:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """Begin a request: from now on its head is waited for."""
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._raw_bytes = 0
        self._deadline = self._now() + REQUEST_HEAD_MS_MAX / 1000

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._head_bytes += len(url)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._head_bytes += len(name) + len(value) + 4
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the request to the application; from now on its body is waited for."""
        self._is_in_head = False
        if self._is_refused:
            return
        if len(self.headers) > REQUEST_HEADERS_MAX or self._head_bytes > REQUEST_HEAD_BYTES_MAX:
            self._refuse_head()
            return
        if not self.url.startswith(b"/"):
            self._refuse("bad-request", "the target is no path")
            return
        self._deadline = self._now() + REQUEST_BODY_MS_MAX / 1000
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request: nothing more is waited for, until the next one begins."""
        self._deadline = inf
        if not self._is_refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer, also one without a body."""
        cast("_OneWrite", self.transport).flush()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Note that the client does not take what it is sent."""
        self._stalled_since = self._now()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it took something."""
        self._stalled_since = None
        super().resume_writing()

    def expire(self, now: float) -> None:
        """End the connection when its client is over its time."""
        if self.transport.is_closing():
            # Closing waits for what is still to be sent, which a client can put off for ever.
            if self._stalled_since is not None:
                self._end_stall(now)
        elif now > self._deadline:
            self._deadline = inf
            if self._is_in_head or not self._has_answer_begun():
                self._refuse("too-slow", "the request was not whole in time")
            else:
                self.transport.close()
        elif self._stalled_since is not None:
            self._end_stall(now)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # theirs, ours is below
        """Say that this is not HTTP."""
        self._refuse("bad-request", "the parser of HTTP does not understand it")

    def _end_stall(self, now: float) -> None:
        if (
            self._stalled_since is not None
            and now - self._stalled_since > ANSWER_STALL_MS_MAX / 1000
        ):
            self.transport.abort()

    def _has_answer_begun(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.response_started

    def _refuse_head(self) -> None:
        self._refuse(
            "head-too-large",
            f"over {REQUEST_HEAD_BYTES_MAX} bytes or {REQUEST_HEADERS_MAX} headers",
        )

    def _refuse(self, name: str, detail: str) -> None:
        self._is_refused = True
        self._deadline = inf
        cycle: RequestResponseCycle | None = self.cycle
        can_answer = not self.transport.is_closing()
        if cycle is not None and not cycle.response_complete:
            can_answer = can_answer and not cycle.response_started
            cycle.disconnected = True  # its application learns that there is nobody left
            cycle.message_event.set()
        if can_answer:
            status, headers, body = Refusal(name, detail).answer()
            lines = [key + b": " + value + b"\r\n" for key, value in headers]
            self.transport.write(
                STATUS_LINE[status] + b"".join(lines) + b"connection: close\r\n\r\n" + body
            )
        self.transport.close()
