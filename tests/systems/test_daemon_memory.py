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
GROWTH_BYTES_MAX = 16 * 1024 * 1024


def resident(daemon: DaemonProcess) -> int:
    """Return how much memory a process holds."""
    pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def sent(path: str, count: int) -> None:
    """Send so many frames over one connection, and read all answers."""
    data = b"".join(frame(ack=True, session_id=f"s{number % 1000}") for number in range(count))
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(path)
        writer = threading.Thread(target=line.sendall, args=(data,))
        writer.start()
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
        writer.join()


@pytest.mark.parametrize(
    "frames",
    [CI_FRAMES, pytest.param(SOAK_FRAMES, marks=pytest.mark.soak)],
    ids=["ci", "soak"],
)
def test_memory_stays_flat(tmp_path: Path, frames: int) -> None:
    """After the first frames nothing grows with their number."""
    home = DaemonHome(tmp_path / "home")
    with home.daemon() as daemon:
        sent(home.socket, AT_ONCE)
        before = resident(daemon)
        for _ in range((frames - AT_ONCE) // AT_ONCE):
            sent(home.socket, AT_ONCE)
        grown = resident(daemon) - before
        assert daemon.stop() == 0
    assert grown < GROWTH_BYTES_MAX, grown
    assert home.rows("count(*)") == [(frames + 1,)]
