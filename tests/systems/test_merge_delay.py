# SPDX-License-Identifier: Apache-2.0
"""How soon a promised receipt is under a checkpoint that anybody can see, at 1000 receipts/s."""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.command import environment, process
from tests.posting import Bodies

RATE_PER_S = 1000
BATCH = 50
SECONDS = int(os.environ.get("TALLY_MERGE_SECONDS", "4"))
SECONDS_SOAK = 60
DELAY_P99_S = 2.0


@contextmanager
def collector(folder: Path) -> Iterator[int]:
    """Run the command, and yield its port."""
    command = process(
        "collector", "run", "--addr", "127.0.0.1:0", "--db", str(folder / "collector.db"),
        "--log-level", "error",
    )  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as one:
        assert one.stdout is not None
        try:
            yield int(one.stdout.readline().rpartition(":")[2])
        finally:
            one.send_signal(signal.SIGTERM)
            assert one.wait(30) == 0


def delays(port: int, seconds: int) -> list[float]:
    """Post at the rate for a while, and return how long each receipt was not to be seen."""
    told: list[tuple[int, float]] = []  # index of the last entry of a batch, and when it was told
    shown: list[tuple[int, float]] = []  # size, and when it was first seen
    done = threading.Event()

    def watch() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while not done.is_set() or shown[-1][0] <= told[-1][0]:
            connection.request("GET", "/log/checkpoint")
            size = int(connection.getresponse().read().split(b"\n", 2)[1])
            if not shown or size > shown[-1][0]:
                shown.append((size, time.monotonic()))
            time.sleep(0.02)
        connection.close()

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    bodies = Bodies("chain:a")
    began = time.monotonic()
    for number in range(seconds * RATE_PER_S // BATCH):
        first = number * BATCH + 1
        lines = b"\n".join(bodies.body(at) for at in range(first, first + BATCH))
        headers = {"Content-Type": "application/x-ndjson"}
        connection.request("POST", "/receipts/batch", lines, headers)
        answers = connection.getresponse().read().splitlines()
        promises = [json.loads(one)["promise"] for one in answers]
        last = max(int(one.split("\n", 2)[1].removeprefix("index ")) for one in promises)
        told.append((last, time.monotonic()))
        time.sleep(max(0.0, began + (number + 1) * BATCH / RATE_PER_S - time.monotonic()))
    done.set()
    watcher.join(30)
    connection.close()
    sizes = [size for size, _ in shown]
    return [shown[bisect_left(sizes, index + 1)][1] - then for index, then in told]


def check(folder: Path, seconds: int) -> None:
    """Hold a collector to its delay."""
    with collector(folder) as port:
        found = delays(port, seconds)
    assert len(found) == seconds * RATE_PER_S // BATCH
    p99 = statistics.quantiles(found, n=100)[98]
    assert p99 <= DELAY_P99_S, (p99, max(found))


def test_promised_receipts_are_soon_to_be_seen(tmp_path: Path) -> None:
    """At 1000 receipts a second, 99 of 100 are under a released checkpoint within two seconds."""
    check(tmp_path, SECONDS)


@pytest.mark.soak
def test_the_delay_does_not_grow(tmp_path: Path) -> None:
    """The same over a minute."""
    check(tmp_path, SECONDS_SOAK)
