# SPDX-License-Identifier: Apache-2.0
"""What the service manager is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.daemon.notify import Supervisor


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(5)
        yield ear


def test_each_step_is_told(ear: socket.socket) -> None:
    """The words are those of sd_notify(3)."""
    told = Supervisor({"NOTIFY_SOCKET": ear.getsockname()})
    told.ready("taking frames")
    told.alive()
    told.stopping()
    told.more_time(1500)
    heard = [ear.recv(1000).decode() for _ in range(4)]
    assert heard == [
        "READY=1\nSTATUS=taking frames",
        "WATCHDOG=1",
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=1500000",
    ]
    told.reloading()
    first, second = ear.recv(1000).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="abstract names are Linux's own")
def test_an_abstract_name_is_reached() -> None:
    """A name that begins with @ is the kernel's, not the file system's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0tally-test-{os.getpid()}")
        ear.settimeout(5)
        Supervisor({"NOTIFY_SOCKET": f"@tally-test-{os.getpid()}"}).alive()
        assert ear.recv(100) == b"WATCHDOG=1"


def test_without_a_manager_nothing_happens() -> None:
    """No variable, or nobody behind it: silence and no error."""
    Supervisor({}).ready()
    Supervisor({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15_000),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "0"}, 0),
        ({}, 0),
    ],
)
def test_signs_of_life_come_twice_as_often(more: dict[str, str], expected: int) -> None:
    """Half of what the manager waits; none where it doesn't wait for us."""
    assert Supervisor({"NOTIFY_SOCKET": "/x", **more}).watchdog_ms == expected
    assert Supervisor(more).watchdog_ms == 0
