# SPDX-License-Identifier: Apache-2.0
"""The container examples as plain processes: SIGTERM, SIGKILL, and the next start."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests import material
from tests.collector import StoringCollector, wait_for
from tests.examples import EXAMPLES, TOKEN, ended, settings, started
from tests.misbehaving import answer, closing, silent

from tallystick import Report, verify_chain


@pytest.fixture
def collector() -> Iterator[StoringCollector]:
    with StoringCollector() as found:
        yield found


def verified(lines: bytes, **expected: Any) -> Report:
    """Return the report on a chain that verifies."""
    return verify_chain(lines, material.KEY.public_key, **expected).ensure()


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


class Service:
    """The Cloud Run example, and a client of it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self._port = port
        wait_for(self._listens)

    def get(self, item: str) -> tuple[int, dict[str, object]]:
        """Ask for a price, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", f"/{item}", headers={"Connection": "close"})
            found = connection.getresponse()
            return found.status, json.loads(found.read())
        finally:
            connection.close()

    def has_no_answer_for(self, item: str) -> None:
        """Ask, and see the connection break."""
        with pytest.raises((OSError, http.client.HTTPException)):
            self.get(item)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()[0]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def cloud_run(collector: StoringCollector, place: Path) -> Iterator[Service]:
    """Start one instance."""
    port = free_port()
    environment = settings(collector.url, PORT=str(port), K_SERVICE="prices")
    with started([str(EXAMPLES / "cloud_run" / "main.py")], environment, place) as process:
        yield Service(process, port)


def test_cloud_run_answers_when_receipts_are_delivered(
    collector: StoringCollector, tmp_path: Path
) -> None:
    """Each answer comes after its receipts; failures are receipts too; SIGTERM closes the chain,
    and the instance ends with 0 and nothing on its error stream but the access log."""
    with cloud_run(collector, tmp_path) as service:
        assert service.get("apple") == (200, {"item": "apple", "cents": 30})
        assert len(collector.stored) == 2
        assert service.get("grape")[0] == 404
        assert len(collector.stored) == 4
        service.process.send_signal(signal.SIGTERM)
        code, said = ended(service.process)
        assert code == 0, said
        assert "Traceback" not in said
        assert "fire-and-forget" not in said
    report = verified(collector.lines, expected_length=5, require_terminal=True)
    assert report.chains[0].termination == "complete"
    assert collector.outcomes == ["pending", "success", "pending", "failure", "success"]


def test_cloud_run_serves_many_requests_at_once(
    collector: StoringCollector, tmp_path: Path
) -> None:
    """24 requests at the same time: one chain, contiguous, each request's two receipts in it."""
    statuses: list[int] = []
    with cloud_run(collector, tmp_path) as service:
        threads = [
            Thread(target=lambda: statuses.append(service.get("pear")[0])) for _ in range(24)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert statuses == [200] * 24
    verified(collector.lines, expected_length=48)
    assert collector.sequences == list(range(1, 49))


def test_cloud_run_does_nothing_without_a_receipt(
    collector: StoringCollector, tmp_path: Path
) -> None:
    """While the collector refuses us, requests fail and nothing is done; then all is delivered in
    order, and the chain says which call never came to a result."""
    with cloud_run(collector, tmp_path) as service:
        collector.does(answer(401))
        assert service.get("apple")[0] == 503
        assert not collector.stored
        assert service.get("apple")[0] == 200
    report = verified(collector.lines, expected_length=3)
    assert codes(report) == ["incomplete_tool_roundtrip"]


def test_cloud_run_interrupted(collector: StoringCollector, tmp_path: Path) -> None:
    """At SIGTERM the flush does not get through: the chain ends as interrupted."""
    with cloud_run(collector, tmp_path) as service:
        service.get("apple")
        collector.does(answer(401), answer(401))
        assert service.get("pear")[0] == 503
        service.process.send_signal(signal.SIGTERM)
        assert ended(service.process)[0] == 0
    report = verified(collector.lines, expected_length=4, require_terminal=True)
    assert report.chains[0].termination == "interrupted"


def test_cloud_run_killed(collector: StoringCollector, tmp_path: Path) -> None:
    """SIGKILL between call and result: what was delivered verifies, the rest is gone, and a new
    instance begins a chain of its own."""
    with cloud_run(collector, tmp_path) as service:
        collector.does(collector.store, silent)
        asking = Thread(target=service.has_no_answer_for, args=("apple",))
        asking.start()
        collector.was_asked(2)
        service.process.kill()
        asking.join(20)
    collector.is_up()
    with cloud_run(collector, tmp_path) as service:
        assert service.get("pear")[0] == 200
    first, second = collector.chains.values()
    assert codes(verified(first, expected_length=1)) == ["incomplete_tool_roundtrip"]
    assert not codes(verified(second, expected_length=2))


@contextmanager
def fargate(collector_url: str, place: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start one task over the folders of `place`."""
    for name in ("inbox", "archive"):
        (place / name).mkdir(exist_ok=True)
    environment = settings(collector_url, TALLY_WAL=str(place / "wal"), **more)
    with started([str(EXAMPLES / "fargate" / "main.py")], environment, place) as process:
        yield process


def put(place: Path, *names: str) -> None:
    """Put files into the inbox, each in one step."""
    (place / "inbox").mkdir(exist_ok=True)
    for name in names:
        (place / f"{name}.tmp").write_text(f"the text of {name}")
        (place / f"{name}.tmp").rename(place / "inbox" / name)


def archived(place: Path, count: int) -> None:
    """Wait until so many files are put away."""
    wait_for(lambda: len(list((place / "archive").iterdir())) >= count)


def test_fargate_sigterm(collector: StoringCollector, tmp_path: Path) -> None:
    """A task works, is stopped, and leaves a closed chain and an empty log."""
    put(tmp_path, "a", "b", "c")
    with fargate(collector.url, tmp_path) as task:
        collector.holds(6)
        task.send_signal(signal.SIGTERM)
        code, said = ended(task)
        assert code == 0, said
    assert not list((tmp_path / "inbox").iterdir())
    report = verified(collector.lines, expected_length=7, require_terminal=True)
    assert report.chains[0].termination == "complete"
    assert {seen.headers["authorization"] for seen in collector.requests} == {f"Bearer {TOKEN}"}


def test_fargate_works_while_the_collector_is_away(
    collector: StoringCollector, tmp_path: Path
) -> None:
    """Nobody listens: the work goes on, SIGTERM ends the task in its grace time, and the next
    task delivers everything in order, up to the receipt that says `interrupted`."""
    put(tmp_path, "a", "b")
    with fargate(f"http://127.0.0.1:{free_port()}", tmp_path) as task:
        archived(tmp_path, 2)
        task.send_signal(signal.SIGTERM)
        assert ended(task)[0] == 0
    with fargate(collector.url, tmp_path) as task:
        collector.holds(5)
        task.send_signal(signal.SIGTERM)
        _, said = ended(task)
        assert "delivered 5 from before, 0 wait" in said
    first = next(iter(collector.chains.values()))
    report = verified(first, expected_length=5, require_terminal=True)
    assert report.chains[0].termination == "interrupted"
    assert [len(lines.splitlines()) for lines in collector.chains.values()] == [5, 1]


@pytest.mark.parametrize("acknowledges", [True, False])
def test_fargate_killed(collector: StoringCollector, tmp_path: Path, *, acknowledges: bool) -> None:
    """SIGKILL in the middle of a delivery, whether the collector has stored it or not: the next
    task delivers what the log holds. Nothing is lost, nothing is twice, nothing out of order."""
    put(tmp_path, "a", "b")
    with fargate(collector.url, tmp_path) as task:
        collector.holds(4)
        in_the_middle = collector.store_silently if acknowledges else silent
        collector.does(collector.store, in_the_middle)
        put(tmp_path, "c")
        collector.was_asked(6)
        task.kill()
        task.wait(10)
    archived(tmp_path, 3)
    put(tmp_path, "d")
    with fargate(collector.url, tmp_path) as task:
        collector.holds(8)
        task.send_signal(signal.SIGTERM)
        assert "delivered 1 from before, 0 wait" in ended(task)[1]
    first, second = collector.chains.values()
    assert not codes(verified(first, expected_length=6))
    verified(second, expected_length=3, require_terminal=True)
    assert len(collector.requests) == 10


def test_fargate_killed_between_call_and_result(
    collector: StoringCollector, tmp_path: Path
) -> None:
    """SIGKILL while the call itself is running: an auditor sees a call without its result."""
    put(tmp_path, "a")
    (tmp_path / "archive").mkdir()
    (tmp_path / "inbox" / "b").symlink_to(tmp_path / "never")  # reading it waits for ever
    os.mkfifo(tmp_path / "never")
    with fargate(collector.url, tmp_path) as task:
        collector.holds(3)
        task.kill()
        task.wait(10)
    assert codes(verified(collector.lines, expected_length=3)) == ["incomplete_tool_roundtrip"]


def test_two_tasks_do_not_share_a_log(collector: StoringCollector, tmp_path: Path) -> None:
    """A second task over the same log is refused at its start, and says who has it."""
    put(tmp_path, "a")
    with fargate(collector.url, tmp_path) as task:
        collector.holds(2)
        with fargate(collector.url, tmp_path) as other:
            code, said = ended(other)
        assert code == 1
        assert "WalLockedError" in said
        assert f"process {task.pid}" in said


AZURE = """
import asyncio, json, sys
import azure.functions as func
import function_app
(price,) = function_app.app.get_functions()
print("ready", flush=True)
for line in sys.stdin:
    item = line.strip()
    request = func.HttpRequest(
        method="GET", url=f"/api/prices/{item}", route_params={"item": item}, body=b""
    )
    found = asyncio.run(price.get_user_function()(request))
    print(found.status_code, json.loads(found.get_body()), flush=True)
"""


@contextmanager
def azure(collector: StoringCollector, place: Path) -> Iterator[subprocess.Popen[str]]:
    """Start one worker: a small host that loads the app and calls its function."""
    environment = settings(collector.url, FUNCTIONS_WORKER_RUNTIME="python")
    environment["PYTHONPATH"] += f":{EXAMPLES / 'azure_functions'}"
    with started(["-c", AZURE], environment, place) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def ask(worker: subprocess.Popen[str], item: str) -> str:
    """Have the function called, and return what it answers."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{item}\n")
    worker.stdin.flush()
    return worker.stdout.readline().strip()


def test_azure_functions(collector: StoringCollector, tmp_path: Path) -> None:
    """The app of the example, as the library's own decorators built it: async, in order, and at
    SIGTERM what could not be delivered ends as interrupted."""
    with azure(collector, tmp_path) as worker:
        assert ask(worker, "apple") == "200 {'item': 'apple', 'cents': 30}"
        assert ask(worker, "grape").startswith("404")
        collector.does(*[closing(answer(401))] * 2)
        assert ask(worker, "pear").startswith("503")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 128 + signal.SIGTERM
    report = verified(collector.lines, expected_length=6, require_terminal=True)
    assert report.chains[0].termination == "interrupted"
