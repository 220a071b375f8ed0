# SPDX-License-Identifier: Apache-2.0
"""A collector for tests: the real one, on a real socket and a real store, in a thread."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tallystick.collector.running import run_collector
from tallystick.collector.service import LogService
from tallystick.collector.settings import load_settings
from tallystick.serve.server import Server

LD_JSON = {"Content-Type": "application/ld+json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


class Answered:
    """One answer: status, headers, body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last word of the problem's type."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        told = self.json
        assert told["status"] == self.status
        name: str = told["type"].removeprefix("urn:tallystick:problem:")
        return name


class Served:
    """Runs a collector while the block runs; `db` and what belongs to it lie in a folder."""

    def __init__(self, folder: Path, *, config: str = "", **flags: str | bool) -> None:
        self.folder = folder
        file = None
        if config:
            file = folder / "collector.toml"
            file.write_text(config, encoding="utf-8")
        given: dict[str, str | bool | None] = {
            "addr": "127.0.0.1:0",
            "db": str(folder / "collector.db"),
            **flags,
        }
        self.settings, _ = load_settings(given, file=file, environ={})
        self.url = ""
        self.fault: BaseException | None = None
        self._server: Server | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="served")

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(30)
        if self.fault is not None:
            self._thread.join(10)
            raise self.fault
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self.fault is not None and fault is None:
            raise self.fault

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def stop(self) -> None:
        """End it as SIGTERM does, and wait."""
        if self._server is not None:
            self._server.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def begin_to_stop(self) -> None:
        """End it as SIGTERM does, without waiting."""
        assert self._server is not None
        self._server.stop()

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection; whoever asks closes it."""
        return http.client.HTTPConnection(*self.address, timeout=30)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answered:
        """Send one request on a connection of its own, and return the answer."""
        connection = self.connect()
        try:
            connection.request(method, target, body=body, headers=headers or {})
            return Answered(connection.getresponse())
        finally:
            connection.close()

    def get(self, target: str, **headers: str) -> Answered:
        """Get something."""
        return self.ask("GET", target, headers=headers)

    def post(self, body: bytes, token: str = "", **headers: str) -> Answered:
        """Post one receipt."""
        given = {**LD_JSON, **headers}
        if token:
            given["Authorization"] = f"Bearer {token}"
        return self.ask("POST", "/receipts", body, given)

    def _run(self) -> None:
        try:
            run_collector(self.settings, on_ready=self._tell, on_start=self._take)
        except BaseException as fault:  # noqa: BLE001  # handed to the test
            self.fault = fault
        finally:
            self._ready.set()

    def _tell(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def _take(self, server: Server, service: LogService) -> None:
        self._server = server
        self.service = service
