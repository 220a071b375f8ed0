# SPDX-License-Identifier: Apache-2.0
"""Who is let in; how it ends. See test_connections.py for what happens behind the door."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.frames import Line, framed

from tallystick.daemon.attestation import Attestation
from tallystick.daemon.connection import Arrived
from tallystick.daemon.connections import Connections
from tallystick.daemon.door import Door
from tallystick.daemon.listener import Listener
from tallystick.daemon.loop import Loop
from tallystick.daemon.peer import attest
from tallystick.daemon.quotas import Bounds
from tallystick.daemon.tallies import Tallies
from tallystick.errors import PeerError


class House:
    """A door with its loop; `troubles` happen to those who come first."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o750)
        self.path = str(folder / "s")
        self.loop = Loop(lambda: time.monotonic_ns() // 1_000_000)
        self.listener = Listener(self.path)
        self.arrived: list[Arrived] = []
        self.tallies = Tallies()
        self.troubles: list[Exception] = []
        self.connections = Connections(
            self.loop,
            submit=self.arrived.append,
            clock_ns=lambda: 1,
            tallies=self.tallies,
            bounds=Bounds(),
        )
        self.door = Door(
            self.loop,
            self.listener.socket,
            self.connections,
            tallies=self.tallies,
            attests=self.attests,
        )

    def attests(self, connection: socket.socket) -> Attestation:
        if self.troubles:
            raise self.troubles.pop(0)
        return attest(connection)

    def turn(self, until: Callable[[], object]) -> None:
        end = time.monotonic() + 20
        while not until():
            assert time.monotonic() < end, "what was waited for did not happen"
            self.loop.turn(5)
            self.connections.settle()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "run")
    yield house
    house.door.close()
    house.connections.close()
    house.listener.withdraw()
    house.loop.close()


def test_who_can_not_be_attested_is_not_let_in(house: House) -> None:
    """Where the kernel says nothing of a peer, nothing of it is taken; the next one is."""
    house.troubles = [PeerError("on purpose")]
    with Line(house.path) as stranger, Line(house.path) as known:
        known.send(framed(b"x"))
        house.turn(lambda: house.arrived)
        assert stranger.is_closed()
    assert house.tallies.strangers == 1


def test_a_bug_at_the_door_costs_one(house: House) -> None:
    """Our own fault while letting one in: it is closed and counted, and the others come."""
    house.troubles = [RuntimeError("on purpose"), OSError(errno.EIO, "on purpose")]
    lines = [Line(house.path) for _ in range(3)]
    lines[2].send(framed(b"x"))
    house.turn(lambda: house.arrived)
    assert house.tallies.faults == 2
    for line in lines:
        line.close()


def test_all_who_wait_are_let_in_before_it_closes(house: House) -> None:
    """Hundreds in the kernel's line come in at the end, and then nobody."""
    lines = [Line(house.path) for _ in range(200)]
    for number, line in enumerate(lines):
        line.send(framed(b"%d" % number))
    house.listener.withdraw()
    assert house.door.close_when_empty()
    house.turn(lambda: len(house.arrived) == 200)
    assert house.door.is_closed
    house.door.close()
    for line in lines:
        line.close()
