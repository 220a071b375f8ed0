# SPDX-License-Identifier: Apache-2.0
"""Lines from the server: everything passes, as it came; what it says of calls is noted first.

What can't be read in one way only is noted by its size and digest, and still passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallystick.channels.jsonrpc import (
    Notification,
    Request,
    Response,
    glimpse,
    is_id,
    parse_message,
)
from tallystick.channels.mcp_calls import call_of
from tallystick.channels.mcp_methods import CANCELLED, HOUSEKEEPING, TOOL_CALL
from tallystick.channels.mcp_receipts import Answer, fits
from tallystick.channels.mcp_session import Session
from tallystick.channels.rules import Decision
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import MessageRefused

_PASS = Decision("pass")


class ServerSide:
    """Takes what the server says."""

    def __init__(self, session: Session) -> None:
        """Share the session with the other side."""
        self._session = session

    def take(self, lines: Sequence[bytes]) -> None:
        """Note what comes from the server, and pass it on, whatever it is."""
        for line in lines:
            self._note(line)
        self._session.to_client(b"".join(lines))

    def note_overlong(self, size: int, digest: str) -> None:
        """Tell of a line from the server that was too long to be held, and passed as it came."""
        self._session.odd("unparsed", size, digest, "over the limit")

    def _note(self, line: bytes) -> None:
        if not line.strip():
            return
        if not fits(line) and self._noted_by_id(line):
            return
        try:
            messages, _ = parse_message(line)
        except MessageRefused as fault:
            if not self._noted_by_id(line):
                self._session.odd("unparsed", len(line), sha256_tagged(line), fault.message)
            return
        for message in messages:
            if isinstance(message, Response):
                self._session.answered("client", message, line)
            elif isinstance(message, Request) and message.method not in HOUSEKEEPING:
                self._asked(message, line)
            elif isinstance(message, Notification) and message.method == CANCELLED:
                self._cancelled_by_server(message.params.get("requestId"))

    def _noted_by_id(self, line: bytes) -> bool:
        """Note an answer by its id alone: the rest is too large, or can be read in two ways."""
        seen = glimpse(line)
        one = None if seen is None else self._session.closed("client", seen.key, line)
        if seen is None or one is None:
            return False
        if isinstance(one, str):
            return True
        error = "the server says: an error" if seen.is_error else None
        self._session.end(one, Answer(error=error, is_parsed=False, line=line))
        return True

    def _asked(self, request: Request, line: bytes) -> None:
        """Keep a request of the server; the client will answer it, or not."""
        if request.method == TOOL_CALL and not isinstance(request.params.get("name"), str):
            told = "a call of a tool without a name"
            self._session.odd("unexpected", len(line), sha256_tagged(line), told)
            return
        call = call_of(request, "server", self._session.policy.server)
        one = self._session.begin(call, _PASS, line)
        one.is_forwarded = True
        fault = self._session.keep(one, wait_s=0)
        if fault is None:
            self._session.receipts.asked(one)
        else:
            self._session.receipts.unknown(one, f"not waited for: {fault}")

    def _cancelled_by_server(self, request_id: Any) -> None:
        if is_id(request_id):
            one = self._session.calls.find("server", (type(request_id), request_id))
            if one is not None:
                one.is_cancelled = True
