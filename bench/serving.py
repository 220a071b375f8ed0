# SPDX-License-Identifier: Apache-2.0
"""A collector for the benchmark, in a process of its own: the real one, or with an empty handler.

python bench/serving.py real FOLDER     prints its port; ends when its standard input does
python bench/serving.py empty FOLDER    the same server, whose application keeps nothing
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from tallystick.collector.app import CollectorApp
from tallystick.collector.log_keys import create_log_keys
from tallystick.collector.meters import METERS
from tallystick.collector.service import LogService
from tallystick.serve.access import Gate
from tallystick.serve.metrics import Meters
from tallystick.serve.server import Server, bound_socket
from tallystick.store.opening import open_log_store

_ANSWER = b'{"id":"urn:receipt:0","receipt_hash":"sha256:0","entry":"","promise":""}'


async def empty(_scope: Any, receive: Any, send: Any) -> None:
    """Read a body, keep nothing, answer 201."""
    while (await receive()).get("more_body"):
        pass
    length = b"%d" % len(_ANSWER)
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


def run(app: Any) -> None:
    """Serve until standard input ends."""
    listener = bound_socket("127.0.0.1", 0)
    server = Server(app, listener)

    def wait() -> None:
        sys.stdin.read()
        server.stop()

    threading.Thread(target=wait, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    server.run()


def main(kind: str, folder: str) -> None:
    """Run one of the two."""
    if kind == "empty":
        run(empty)
        return
    where = Path(folder)
    store = open_log_store(str(where / "collector.db"))
    keys = create_log_keys(where / "log", "bench.example/log1")
    service = LogService(store, keys, where / "log" / "released")
    service.start()
    app = CollectorApp(service, Gate(is_open=True), Meters(METERS))
    try:
        run(app)
    finally:
        service.drain()
        service.close()
        store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
