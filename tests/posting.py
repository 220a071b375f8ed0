# SPDX-License-Identifier: Apache-2.0
"""Posts receipts over many connections at once, and keeps what was answered.

The receipts are canonical and of the size that is usual (1 kB); their signatures are none, which is
nothing that a collector looks at. Each client posts one after the other over its own connection,
and posts again what got no answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

import rfc8785
from tests import material

_PADDING: Final = 320


class Bodies:
    """Receipts of one chain, each made from one template."""

    def __init__(self, chain_id: str, *, version: str = "0.6.0") -> None:
        receipt = material.statement(7777777, "sha256:" + "b" * 64, chain_id=chain_id)
        receipt["id"] = "urn:receipt:@ID@"
        receipt["credentialSubject"]["action"]["target"] = {
            "system": "filesystem",
            "resource": "/srv/" + "x" * _PADDING,
        }
        receipt["proof"] = {
            "type": "Ed25519Signature2020",
            "created": material.DAY,
            "verificationMethod": material.METHOD,
            "proofPurpose": "assertionMethod",
            "proofValue": "u" + "A" * 86,
        }
        text = rfc8785.dumps(receipt)
        head, _, rest = text.partition(b"@ID@")
        if b"7777777" in head:
            self._parts = (*head.split(b"7777777"), rest)
            self._order = "sequence"
        else:
            self._parts = (head, *rest.split(b"7777777"))
            self._order = "id"
        assert len(self._parts) == 3
        self._tail = sha256(chain_id.encode()).hexdigest()[:12]

    def body(self, number: int) -> bytes:
        """Return one receipt's bytes; `number` is its sequence, and part of its id."""
        receipt_id = self.receipt_id(number).removeprefix("urn:receipt:").encode()
        values = (receipt_id, b"%d" % number)
        first, second = values if self._order == "id" else values[::-1]
        one, two, three = self._parts
        return one + first + two + second + three

    def receipt_id(self, number: int) -> str:
        """Return the id of one receipt."""
        return f"urn:receipt:{number:08x}-0000-4000-8000-{self._tail}"


def request_of(body: bytes, path: bytes = b"/receipts") -> bytes:
    """Return the bytes of one POST."""
    kind = b"application/x-ndjson" if path.endswith(b"batch") else b"application/ld+json"
    return (
        b"POST %b HTTP/1.1\r\nHost: c\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
        % (path, kind, len(body))
    ) + body


class Client(asyncio.Protocol):
    """One connection that sends the next request when the answer to the last is there."""

    def __init__(
        self,
        requests: Iterator[bytes],
        answered: Callable[[int, bytes, float], None],
        ended: asyncio.Future[None],
    ) -> None:
        self._requests = requests
        self._answered = answered
        self._ended = ended
        self._received = b""
        self._began = 0.0
        self._transport: Any = None  # uvloop's are of another kind

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take what came; go on when an answer is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self._received = b""
        self._answered(int(head[9:12]), body, time.perf_counter() - self._began)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that no more will come."""
        if not self._ended.done():
            self._ended.set_result(None)

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)


async def post_all(
    port: int, requests: list[list[bytes]], answered: Callable[[int, bytes, float], None]
) -> None:
    """Send each list of requests over a connection of its own, all at once."""
    loop = asyncio.get_running_loop()
    waits = []
    for one in requests:
        ended: asyncio.Future[None] = loop.create_future()
        turns = iter(one)
        await loop.create_connection(
            lambda turns=turns, ended=ended: Client(turns, answered, ended),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        waits.append(ended)
    await asyncio.gather(*waits)


def receipt_id_in(body: bytes) -> str:
    """Return the id in an answer of a collector."""
    found: str = json.loads(body)["id"]
    return found
