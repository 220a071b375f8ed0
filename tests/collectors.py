# SPDX-License-Identifier: Apache-2.0
"""What tests of a collector's log share: a real store, receipts for it, and a clock to move."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.stores import SqliteLog

from tallystick.collector.app import CollectorApp
from tallystick.collector.log_keys import LogKeys, create_log_keys, load_log_keys
from tallystick.collector.meters import METERS
from tallystick.collector.service import LogService
from tallystick.model.submission import Submission
from tallystick.ports import LogStore
from tallystick.serve.access import Gate
from tallystick.serve.metrics import Meters
from tallystick.serve.server import Server, bound_socket

ORIGIN: Final = "collector.example/log1"
START_MS: Final = 1_700_000_000_000


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        """Return the time in milliseconds."""
        return self.now_ms

    def passes(self, seconds: float) -> None:
        """Let time pass, also backwards."""
        self.now_ms += int(seconds * 1000)


def submission(name: str, tenant: str = "anonymous", sequence: int = 1) -> Submission:
    """Return a receipt as a store takes it."""
    body = b'{"id":"urn:receipt:%b"}' % name.encode()
    receipt_id = f"urn:receipt:{name}"
    return Submission(
        tenant=tenant,
        receipt_id=receipt_id,
        issuer="did:agent:a",
        chain_id="chain:a",
        sequence=sequence,
        action_type="filesystem.file.read",
        terminal=None,
        receipt_hash="sha256:" + sha256(body).hexdigest(),
        digest=sha256(body).digest(),
        id_hash=sha256(receipt_id.encode()).digest(),
        body=body,
    )


def submissions(count: int, name: str = "a") -> list[Submission]:
    """Return so many different receipts."""
    return [submission(f"{name}{number}", sequence=number) for number in range(1, count + 1)]


@contextmanager
def opened(folder: Path, clock: Clock | None = None) -> Iterator[SqliteLog]:
    """Open the store of a folder, and close it again."""
    with closing(SqliteLog(folder / "collector.db", clock_ms=clock or Clock())) as store:
        yield store


def keys_in(folder: Path) -> LogKeys:
    """Return the keys of a folder, made when they are first asked for."""
    if (folder / "log").is_dir():
        return load_log_keys(folder / "log")
    return create_log_keys(folder / "log", ORIGIN, max_delay_ms=5000)


class Running:
    """A collector that serves on a real socket, inside the test."""

    def __init__(self, service: LogService, port: int) -> None:
        self.service = service
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        return self.ask("GET", path)

    def post(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Post one receipt."""
        return self.ask("POST", "/receipts", body)

    def ask(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Make one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read()
        finally:
            connection.close()


@contextmanager
def serving(
    folder: Path, *, growing_s: float = 0.02, idle_s: float = 10.0, store: LogStore | None = None
) -> Iterator[Running]:
    """Run a collector as its command does, and end it in order."""
    with ExitStack() as stack:
        if store is None:
            store = stack.enter_context(opened(folder, Clock(time.time_ns() // 1_000_000)))
        service = LogService(
            store, keys_in(folder), folder / "released", growing_s=growing_s, idle_s=idle_s
        )
        service.start()
        stack.callback(service.close)
        listener = bound_socket("127.0.0.1", 0)
        app = CollectorApp(service, Gate(is_open=True), Meters(METERS))
        stack.callback(app.close)
        ready = threading.Event()
        server = Server(app, listener, on_ready=ready.set, posts=app.posts)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert ready.wait(20)
            yield Running(service, listener.getsockname()[1])
        finally:
            server.stop()
            thread.join()
            service.drain()
