# SPDX-License-Identifier: Apache-2.0
"""A real collector whose parser process is killed and stopped in the middle of batches."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.companions import companions_of, has_begun
from tests.lines import honest_lines, strange_lines
from tests.systems.test_collector_process import Process

HEADERS = {"Content-Type": "application/x-ndjson"}
STRANGE = strange_lines()[:17]
COUNT = 150


class Client:
    """Posts batches of good and bad lines, and holds each answer to what has to be said."""

    def __init__(self, url: str, name: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._name = name
        self.batches = 0

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def post(self) -> None:
        """Post one batch."""
        self.batches += 1
        good = honest_lines(COUNT, f"{self._name}-{self.batches}")
        good = [one.replace(b'"id":"urn:', b'"id":"%b:urn:' % self._own) for one in good]
        lines = good[:50] + STRANGE + good[50:]
        self._connection.request("POST", "/receipts/batch", b"\n".join(lines), HEADERS)
        answer = self._connection.getresponse()
        said = [json.loads(line) for line in answer.read().splitlines()]
        assert answer.status == 200
        assert [one["line"] for one in said] == list(range(1, len(lines) + 1))
        own = said[:50] + said[50 + len(STRANGE) :]
        assert [one["status"] for one in own] == [201] * COUNT
        assert [one["id"] for one in own] == [json.loads(line)["id"] for line in good]
        refused = [one["status"] for one in said[50 : 50 + len(STRANGE)]]
        assert refused[:5] == [400] * 5

    @property
    def _own(self) -> bytes:
        return f"{self._name}-{self.batches}".encode()


def begun(client: Client, collector: Process) -> int:
    """Post until there is a parser process at work, and return its number."""
    deadline = time.monotonic() + 20
    while not (found := companions_of(collector.running.pid)) or not has_begun(found[0]):
        assert time.monotonic() < deadline
        client.post()
    time.sleep(0.1)  # its first answer is there
    client.post()
    return found[0]


def harmed(tmp_path: Path, number: signal.Signals) -> list[str]:
    """Harm the parser process under two clients, end orderly, and return what was logged."""
    collector = Process(tmp_path)
    clients = [Client(collector.url, name) for name in ("a", "b")]
    companion = begun(clients[0], collector)
    until, faults = time.monotonic() + 0.3, []

    def post_on() -> None:
        try:
            while time.monotonic() < until or clients[1].batches < 3:
                clients[1].post()
        except BaseException as fault:
            faults.append(fault)
            raise

    other = threading.Thread(target=post_on)
    other.start()
    clients[0].post()
    os.kill(companion, number)
    clients[0].post()
    clients[0].post()
    other.join(30)
    assert faults == []
    for client in clients:
        client.close()
    assert not Path(f"/proc/{companion}").exists()
    assert collector.end() == 0
    names = [str(one["event"]) for one in collector.events()]
    return [one for one in names if one != "receipt_flagged"]  # of lines that differ in their end


def test_a_parser_that_is_killed_loses_no_answer(tmp_path: Path) -> None:
    """Every line gets its right answer, and the loss is told once."""
    events = harmed(tmp_path, signal.SIGKILL)
    assert events == ["keys_made", "ready", "parser_lost", "draining", "stopped"]


def test_a_parser_that_is_stopped_loses_no_answer(tmp_path: Path) -> None:
    """The same, after a moment of patience."""
    events = harmed(tmp_path, signal.SIGSTOP)
    assert events == ["keys_made", "ready", "parser_lost", "draining", "stopped"]


def test_it_lives_as_long_as_its_collector(tmp_path: Path) -> None:
    """A signal to the whole service is not for it; when the collector is killed it ends, too."""
    collector = Process(tmp_path)
    client = Client(collector.url, "a")
    companion = begun(client, collector)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(companion, number)
    client.post()
    client.close()
    assert companions_of(collector.running.pid) == [companion]
    collector.end(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (
        Path(f"/proc/{companion}").exists()
        and "State:\tZ" not in Path(f"/proc/{companion}/status").read_text()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
