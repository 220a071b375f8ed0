# SPDX-License-Identifier: Apache-2.0
"""One HTTP/1.1 exchange on one connection: bounded in bytes, and in time from its first to last.

This is the one request that we make (a POST with a body, asked for again and again) and the one
way in which it may be answered: RFC 9112, read strictly. Whatever is not exactly an answer (a
closed connection, another protocol, two lengths, half a body, too much of anything) is a
`WireFault`, and the connection is closed: no byte that is left over is ever read as an answer to a
later request. Redirects are answers like any other here; nobody follows them.

The general clients count a timeout per read, so that an answer of one byte per second never ends.
Here each system call gets what is left of the whole.

BUG: the system's resolver has its own time limit, which we can neither see nor shorten.
"""

from __future__ import annotations

import re
import select
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Literal

import msgspec

from tallystick.deliver.answer import Answer, Fate, Request, WireFault
from tallystick.limits import ANSWER_BODY_BYTES_MAX, ANSWER_HEAD_BYTES_MAX, INTERIM_ANSWERS_MAX

_RECEIVE_BYTES: Final = 64 * 1024
_STATUS: Final = rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?"
_HEADER: Final = (
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*"
    rb"[^\x00-\x20\x7f])?)?)[ \t]*"
)
_CHUNK: Final = rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?"

_LENGTH: Final = rb"[0-9]{1,15}"


@cache
def _matcher(pattern: bytes) -> Callable[[bytes], re.Match[bytes] | None]:
    """Return the match of a whole text; compiled when first asked for, which is not at start."""
    return re.compile(pattern).fullmatch


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Status line and headers."""

    version: int
    status: int
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Head(status={self.status})"


class Connection:
    """A connected socket, plain or TLS, and what was received on it and not yet read.

    Owned by one thread at a time. Any fault closes it. What was received stands in members and
    not in local variables, where a traceback would show it.
    """

    __slots__ = (
        "_body",
        "_framing",
        "_has_begun",
        "_monotonic",
        "_received",
        "_socket",
        "idle_since",
        "is_reusable",
    )

    def __init__(self, connected: Any, monotonic: Callable[[], float]) -> None:
        self._socket = connected
        self._monotonic = monotonic
        self._received = bytearray()
        self._body = bytearray()
        self._framing = 0
        self._has_begun = False
        self.is_reusable = True
        self.idle_since = (0.0, 0)

    def exchange(self, request: Request, body: bytes, deadline: float) -> Answer:
        """Send one request and return its answer, or close the connection and raise."""
        self.is_reusable = self._has_begun = False
        self._framing = 0
        try:
            broken = self._send(request, body, deadline)
            try:
                answer = self._read_answer(deadline)
            except WireFault as fault:
                if broken is None or fault.fate == "setup":
                    raise
                raise broken from fault
            if broken is not None and answer.status < 300:
                raise broken  # it can't have accepted what it did not get
        except BaseException:
            self.close()
            raise
        if broken is not None or self._received:
            self.is_reusable = False
        return answer

    def tunnel(self, request: Request, deadline: float) -> int:
        """Ask a proxy for a tunnel; return its status."""
        self._send_all(memoryview(request.alone()), deadline)
        head = parse_head(self._take_head(deadline))
        if head is None or (head.status < 300 and self._received):
            raise WireFault("answered with something that is not HTTP/1.1")
        return head.status

    def secure(self, context: Any, host: str, deadline: float) -> None:
        """Put TLS around the socket. A hello that is late or wrong closes it."""
        self._socket.settimeout(left_s(deadline, self._monotonic))
        try:
            self._socket = context.wrap_socket(
                self._socket,
                server_hostname=host.encode("ascii"),  # as bytes: without a codec
                suppress_ragged_eofs=False,
            )
        except OSError as error:
            fault = fault_of(error)
            raise WireFault(str(fault), "setup" if fault.fate == "setup" else "again") from error

    def is_quiet(self) -> bool:
        """Whether nothing has arrived since the last answer, not even the end."""
        pending = getattr(self._socket, "pending", None)  # TLS may hold what the system gave it
        try:
            if pending is not None and pending():
                return False
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return not poll.poll(0)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Close the socket. Nothing is said to the other side: a fork's copy must stay silent."""
        self.is_reusable = False
        try:
            self._socket.close()
        except OSError:
            pass  # it is gone either way

    def _send(self, request: Request, body: bytes, deadline: float) -> WireFault | None:
        """Send; where the other side hangs up meanwhile, it may have answered already."""
        try:
            self._send_all(memoryview(request.around(body)), deadline)
        except WireFault as fault:
            if fault.fate != "stale":
                raise
            return fault
        return None

    def _send_all(self, data: memoryview, deadline: float) -> None:
        while data:
            self._socket.settimeout(left_s(deadline, self._monotonic))
            try:
                data = data[self._socket.send(data) :]
            except OSError as error:
                raise fault_of(error) from error

    def _receive(self, deadline: float) -> bool:
        """Take what arrives, waiting for it; return whether that was anything but the end."""
        before = len(self._received)
        self._socket.settimeout(left_s(deadline, self._monotonic))
        try:
            self._received += self._socket.recv(_RECEIVE_BYTES)
        except OSError as error:
            fault = fault_of(error)
            if fault.fate == "stale" and self._has_begun:
                fault.fate = "again"
            raise fault from error
        if len(self._received) == before:
            return False
        self._has_begun = True
        return True

    def _need(self, deadline: float) -> None:
        """Take more of an answer that is not whole yet."""
        if self._receive(deadline):
            return
        if self._has_begun:
            raise WireFault("closed the connection in the middle of its answer")
        raise WireFault("closed the connection without an answer", "stale")

    def _read_answer(self, deadline: float) -> Answer:
        for _ in range(INTERIM_ANSWERS_MAX + 1):
            head = parse_head(self._take_head(deadline))
            if head is None or head.status == 101:
                raise WireFault("answered with something that is not HTTP/1.1")
            if head.status >= 200:
                break
        else:
            raise WireFault("sent interim answers only")
        self._read_body(head, deadline)
        return Answer(status=head.status, headers=head.headers, body=bytes(self._body))

    def _take_head(self, deadline: float) -> bytes:
        seen = 0
        while (end := self._received.find(b"\r\n\r\n", max(0, seen - 3))) < 0:
            seen = len(self._received)
            if self._received[:5] != b"HTTP/"[:seen]:
                raise WireFault("answered with something that is not HTTP/1.1")
            if seen > ANSWER_HEAD_BYTES_MAX:
                break
            self._need(deadline)
        if not 0 <= end <= ANSWER_HEAD_BYTES_MAX:
            raise WireFault(f"answered with more than {ANSWER_HEAD_BYTES_MAX} bytes of headers")
        taken = bytes(self._received[:end])
        del self._received[: end + 4]
        return taken

    def _read_body(self, head: Head, deadline: float) -> None:
        self._body.clear()
        length = body_length(head)
        if length is None:
            raise WireFault("answered with a body of no clear length")
        if length == "chunked":
            self._read_chunks(deadline)
        elif length == "close":
            while self._receive(deadline):
                self._check_size(len(self._received))
            self._read(len(self._received), deadline)
        else:
            self._read(length, deadline)
        self.is_reusable = length != "close" and _stays_open(head)

    def _read(self, size: int, deadline: float) -> None:
        """Move so many bytes from what is received to the body."""
        self._check_size(len(self._body) + size)
        while len(self._received) < size:
            self._need(deadline)
        self._body += self._received[:size]
        del self._received[:size]

    def _read_chunks(self, deadline: float) -> None:
        size: int | None = -1
        while size:
            size = chunk_size(self._take_line(deadline))
            if size is None:
                raise WireFault("answered with malformed chunks")
            if size:
                self._read(size, deadline)
                if self._take_line(deadline):
                    raise WireFault("answered with malformed chunks")
        while self._take_line(deadline):
            pass  # trailers

    def _take_line(self, deadline: float) -> bytes:
        while (end := self._received.find(b"\r\n", 0, ANSWER_HEAD_BYTES_MAX)) < 0:
            if len(self._received) >= ANSWER_HEAD_BYTES_MAX:
                raise WireFault("answered with malformed chunks")
            self._need(deadline)
        self._framing += end + 2
        if self._framing > ANSWER_HEAD_BYTES_MAX:
            raise WireFault("answered with malformed chunks")
        taken = bytes(self._received[:end])
        del self._received[: end + 2]
        return taken

    def _check_size(self, size: int) -> None:
        if size > ANSWER_BODY_BYTES_MAX:
            raise WireFault(f"answered with more than {ANSWER_BODY_BYTES_MAX} bytes")


def left_s(deadline: float, monotonic: Callable[[], float]) -> float:
    """Return the seconds until a deadline, or raise the fault of its having passed."""
    left = deadline - monotonic()
    if left <= 0:
        raise WireFault("gave no whole answer in time")
    return left


def parse_head(data: bytes) -> Head | None:
    """Return status line and headers, or None where they are not well-formed."""
    line, *lines = data.split(b"\r\n")
    status = _matcher(_STATUS)(line)
    if status is None:
        return None
    headers: dict[str, str] = {}
    header = _matcher(_HEADER)
    for line in lines:
        found = header(line)
        if found is None:
            return None
        name, value = found[1].decode("ascii").lower(), found[2].decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Head(version=int(status[1]), status=int(status[2]), headers=headers)


def body_length(head: Head) -> int | Literal["chunked", "close"] | None:
    """Return how long a body is, or None where that can be understood in two ways."""
    if head.status in (204, 304):
        return 0
    coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
    if coding is not None:
        ours = coding.lower() == "chunked" and length is None and head.version == 1
        return "chunked" if ours else None
    if length is None:
        return "close"
    first, *others = (one.strip(" \t") for one in length.split(","))
    if _matcher(_LENGTH)(first.encode("latin-1")) is None or any(one != first for one in others):
        return None
    return int(first)


def chunk_size(line: bytes) -> int | None:
    """Return the size that a chunk's first line states, or None where it states none."""
    found = _matcher(_CHUNK)(line)
    return int(found[1], 16) if found is not None else None


def _stays_open(head: Head) -> bool:
    stated = head.headers.get("connection")
    if stated is None:
        return head.version == 1
    options = {one.strip(" \t") for one in stated.lower().split(",")}
    return "close" not in options and (head.version == 1 or "keep-alive" in options)


def fault_of(error: OSError) -> WireFault:
    """Return what an error of the operating system or of TLS means for an exchange."""
    if isinstance(error, TimeoutError):
        return WireFault("gave no whole answer in time")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return WireFault("closed the connection without an answer", "stale")
    if isinstance(error, ssl.SSLError):
        return WireFault(*_tls_fault(error))
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return WireFault("reset the connection", "stale")
    return WireFault(error.strerror or type(error).__name__)


def _tls_fault(error: Any) -> tuple[str, Fate]:
    """Return what TLS complains of, and whether another try can change it."""
    reason = str(getattr(error, "reason", "") or "")
    verify = str(getattr(error, "verify_message", "") or "")
    if verify:
        return f"has a certificate that does not hold: {verify[:160]}", "setup"
    words = reason.lower().replace("_", " ") or type(error).__name__
    if "ALERT" in reason and re.search("CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE", reason):
        return f"refuses our side of TLS ({words}); does it want a client certificate?", "setup"
    if re.search("VERSION|PROTOCOL|CIPHER", reason):
        return f"speaks no TLS that we accept ({words})", "setup"
    return f"failed in TLS ({words})", "again"
