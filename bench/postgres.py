# SPDX-License-Identifier: Apache-2.0
"""What a second collector process on one PostgreSQL costs: its CPU for each receipt, against one's.

    python bench/postgres.py                       needs PostgreSQL (Debian: postgresql)

One collector takes receipts over 64 connections, then two do, over 64 each, in turn on the same
database: that is why one adds a collector. Counted is the CPU of the collectors alone, as the
kernel counts it, for each receipt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import collecting
import pytest
from measure import Row, show

from tallystick.collector.log_keys import create_log_keys

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the server that tests start
from tests.postgres_server import running_postgres

CONNECTIONS = 64
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def running(url: str, keys: Path) -> Iterator[tuple[int, int]]:
    """Run a collector, and yield its process id and its port."""
    where = ("--addr", "127.0.0.1:0", "--db", url, "--keys", str(keys), "--log-level", "error")
    command = ("-m", "tallystick", "collector", "run", *where)
    with collecting.serving(*command) as port:
        yield _listener(port), port


def _listener(port: int) -> int:
    """Return the process that listens on a port of this machine."""
    wanted = f":{port:04X}"
    (inode,) = (
        fields[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[1].endswith(wanted) and fields[3] == "0A"
    )
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink().name == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue  # it has gone since
    raise RuntimeError(f"nobody listens on {port}")


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rows(count: int, rounds: int) -> list[Row]:
    """Post to one collector and to two, in turn."""
    ratios, costs = [], []
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        url = stack.enter_context(running_postgres()).new_database()
        create_log_keys(folder / "keys", "bench.example/log1")
        first = stack.enter_context(running(url, folder / "keys"))
        shutil.copytree(folder / "keys", folder / "copy")  # as on a machine of its own
        second = stack.enter_context(running(url, folder / "copy"))
        one, two = collecting.Chains(CONNECTIONS), collecting.Chains(2 * CONNECTIONS, "other")
        for turn in range(rounds + 1):
            alone = cpu_of([first], one.posts(count))
            shared = cpu_of([first, second], two.posts(2 * count))
            if turn:  # the first does not count
                ratios.append(shared / alone)
                costs.append(alone)
    print(f"PostgreSQL, CPU of one collector for each receipt: {statistics.median(costs):.0f} µs")
    return [
        Row(
            "two collectors on one PostgreSQL, CPU for each receipt over one",
            statistics.median(ratios),
            at_most=1.15,
        )
    ]


def cpu_of(collectors: list[tuple[int, int]], posts: list[list[bytes]]) -> float:
    """Spread posts over collectors, and return their CPU for each receipt, in microseconds."""
    before = sum(cpu_s(pid) for pid, _ in collectors)
    share = len(posts) // len(collectors)
    with ThreadPoolExecutor(len(collectors)) as pool:
        work = [
            pool.submit(collecting.posted, port, posts[at * share : (at + 1) * share], 201)
            for at, (_, port) in enumerate(collectors)
        ]
        for one in work:
            one.result()
    return (sum(cpu_s(pid) for pid, _ in collectors) - before) / sum(map(len, posts)) * 1e6


def main() -> int:
    """Measure, print, and tell by the exit code whether all is met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--receipts", type=int, default=6400, help="posts in one turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        found = rows(options.receipts, options.rounds)
    except pytest.skip.Exception as missing:
        print(f"NOT MEASURED: {missing}")
        return 1
    return show(found)


if __name__ == "__main__":
    sys.exit(main())
