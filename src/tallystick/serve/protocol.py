# SPDX-License-Identifier: Apache-2.0
"""One connection, guarded: how much a head may hold, and how long a client may take over it.

The server brings no such bounds for the parser that it uses. Deadlines are kept by one walk over
all connections each half second (`Server`), so that a request costs two assignments and no timer.
"""

from __future__ import annotations

import asyncio
from functools import partial
from math import inf
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from tallystick.limits import (
    ANSWER_STALL_MS_MAX,
    KEEP_ALIVE_MS_MAX,
    PIPELINED_REQUESTS_MAX,
    POST_BYTES_MAX,
    REQUEST_BODY_MS_MAX,
    REQUEST_HEAD_BYTES_MAX,
    REQUEST_HEAD_MS_MAX,
    REQUEST_HEADERS_MAX,
)
from tallystick.serve.post import Post, Posts
from tallystick.serve.problem import Headers, Refusal
from tallystick.serve.tls import certificate_names

# No length that a short post has takes more; and there may be many zeros before one.
_LENGTH_DIGITS_MAX: Final = len(str(POST_BYTES_MAX))


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
        if self._transport.is_closing():
            return  # only the last of several requests is told that its client has gone
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
        posts: Posts | None = None,
    ) -> None:
        """Take what uvicorn gives, how many connections there may be, and who takes posts."""
        super().__init__(config, server_state, app_state, _loop)
        self._connections_max = connections_max
        self._posts = posts
        self._post: Post | None = None  # whose body is not whole
        self._posts_at_once = 0  # of one piece of what came
        self._is_refused = False
        self._is_in_head = True
        self._has_moved = False
        self._head_bytes = 0
        self._raw_bytes = 0
        self._deadline = inf
        self._stalled_since: float | None = None
        self._now = self.loop.time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take the connection, or tell the client to come back."""
        self._plain = transport
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
        was_in_head, self._has_moved = self._is_in_head, False
        self._posts_at_once = 0
        self._feed(data)
        is_within = was_in_head and self._is_in_head
        if (is_within or not self._has_moved) and not self._is_refused:
            # The parser joins the parts of a header, or of a trailer, however long it gets.
            self._raw_bytes += len(data)
            if self._raw_bytes > REQUEST_HEAD_BYTES_MAX:
                self._refuse_head()

    def _feed(self, data: bytes) -> None:
        """Parse, and read a request that asks for another protocol as one that does not.

        The parser would take its body for that protocol, and what came next for a request: whoever
        stands before us sees one request where we would see two.
        """
        self._unset_keepalive_if_required()
        while not self._is_refused:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as asked:
                data = self._head_without_upgrade() + data[asked.args[0] :]
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as before
            except HttpParserError:
                self.send_400_response("")
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        parser = self.parser
        version = parser.get_http_version().encode()
        parts = [parser.get_method(), b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                parts += (name, b": ", value, b"\r\n")
        return b"".join((*parts, b"\r\n"))

    def on_message_begin(self) -> None:
        """Begin a request: from now on its head is waited for."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._is_in_head = self._has_moved = True
        self._head_bytes = self._raw_bytes = 0
        self._deadline = self._now() + REQUEST_HEAD_MS_MAX / 1000

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._head_bytes += len(url)
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header. What comes after the body is none: it is counted, and dropped."""
        self._head_bytes += len(name) + len(value) + 4
        if not self._is_in_head:
            if self._head_bytes > REQUEST_HEAD_BYTES_MAX and not self._is_refused:
                self._refuse_head()
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Hand the request to the application; from now on its body is waited for."""
        self._is_in_head = False
        self._has_moved = True
        if self._is_refused:
            return
        if len(self.headers) > REQUEST_HEADERS_MAX or self._head_bytes > REQUEST_HEAD_BYTES_MAX:
            self._refuse_head()
            return
        if not self.url.startswith(b"/") or self.parser.get_method() == b"CONNECT":
            self._refuse("bad-request", "the target is no path")
            return
        if self.parser.should_upgrade():
            return  # it comes again
        if len(self.pipeline) >= PIPELINED_REQUESTS_MAX:
            self._refuse("busy", "too many requests before their answers")
            return
        self._deadline = self._now() + REQUEST_BODY_MS_MAX / 1000
        if self._posts is None or self.url != self._posts.path or not self._begin_post(self._posts):
            self._hand_over()

    def _hand_over(self) -> None:
        """Make an exchange of this request, as uvicorn does: only now, since a post needs none."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # these are the scope's
        super().on_headers_complete()

    def _begin_post(self, posts: Posts) -> bool:
        """Collect this request, where it is a short post with nothing unusual about it."""
        parser = self.parser
        cycle: RequestResponseCycle | None = self.cycle
        head = dict(self.headers)
        length = head.get(b"content-length", b"")
        if (
            parser.get_method() != b"POST"
            or not length.isdigit()
            or len(length) > _LENGTH_DIGITS_MAX
            or int(length) > POST_BYTES_MAX
            or len(head) < len(self.headers)
            or self.expect_100_continue
            # Answers in order, and none for a client that does not read them.
            or (cycle is not None and not cycle.response_complete)
            or self.flow.write_paused
            or self._plain.is_closing()
            # What is refused is answered here and now: others have their turn, too.
            or self._posts_at_once >= PIPELINED_REQUESTS_MAX
        ):
            return False
        tenant = posts.admit(head, self.app_state)
        if tenant is None:
            return False
        keeps = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        self._post = Post(tenant, keep_alive=keeps)
        self.cycle = cast("RequestResponseCycle", self._post)
        self._posts_at_once += 1
        return True

    def _reply(self, post: Post, status: int, headers: Headers, body: bytes) -> None:
        """Answer a post, unless its client has gone."""
        if post.disconnected or self._plain.is_closing():
            return
        post.response_started = post.response_complete = True
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if post.keep_alive else b"connection: close\r\n\r\n", body)
        self._plain.write(b"".join(parts))
        if not post.keep_alive:
            self._is_refused = True  # so is what came behind it: it would be done, and not told
            self._plain.close()
        if self.pipeline:
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        if self._deadline == inf:
            self._deadline = self._now() + KEEP_ALIVE_MS_MAX / 1000

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._has_moved = True
        self._raw_bytes = 0
        if self._post is not None:
            self._post.body += body
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request: nothing more is waited for, until the next one begins."""
        self._has_moved = True
        self._raw_bytes = 0
        self._deadline = inf
        if self._is_refused or self.parser.should_upgrade():
            return
        post, self._post = self._post, None
        if post is not None and self._posts is not None:
            self._posts.take(post.tenant, bytes(post.body), partial(self._reply, post))
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._deadline = self._now() + KEEP_ALIVE_MS_MAX / 1000

    def on_response_complete(self) -> None:
        """End an answer, also one without a body."""
        cast("_OneWrite", self.transport).flush()
        is_last = not self.pipeline
        super().on_response_complete()
        if self._deadline == inf and is_last:
            # The server's own timer ends with any byte, also with one that begins nothing.
            self._deadline = self._now() + KEEP_ALIVE_MS_MAX / 1000

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
        # Where others wait before it, an answer would be taken for theirs.
        can_answer = not self.transport.is_closing() and not self.pipeline
        if cycle is not None and not cycle.response_complete:
            is_whole = self._post is None and not cycle.more_body
            can_answer = can_answer and not is_whole and not cycle.response_started
            cycle.disconnected = True  # its application learns that there is nobody left
            cycle.message_event.set()
        if can_answer:
            status, headers, body = Refusal(name, detail).answer()
            lines = [key + b": " + value + b"\r\n" for key, value in headers]
            self.transport.write(
                STATUS_LINE[status] + b"".join(lines) + b"connection: close\r\n\r\n" + body
            )
        self.transport.close()
