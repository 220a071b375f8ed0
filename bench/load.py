# SPDX-License-Identifier: Apache-2.0
"""Posts receipts over many connections at once, and measures each answer's time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

import rfc8785

_ID: Final = "@ID@"
_SEQUENCE: Final = 7777777


class Receipts:
    """Receipts of one chain, canonical and of 1 kB, each made from one template."""

    def __init__(self, chain_id: str) -> None:
        text = rfc8785.dumps(_receipt(chain_id))
        marks = sorted((_ID.encode(), b"%d" % _SEQUENCE), key=text.index)
        self._is_sequence_first = marks[0] != _ID.encode()
        first, _, rest = text.partition(marks[0])
        self._parts = (first, *rest.split(marks[1]))
        self._tail = sha256(chain_id.encode()).hexdigest()[:12]

    def body(self, number: int) -> bytes:
        """Return one receipt's bytes; `number` is its sequence, and part of its id."""
        values = (f"{number:08x}-0000-4000-8000-{self._tail}".encode(), b"%d" % number)
        first, second = values[::-1] if self._is_sequence_first else values
        one, two, three = self._parts
        return one + first + two + second + three


def _receipt(chain_id: str) -> dict[str, Any]:
    return {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://agentreceipts.ai/context/v3",
        ],
        "id": f"urn:receipt:{_ID}",
        "type": ["VerifiableCredential", "AgentReceipt"],
        "version": "0.6.0",
        "issuer": {"id": "did:agent:bench", "name": "bench"},
        "issuanceDate": "2026-05-04T03:02:01.000Z",
        "credentialSubject": {
            "principal": {"id": "did:user:alice", "type": "HumanPrincipal"},
            "action": {
                "id": "act_00000000-0000-4000-8000-000000000000",
                "type": "filesystem.file.read",
                "risk_level": "low",
                "target": {"system": "fs", "resource": "/srv/report.txt"},
                "parameters_hash": "sha256:" + "a" * 64,
                "timestamp": "2026-05-04T03:02:01.000Z",
            },
            "outcome": {"status": "success"},
            "chain": {
                "chain_id": chain_id,
                "sequence": _SEQUENCE,
                "previous_receipt_hash": "sha256:" + "b" * 64,
            },
        },
        "proof": {
            "type": "Ed25519Signature2020",
            "created": "2026-05-04T03:02:01.000Z",
            "verificationMethod": "did:agent:bench#key-1",
            "proofPurpose": "assertionMethod",
            "proofValue": "u" + "A" * 86,
        },
    }


def request_of(body: bytes, path: str = "/receipts") -> bytes:
    """Return the bytes of one POST."""
    kind = "application/x-ndjson" if path.endswith("batch") else "application/ld+json"
    head = f"POST {path} HTTP/1.1\r\nHost: c\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


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

    def connection_lost(self, _exc: Exception | None) -> None:
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
