# SPDX-License-Identifier: Apache-2.0
"""The other side, a process of its own: keeps receipts byte for byte, 201 for new, 409 for known.

    python -m tests.faults.collector [busy]      prints its port, serves until stdin ends

`GET /receipts` gives all of them as lines, in the order in which they came; `GET /counts` says how
often a known one came again (`repeated`) and how often with other bytes (`conflicts`). `busy` is
the share of posts that are answered 503 instead.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any


class Collector:
    """What was received."""

    def __init__(self, busy: float) -> None:
        self.bodies: dict[str, bytes] = {}
        self.counts = {"repeated": 0, "conflicts": 0, "refused": 0}
        self._busy = busy
        self._dice = random.Random(1)

    def post(self, body: bytes) -> int:
        """Keep a receipt, and return the status."""
        if self._dice.random() < self._busy:
            self.counts["refused"] += 1
            return 503
        receipt_id = json.loads(body)["id"]
        known = self.bodies.setdefault(receipt_id, body)
        if known is body:
            return 201
        self.counts["conflicts" if known != body else "repeated"] += 1
        return 409

    def get(self, path: str) -> bytes:
        """Return what was asked for."""
        if path == "/counts":
            return json.dumps(self.counts).encode()
        return b"".join(body + b"\n" for body in self.bodies.values())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests on one connection until it ends, however it ends."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                lengths = [
                    line[15:]
                    for line in head.split("\r\n")
                    if line[:15].lower() == "content-length:"
                ]
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                status, answer = (
                    (self.post(body), b"") if method == "POST" else (200, self.get(path))
                )
                writer.write(b"HTTP/1.1 %d .\r\nContent-Length: %d\r\n\r\n" % (status, len(answer)))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side was killed: what is not whole was not received
        finally:
            writer.close()


async def main(busy: float) -> None:
    """Serve on a port that the system chooses."""
    collector = Collector(busy)
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0, limit=1 << 21)
    address: Any = server.sockets[0].getsockname()
    sys.stdout.write(f"{address[1]}\n")
    sys.stdout.flush()
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, is_over.set)
    await is_over.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
