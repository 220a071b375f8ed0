# SPDX-License-Identifier: Apache-2.0
"""The MCP proxy between a client and the smallest server, both raw: what it adds, what it carries.

The daemon runs beside it, and all four share the cores. The same calls without the proxy are
measured in turn with those through it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collecting import fdatasync_s
from measure import Row
from signing_daemon import daemon

from tallystick.daemon.status import ask_daemon

# The bounds of the issue.
ADDED_S, ADDED_WITH_RECEIPT_S, PER_S, BYTES_PER_CALL = 0.0015, 0.0025, 1500, 1.0
ROUND_TRIPS = 300
IN_FLIGHT = 50
# Between two calls' commits there is about so much else to do.
PAUSE_S = 0.002
SERVER = [sys.executable, str(Path(__file__).with_name("echo_server.py"))]
CALL = (
    b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"read_file",'
    b'"arguments":{"path":"/srv/report-%d.txt","limit":100}}}\n'
)


@contextmanager
def session(command: list[str], socket: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, or a proxy before one, and end it."""
    variables = {**os.environ, "AGENTRECEIPTS_SOCKET": socket}
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def round_trips(process: subprocess.Popen[bytes], count: int) -> list[float]:
    """Return how long each of some calls takes, one after the other."""
    assert process.stdin is not None
    assert process.stdout is not None
    times = []
    for number in range(count):
        began = time.perf_counter()
        process.stdin.write(CALL % (number, number))
        process.stdin.flush()
        process.stdout.readline()
        times.append(time.perf_counter() - began)
    return times


def carried_s(process: subprocess.Popen[bytes], count: int) -> float:
    """Return how long it takes until all of many calls are answered that wait for no other."""
    assert process.stdin is not None
    assert process.stdout is not None
    data = b"".join(CALL % (number, number) for number in range(count))

    def write() -> None:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.flush()

    writer = threading.Thread(target=write)
    began = time.perf_counter()
    writer.start()
    for _ in range(count):
        process.stdout.readline()
    took = time.perf_counter() - began
    writer.join()
    return took


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """Return what a process holds in memory of its own, as Linux counts it."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no RssAnon")


def commits_of(socket: str) -> int:
    """Return how many transactions the daemon has written."""
    status = ask_daemon(str(Path(socket).with_name("status.sock")), "status")
    return int(status["commit"]["count"])


def rows(calls: int, rounds: int) -> list[Row]:
    """Measure all of it against one daemon."""
    with (
        tempfile.TemporaryDirectory(prefix="tally-bench-") as folder,
        daemon(Path(folder)) as socket,
    ):
        tally = [sys.executable, "-m", "tallystick", "mcp", "run", "--spool", f"{folder}/spool"]
        with (
            session(SERVER, socket) as bare,
            session([*tally, "--", *SERVER], socket) as proxied,
            session([*tally, "--require-receipt", "--", *SERVER], socket) as required,
        ):
            for process in (bare, proxied, required):
                round_trips(process, 50)
            added, held, commits = [], [], []
            for _ in range(rounds):
                without = statistics.median(round_trips(bare, ROUND_TRIPS))
                added.append(statistics.median(round_trips(proxied, ROUND_TRIPS)) - without)
                sync = fdatasync_s(Path(folder), 50, pause_s=PAUSE_S)
                before = commits_of(socket)
                held.append(statistics.median(round_trips(required, ROUND_TRIPS)) - without - sync)
                commits.append((commits_of(socket) - before) / ROUND_TRIPS)
            speeds = [calls / carried_s(proxied, calls) for _ in range(rounds)]
            round_trips(proxied, 4000)
            before = resident_bytes(proxied)
            for _ in range(20_000 // IN_FLIGHT):
                carried_s(proxied, IN_FLIGHT)
            slope = (resident_bytes(proxied) - before) / 20_000
    added_s, held_s, speed, each = (
        statistics.median(one) for one in (added, held, speeds, commits)
    )
    print(
        f"MCP proxy: adds {added_s * 1e3:.2f} ms to a call, with a durable receipt "
        f"{held_s * 1e3:.2f} ms and an fdatasync ({each:.2f} commits); {speed:.0f} calls/s; "
        f"{slope:.2f} bytes a call",
        flush=True,
    )
    return [
        Row("MCP proxy: added to a call (p50), of 1.5 ms", added_s / ADDED_S, at_most=1),
        Row(
            "MCP proxy: added with --require-receipt, over one fdatasync, of 2.5 ms",
            held_s / ADDED_WITH_RECEIPT_S,
            at_most=1,
        ),
        Row("MCP proxy: calls per second, in 1500", speed / PER_S, at_least=1),
        Row("MCP proxy: memory, bytes per call over 20 000", max(slope, 0), at_most=BYTES_PER_CALL),
    ]
