# SPDX-License-Identifier: Apache-2.0
"""The collector's own server around an application that keeps nothing: what HTTP alone costs.

python bench/serving.py     prints its address; ends when its standard input does
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from tallystick.collector.running import settle_garbage
from tallystick.serve.server import Server, bound_socket

_ANSWER = b'{"id":"urn:receipt:0","receipt_hash":"sha256:0","entry":"","promise":""}'


async def empty(_scope: Any, receive: Any, send: Any) -> None:
    """Read a body, keep nothing, answer 201."""
    while (await receive()).get("more_body"):
        pass
    length = b"%d" % len(_ANSWER)
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


def main() -> None:
    """Serve until standard input ends."""
    listener = bound_socket("127.0.0.1", 0)
    server = Server(empty, listener)

    def wait() -> None:
        sys.stdin.read()
        server.stop()

    threading.Thread(target=wait, daemon=True).start()
    settle_garbage()
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
