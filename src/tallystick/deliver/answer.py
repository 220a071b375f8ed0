# SPDX-License-Identifier: Apache-2.0
"""What is asked, what is answered, and what comes where no answer does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Fate = Literal["again", "stale", "setup"]


class Request:
    """What all requests to one place have in common. Not shown: it holds the credential."""

    __slots__ = ("_head",)

    def __init__(self, start: str, authority: str, *lines: bytes) -> None:
        """Take method and target, the host, and further header lines, each with its CR LF."""
        self._head = f"{start} HTTP/1.1\r\nHost: {authority}\r\n".encode("ascii") + b"".join(lines)

    def alone(self) -> bytes:
        """Return the whole request, without a body."""
        return self._head + b"\r\n"

    def around(self, body: bytes) -> bytes:
        """Return the whole request for a body."""
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)


class WireFault(Exception):
    """No whole, well-formed answer came.

    `fate` says what may help: "again" another try, "stale" another connection at once (this one
    was closed before it answered anything), "setup" only a person.
    """

    def __init__(self, message: str, fate: Fate = "again") -> None:
        super().__init__(message)
        self.fate = fate


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:  # it may hold what we sent
        return f"Answer(status={self.status}, {len(self.body)} bytes)"
