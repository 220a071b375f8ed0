# SPDX-License-Identifier: Apache-2.0
"""The approval API of one proxy: HTTP on a loopback port that nobody else has.

    GET  /v1/approvals         what waits
    POST /v1/approvals/ID      {"decision": "approve" or "deny", "by": who, "reason": why}

Each request carries the token, which is compared in constant time. Pages of browsers are kept out:
by the token, by the Host header, and by refusing whatever carries an Origin.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from threading import BoundedSemaphore, Thread, Timer
from typing import Any, ClassVar, Final

import msgspec

from tallystick.channels.approvals import Settled
from tallystick.crypto.strict import parse_json
from tallystick.errors import MalformedInput
from tallystick.limits import (
    APPROVAL_BODY_BYTES_MAX,
    APPROVAL_CONNECTIONS_MAX,
    APPROVAL_REQUEST_MS_MAX,
    FRAME_IDENTITY_BYTES_MAX,
    RULE_REASON_CHARS_MAX,
)

PATH: Final = "/v1/approvals"
_LENGTH_DIGITS: Final = 9


def _problem(message: str) -> dict[str, str]:
    return {"error": message}


_UNDONE: Final[dict[Settled, tuple[int, Any]]] = {
    "gone": (404, _problem("nothing waits under this id any more")),
    "cancelled": (409, _problem("the call was cancelled by its client, and not made")),
    "not_recorded": (
        503,
        _problem("the approval could not be recorded, so the call was denied: is the daemon up?"),
    ),
}


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the service can do: list what waits, and settle one of it."""

    server: str
    listing: Callable[[], list[dict[str, Any]]]
    settle: Callable[..., Settled]


class ApprovalService:
    """Serves one proxy's approvals from threads of its own."""

    def __init__(self, desk: Desk, token: str, *, port: int = 0) -> None:
        """Listen on a port of the system's choice, unless told otherwise."""
        service = self
        self._desk = desk
        self._token = token.encode()
        self._free = BoundedSemaphore(APPROVAL_CONNECTIONS_MAX)

        class Answering(_Request):
            approvals = service

        self._http = _Http(("127.0.0.1", port), Answering)
        self._http.free = self._free
        port = self._http.server_address[1]
        self.port = port
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    def start(self) -> None:
        """Begin to answer."""
        Thread(target=self._http.serve_forever, name="approvals", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._http.shutdown()
        self._http.server_close()

    def refusal(self, headers: Any) -> tuple[int, Any] | None:
        """Return the answer to whoever may not ask; looked at before anything else is read."""
        if headers.get("Host", "") not in self._hosts or headers.get("Origin") is not None:
            return 403, _problem("this is no place for browsers")
        given = headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return 401, _problem("the token is missing or wrong")
        return None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and answer of one request."""
        if path == PATH:
            if method != "GET":
                return 405, _problem("only GET")
            return 200, {"server": self._desk.server, "pending": self._desk.listing()}
        if not path.startswith(f"{PATH}/"):
            return 404, _problem("there is no such place")
        if method != "POST":
            return 405, _problem("only POST")
        return self._settle(path.removeprefix(f"{PATH}/"), body)

    def _settle(self, id: str, body: bytes) -> tuple[int, Any]:  # noqa: A002
        try:
            told = parse_json(body, APPROVAL_BODY_BYTES_MAX)
        except MalformedInput as fault:
            return 400, _problem(str(fault))
        if type(told) is not dict or told.keys() - {"decision", "by", "reason"}:
            return 400, _problem("wanted are decision, by and reason")
        decision, by, reason = (told.get(name) for name in ("decision", "by", "reason"))
        if decision not in ("approve", "deny"):
            return 400, _problem("decision is approve or deny")
        if type(by) is not str or not 0 < len(by) <= FRAME_IDENTITY_BYTES_MAX // 4:
            return 400, _problem("by says who decides, in up to 64 characters")
        if reason is not None and (type(reason) is not str or len(reason) > RULE_REASON_CHARS_MAX):
            return 400, _problem(f"reason is a text of up to {RULE_REASON_CHARS_MAX} characters")
        settled = self._desk.settle(id, approve=decision == "approve", approver=by, reason=reason)
        if settled == "done":
            return 200, {"id": id, "decision": decision}
        return _UNDONE[settled]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    free: BoundedSemaphore

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave connections that break alone."""


class _Request(BaseHTTPRequestHandler):
    approvals: ApprovalService
    timeout: ClassVar[float] = APPROVAL_REQUEST_MS_MAX / 1000
    server_version = "tally"
    sys_version = ""

    def setup(self) -> None:
        """Begin to count the time: for the request as a whole, not for each of its bytes."""
        super().setup()
        self._end = Timer(self.timeout, self._break_off)
        self._end.daemon = True
        self._end.start()

    def finish(self) -> None:
        """Let go of the connection."""
        self._end.cancel()
        super().finish()

    def do_GET(self) -> None:  # the name that http.server asks for
        self._answer(0)

    def do_POST(self) -> None:  # likewise
        length = self.headers.get("Content-Length", "")
        # The digits are counted, too: with zeros before it any number looks small.
        is_number = length.isascii() and length.isdigit() and len(length) < _LENGTH_DIGITS
        self._answer(int(length) if is_number else APPROVAL_BODY_BYTES_MAX + 1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: standard error is the server's."""

    def _answer(self, length: int) -> None:
        refusal = self.approvals.refusal(self.headers)
        if refusal is None and length > APPROVAL_BODY_BYTES_MAX:
            refusal = 413, _problem(f"a body has up to {APPROVAL_BODY_BYTES_MAX} bytes")
        if refusal is not None:
            self._send(*refusal)
            return
        body = self.rfile.read(length)
        self._end.cancel()  # the request is here; the answer may wait for a receipt
        self._send(*self.approvals.answer(self.command, self.path, body))

    def _break_off(self) -> None:
        try:
            self.connection.shutdown(SHUT_RDWR)
        except OSError:
            pass  # it has just ended

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            pass  # who asked is gone
