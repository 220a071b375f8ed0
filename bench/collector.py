# SPDX-License-Identifier: Apache-2.0
"""A collector that costs as little as it can: it answers 201 to whatever is posted, and keeps
nothing. Runs in a process of its own, so that what is measured is the client.

    python bench/collector.py        prints its port; ends when its standard input does
"""

from __future__ import annotations

import selectors
import socket
import sys

_ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def serve(listening: socket.socket, until: object) -> None:
    """Answer until there is something to read from `until`."""
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    waiting.register(until, selectors.EVENT_READ)  # type: ignore[arg-type]  # a file
    received: dict[int, bytes] = {}
    while True:
        for key, _ in waiting.select():
            found = key.fileobj
            if found is until:
                return
            if found is listening:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting.register(connection, selectors.EVENT_READ)
                continue
            assert isinstance(found, socket.socket)
            if not _take(found, received):
                waiting.unregister(found)
                received.pop(found.fileno(), None)
                found.close()


def _take(connection: socket.socket, received: dict[int, bytes]) -> bool:
    """Read what is there; answer when a request is whole. False when the other side has gone."""
    try:
        data = connection.recv(65536)
    except OSError:
        data = b""
    if not data:
        return False
    data = received.get(connection.fileno(), b"") + data
    head, found, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    size = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0) if found else 1
    if len(body) < size:
        received[connection.fileno()] = data
        return True
    received.pop(connection.fileno(), None)
    connection.sendall(_ANSWER)
    return b"connection: close" not in lower


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        print(listening.getsockname()[1], flush=True)
        serve(listening, sys.stdin)
