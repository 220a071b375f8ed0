# SPDX-License-Identifier: Apache-2.0
"""The daemon as a process: durable, acknowledged receipts a second, and the way there and back.

Beside it in the same run: the disk's own fdatasync, and one SQLite commit with `synchronous=FULL`
in the same folder. The frames come from this process, so on two cores each side has one.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct

from collecting import fdatasync_s
from measure import Row

HEADER = Struct(">I")
# The bounds of the issue.
ONE_PER_S, MANY_PER_S, OVER_COMMIT_S = 8000, 10_000, 0.0005
MANY = 8
ROUND_TRIPS = 300
COMMITS = 100


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """Run a daemon over a fresh store, and yield its socket's path."""
    path = str(folder / "run" / "events.sock")
    (folder / "run").mkdir(mode=0o750)
    variables = {
        **os.environ,
        "AGENTRECEIPTS_SOCKET": path,
        "AGENTRECEIPTS_UNSAFE_SOCKET_PATH": "true",
        "AGENTRECEIPTS_DB": str(folder / "receipts.db"),
        "AGENTRECEIPTS_KEY": str(folder / "signing.key"),
        "XDG_DATA_HOME": str(folder),
        "TALLY_LOG_LEVEL": "error",
    }
    tally = [sys.executable, "-m", "tallystick", "daemon"]
    subprocess.run([*tally, "init"], env=variables, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen(
        [*tally, "run"], env=variables, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield path
        finally:
            process.terminate()


def frames(count: int) -> bytes:
    """Return so many usual frames that ask for an answer, each after its length."""
    found = []
    for number in range(count):
        body = json.dumps(
            {
                "v": "1",
                "ts_emit": "2026-11-21T19:00:00.123Z",
                "session_id": "6f1c1f1e-0b52-4f0e-9d4e-2a8f0a9b1c2d",
                "channel": "sdk",
                "tool": {"server": "fs", "name": "read_file"},
                "input": {"path": f"/srv/report-{number}.txt", "limit": 100},
                "output": {"size": 12345, "ok": True},
                "decision": "allowed",
                "ack": True,
            },
            separators=(",", ":"),
        ).encode()
        found.append(HEADER.pack(len(body)) + body)
    return b"".join(found)


def answered(line: socket.socket, count: int) -> None:
    """Read so many answers; each must be an acknowledgement."""
    rest = b""
    while count:
        rest += line.recv(1 << 18)
        start = 0
        while len(rest) - start >= HEADER.size:
            stop = start + HEADER.size + HEADER.unpack_from(rest, start)[0]
            if stop > len(rest):
                break
            assert rest.startswith(b'{"ok":true', start + HEADER.size), rest[start:stop]
            start, count = stop, count - 1
        rest = rest[start:]


def pipelined_s(path: str, data: bytes, count: int, connections: int) -> float:
    """Return how long it takes until all frames of all connections are acknowledged."""

    def one() -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(path)
            writer = threading.Thread(target=line.sendall, args=(data,))
            writer.start()
            answered(line, count)
            writer.join()

    threads = [threading.Thread(target=one) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def round_trips_s(path: str) -> float:
    """Return the median time from a frame to its acknowledgement, one at a time."""
    data, times = frames(1), []
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            line.sendall(data)
            answered(line, 1)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def commits_s(folder: Path) -> float:
    """Return the median time of one small SQLite commit that is durable."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS t (a TEXT)")
    times = []
    for _ in range(COMMITS):
        began = time.perf_counter()
        connection.execute("INSERT INTO t VALUES (?)", ("x" * 1400,))
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times)


def rows(count: int, rounds: int) -> list[Row]:
    """Pipelined on one connection and on several, and one by one."""
    one, many, trips, floors = [], [], [], []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sync_s = fdatasync_s(folder)
        with daemon(folder) as path:
            data, part = frames(count), frames(count // MANY)
            pipelined_s(path, part, count // MANY, 1)  # does not count
            for _ in range(rounds):
                one.append(count / pipelined_s(path, data, count, 1))
                each = count // MANY
                many.append(each * MANY / pipelined_s(path, part, each, MANY))
                floors.append(commits_s(folder))
                trips.append(round_trips_s(path))
    per_s, many_per_s = statistics.median(one), statistics.median(many)
    trip_s, floor_s = statistics.median(trips), statistics.median(floors)
    print(
        f"daemon, acknowledged receipts a second: one connection {per_s:.0f}, {MANY} connections "
        f"{many_per_s:.0f}; there and back {1e6 * trip_s:.0f} µs, one SQLite commit "
        f"{1e6 * floor_s:.0f} µs, fdatasync {1e6 * sync_s:.0f} µs",
        flush=True,
    )
    return [
        Row("acknowledged frames on one connection, of 8 000 a second", per_s / ONE_PER_S, 1),
        Row(f"the same on {MANY}, of 10 000 a second", many_per_s / MANY_PER_S, at_least=1),
        Row(
            "there and back, over one SQLite commit and 0.5 ms",
            trip_s / (floor_s + OVER_COMMIT_S),
            at_most=1,
        ),
    ]


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 8000, 3):
        print(f"{row.ratio:.2f}  {row.what}")
