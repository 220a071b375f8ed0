# SPDX-License-Identifier: Apache-2.0
"""A collector as a process of its own: SIGTERM under load loses nothing, logs tell no secret."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.command import environment, process
from tests.material import signed, statement, wire
from tests.served import LD_JSON, Served

from tallystick.serve.tokens import add_token

CLIENTS = 12


class Process:
    """`tally collector run` in a folder."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.log = folder / "events"
        with self.log.open("ab") as events:
            self.running = subprocess.Popen(
                process("collector", "run", "--addr", "127.0.0.1:0", *flags),
                cwd=folder,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=events,
                text=True,
            )
        assert self.running.stdout is not None
        self.url = self.running.stdout.readline().split()[-1]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        self.running.send_signal(number)
        code = self.running.wait(60)
        if self.running.stdout is not None:
            self.running.stdout.close()
        return code

    def events(self) -> list[dict[str, object]]:
        """Return what it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def post_on_and_on(url: str, client: int, acknowledged: dict[str, bytes], token: str) -> None:
    """Post until the collector is gone; note what it has answered with 201."""
    parts = urlsplit(url)
    headers = {**LD_JSON, "Authorization": f"Bearer {token}"}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        for number in range(100_000):
            receipt = signed(
                statement(1, number=client * 1000_000 + number, chain_id=f"{client}:{number}")
            )
            connection.request("POST", "/receipts", wire(receipt), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 201:
                acknowledged[receipt["id"]] = wire(receipt)
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()


def test_sigterm_under_load_loses_nothing(tmp_path: Path) -> None:
    """Every receipt that got a 201 is there afterwards, and under the last checkpoint."""
    token, _ = add_token(tmp_path / "collector.tokens", "a", made_at="now")
    first = Process(tmp_path)
    acknowledged: dict[str, bytes] = {}
    clients = [
        threading.Thread(target=post_on_and_on, args=(first.url, number, acknowledged, token))
        for number in range(1, CLIENTS + 1)
    ]
    for client in clients:
        client.start()
    end = time.monotonic() + 30
    while len(acknowledged) < 200 and time.monotonic() < end:
        time.sleep(0.05)
    assert first.end() == 0
    for client in clients:
        client.join(30)
    assert len(acknowledged) >= 200
    with Served(tmp_path) as served:
        size = int(served.get("/log/checkpoint").body.split(b"\n")[1])
        assert size >= len(acknowledged)
        headers = {"Authorization": f"Bearer {token}"}
        for receipt_id, body in acknowledged.items():
            assert served.ask("GET", f"/receipts/{receipt_id}", headers=headers).body == body
    names = [event["event"] for event in first.events()]
    assert names == ["keys_made", "ready", "draining", "stopped"]


def test_sigint_ends_it_the_same_way(tmp_path: Path) -> None:
    """Control-C at a terminal is an orderly end, too."""
    assert Process(tmp_path).end(signal.SIGINT) == 0


def test_no_secret_reaches_the_log(tmp_path: Path) -> None:
    """Neither a right token nor a wrong one, nor a body, at the most talkative level."""
    token, _ = add_token(tmp_path / "collector.tokens", "a", made_at="now")
    collector = Process(tmp_path, "--log-level", "debug", "--log-requests")
    parts = urlsplit(collector.url)
    wrong = "tally_000000000000_" + "S" * 43
    for text in (token, wrong, "Basic c2VjcmV0"):
        for body in (wire(signed(statement())), b'{"id":"hidden-in-body"'):
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
            headers = {**LD_JSON, "Authorization": f"Bearer {text}", "X-Secret": "hidden-header"}
            connection.request("POST", "/receipts?hidden=query", body, headers)
            connection.getresponse().read()
            connection.close()
    assert collector.end() == 0
    text = collector.log.read_text()
    assert text.count('"event":"request"') == 6
    for secret in (token, token[19:], wrong, "c2VjcmV0", "hidden"):
        assert secret not in text


def test_text_logs_are_for_people(tmp_path: Path) -> None:
    """One line each, without JSON."""
    collector = Process(tmp_path, "--log-format", "text")
    assert collector.end() == 0
    lines = collector.log.read_text().splitlines()
    assert [line.split()[2] for line in lines] == ["keys_made", "ready", "draining", "stopped"]
