# SPDX-License-Identifier: Apache-2.0
"""A solver's service for tests: the real one, on a real socket, in a thread."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.served import Answered
from tests.solving import configured

from tallystick.serve.server import Server
from tallystick.serve.tokens import add_token
from tallystick.solver.serving import run_service
from tallystick.solver.settings import load_settings

JSON = {"Content-Type": "application/json"}
JOBS = """
policy_jobtype_allowlist = ["SAFE_REPORT", "WORK"]
[jobs.WORK]
runner = "command"
argv = ["sh", "-c", "cat > in.json; sleep 0.3"]
sandbox = "none"
"""


class Solving:
    """Runs a service while the block runs; its home lies in a folder."""

    def __init__(self, folder: Path, toml: str = JOBS, **flags: str | bool) -> None:
        self.home = folder / "tally-solver"
        if not self.home.exists():
            configured(folder, toml)
        given: dict[str, str | bool | None] = {
            "home": str(self.home),
            "addr": "127.0.0.1:0",
            **flags,
        }
        self.settings = load_settings(given, environ={})
        self.url = ""
        self.fault: BaseException | None = None
        self._server: Server | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="solving")

    def token(self, tenant: str, access: Any = "all") -> dict[str, str]:
        """Make a token, and return the headers that carry it."""
        text, _ = add_token(self.settings.tokens, tenant, access=access, made_at="2026-01-01")
        return {"Authorization": f"Bearer {text}"}

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
        assert self._server is not None
        self._server.stop()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self.fault is not None:
            raise self.fault

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Any = None
    ) -> Answered:
        """Send one request."""
        address = urlsplit(self.url)
        assert address.hostname is not None
        connection = http.client.HTTPConnection(address.hostname, address.port or 0, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            return Answered(connection.getresponse())
        finally:
            connection.close()

    def post(self, body: bytes, headers: Any = None) -> Answered:
        """Hand an intent in."""
        return self.ask("POST", "/intents", body, {**JSON, **(headers or {})})

    def done(self, intent_id: str, headers: Any = None, wait_s: float = 30) -> Any:
        """Return what is told of an intent once its last run is done."""
        end = time.monotonic() + wait_s
        while True:
            told = self.ask("GET", f"/intents/{intent_id}", headers=headers)
            if told.status == 200 and told.json["state"] == "done":
                return told.json
            assert time.monotonic() < end, json.dumps(told.json)
            time.sleep(0.05)

    def meter(self, line: str) -> float:
        """Return the value of one line of the metrics."""
        for one in self.ask("GET", "/metrics").body.decode().splitlines():
            if one.startswith(line + " "):
                return float(one.rpartition(" ")[2])
        return 0.0

    def _run(self) -> None:
        def start(server: Server) -> None:
            self._server = server

        def ready(url: str) -> None:
            self.url = url
            self._ready.set()

        try:
            run_service(self.settings, on_ready=ready, on_start=start)
        except BaseException as fault:  # noqa: BLE001  # the test's own thread raises it
            self.fault = fault
        finally:
            self._ready.set()
