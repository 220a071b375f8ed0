# SPDX-License-Identifier: Apache-2.0
"""The collector as a service: receipts a second, one by one and in batches, durable with promises.

Beside it in the same run: the same server with an empty handler, and the disk's own fdatasync. The
load comes from this process, so that on two cores server and clients have one each.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import load
from measure import Row

CONNECTIONS = 64
BATCH = 500
BATCH_CONNECTIONS = 4
# The bounds of the issue: either in absolute terms, or against the empty handler.
POSTS_PER_S, POSTS_P99_S, BATCHED_PER_S, OF_EMPTY = 5000, 0.040, 20_000, 0.33
_FLOOR_BYTES = 80 * 1024


@contextmanager
def serving(*command: str) -> Iterator[int]:
    """Run a server, and yield its port."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, text=True) as one:
        assert one.stdout is not None
        assert one.stdin is not None
        try:
            yield int(one.stdout.readline().rpartition(":")[2])
        finally:
            one.stdin.close()
            one.terminate()


def collector(folder: Path) -> tuple[str, ...]:
    """Return the command of a collector over a fresh store."""
    where = ("--addr", "127.0.0.1:0", "--db", str(folder / "collector.db"))
    return ("-m", "tallystick", "collector", "run", *where, "--log-level", "error")


class Chains:
    """One chain for each connection, which go on from round to round."""

    def __init__(self, connections: int, name: str = "bench") -> None:
        self._chains = [load.Receipts(f"{name}-{at}") for at in range(connections)]
        self._next = 1

    def posts(self, count: int) -> list[list[bytes]]:
        """Return single posts for each connection, so many in all."""
        each = range(self._next, self._next + count // len(self._chains))
        self._next = each.stop
        return [[load.request_of(one.body(at)) for at in each] for one in self._chains]

    def batches(self, count: int) -> list[list[bytes]]:
        """Return batches for each connection, so many receipts in all."""
        each = max(1, count // len(self._chains) // BATCH)
        starts = range(self._next, self._next + each * BATCH, BATCH)
        self._next = starts.stop
        return [
            [
                load.request_of(
                    b"".join(one.body(at) + b"\n" for at in range(start, start + BATCH)),
                    "/receipts/batch",
                )
                for start in starts
            ]
            for one in self._chains
        ]


def posted(port: int, requests: list[list[bytes]], expected: int) -> tuple[float, list[float]]:
    """Send all, and return the seconds that it took, and those of each request."""
    import uvloop  # the clients must not be what is measured

    times: list[float] = []

    def answered(status: int, body: bytes, seconds: float) -> None:
        assert status == expected, body[:200]
        times.append(seconds)

    began = time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.post_all(port, requests, answered))
    return time.perf_counter() - began, times


def fdatasync_s(folder: Path, rounds: int = 50, *, pause_s: float = 0) -> float:
    """Return the median time in which the disk makes a commit's worth of bytes durable.

    With a pause before each, as between two commits: a disk that rests takes longer.
    """
    times = []
    data = os.urandom(_FLOOR_BYTES)
    with (folder / "floor").open("wb", buffering=0) as file:
        for _ in range(rounds):
            time.sleep(pause_s)
            file.write(data)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def rows(count: int, rounds: int) -> list[Row]:
    """Single posts and batches against a real collector, in turn with the empty handler."""
    empty = str(Path(__file__).with_name("serving.py"))
    rates: list[tuple[float, float]] = []
    slowest: list[float] = []
    batched: list[float] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        floor_s = fdatasync_s(folder)
        with serving(*collector(folder)) as real, serving(empty) as bare:
            singles, many = Chains(CONNECTIONS), Chains(BATCH_CONNECTIONS, "many")
            nothing = Chains(CONNECTIONS)
            posted(real, singles.posts(CONNECTIONS * 4), 201)  # does not count
            for _ in range(rounds):
                bare_s, _ = posted(bare, nothing.posts(count), 201)
                real_s, times = posted(real, singles.posts(count), 201)
                rates.append((count / real_s, count / bare_s))
                slowest.append(statistics.quantiles(times, n=100)[98])
            many_count = 4 * count
            for _ in range(rounds):
                requests = many.batches(many_count)
                seconds, _ = posted(real, requests, 200)
                batched.append(sum(map(len, requests)) * BATCH / seconds)
    per_s = statistics.median(real for real, _ in rates)
    bare_per_s = statistics.median(bare for _, bare in rates)
    p99_s = statistics.median(slowest)
    of_empty = statistics.median(real / bare for real, bare in rates)
    batch_per_s = statistics.median(batched)
    print(
        f"collector, receipts a second: single {per_s:.0f} (p99 {1000 * p99_s:.1f} ms), "
        f"empty handler {bare_per_s:.0f}, batched {batch_per_s:.0f}; "
        f"fdatasync of {_FLOOR_BYTES // 1024} KiB {1e6 * floor_s:.0f} µs",
        flush=True,
    )
    is_fast = per_s >= POSTS_PER_S and p99_s <= POSTS_P99_S
    return [
        Row(
            f"single posts over {CONNECTIONS} connections, of the empty handler",
            max(of_empty, OF_EMPTY) if is_fast else of_empty,
            at_least=OF_EMPTY,
        ),
        Row(
            "batched receipts, of 20 000 a second",
            batch_per_s / BATCHED_PER_S,
            at_least=1,
        ),
    ]
