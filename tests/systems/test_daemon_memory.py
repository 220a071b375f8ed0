# SPDX-License-Identifier: Apache-2.0
"""A daemon that has taken many frames holds no more memory than one that has taken some."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from tests.daemons import DaemonHome, DaemonProcess
from tests.frames import HEADER, frame

CI_FRAMES = 15_000
SOAK_FRAMES = 1_000_000
AT_ONCE = 5000
ALONE = 250  # of these come one by one: another thread stores those
GROWTH_BYTES_MAX = 16 * 1024 * 1024


def resident(daemon: DaemonProcess) -> int:
    """Return how much memory a process holds."""
    pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def sent(path: str, count: int, *, at_once: int) -> None:
    """Send so many frames over one connection, and read the answers of some before the next."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        for first in range(0, count, at_once):
            numbers = range(first, min(first + at_once, count))
            data = b"".join(frame(ack=True, session_id=f"s{one % 1000}") for one in numbers)
            writer = threading.Thread(target=line.sendall, args=(data,))
            writer.start()
            answered(line, len(numbers))
            writer.join()


def answered(line: socket.socket, count: int) -> None:
    """Read so many answers."""
    rest = b""
    while count:
        rest += line.recv(1 << 18)
        start = 0
        while len(rest) - start >= HEADER.size:
            stop = start + HEADER.size + HEADER.unpack_from(rest, start)[0]
            if stop > len(rest):
                break
            start, count = stop, count - 1
        rest = rest[start:]


@pytest.mark.parametrize(
    "frames",
    [CI_FRAMES, pytest.param(SOAK_FRAMES, marks=pytest.mark.soak)],
    ids=["ci", "soak"],
)
def test_memory_stays_flat(tmp_path: Path, frames: int) -> None:
    """After the first frames nothing grows with their number."""
    home = DaemonHome(tmp_path / "home")

    def send() -> None:
        sent(home.socket, AT_ONCE - ALONE, at_once=AT_ONCE)
        sent(home.socket, ALONE, at_once=1)

    with home.daemon() as daemon:
        send()
        before = resident(daemon)
        for _ in range(frames // AT_ONCE - 1):
            send()
        grown = resident(daemon) - before
        assert daemon.stop() == 0
    assert grown < GROWTH_BYTES_MAX, grown
    assert home.rows("count(*)") == [(frames + 1,)]
