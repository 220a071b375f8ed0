# SPDX-License-Identifier: Apache-2.0
"""One connection: what is read, and answers that wait for nobody."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tallystick.daemon.connection import Account, Arrived, Connection
from tallystick.daemon.peer import attest
from tallystick.limits import FRAME_WEIGHT_BYTES_EACH, ODD_PORTIONS_MAX


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    here, there = socket.socketpair()
    here.setblocking(False)
    connection = Connection(here, attest(here), Account(7), 0)
    yield connection, there
    connection.close()
    there.close()


def test_reading_tells_nothing_from_the_end(pair: tuple[Connection, socket.socket]) -> None:
    """None where more may come, nothing at the end."""
    connection, there = pair
    assert connection.read() is None
    there.send(b"x")
    assert connection.read() == b"x"
    there.close()
    assert connection.read() == b""


def test_what_does_not_fit_waits_in_order(pair: tuple[Connection, socket.socket]) -> None:
    """Answers never block; those behind an unfinished one queue up."""
    connection, there = pair
    first = bytes(range(256)) * 8000
    connection.answer(first)
    connection.answer(b"last")
    assert connection.unsent > 4
    got = b""
    while len(got) < len(first) + 4:
        got += there.recv(1 << 20)
        connection.flush()
    assert got == first + b"last"
    assert connection.unsent == 0
    assert connection.flush() == 0


def test_nobody_there_is_no_error(pair: tuple[Connection, socket.socket]) -> None:
    """An emitter that went away takes no answers, and harms nobody."""
    connection, there = pair
    there.close()
    connection.answer(b"x")
    assert connection.is_broken
    connection.answer(b"y")
    assert connection.unsent == 0


def test_a_closed_connection_sends_nothing(pair: tuple[Connection, socket.socket]) -> None:
    """After the close the descriptor may be another's: nothing is written, and twice is once."""
    connection, there = pair
    connection.close()
    connection.close()
    connection.answer(b"x")
    assert connection.flush() == 0
    assert there.recv(10) == b""


def test_what_arrived_knows_its_size(pair: tuple[Connection, socket.socket]) -> None:
    """All bodies together, and what each costs besides."""
    assert Arrived(pair[0], [b"one", b"three"], 1).size == 8 + 2 * FRAME_WEIGHT_BYTES_EACH


def test_whose_frames_are_odd_is_passed_by_more_often(
    pair: tuple[Connection, socket.socket],
) -> None:
    """Twice as often each time, up to a bound; one usual portion, and it is as it was."""
    connection, _ = pair

    def passed_by() -> int:
        count = 0
        while connection.passes_by():
            count += 1
        return count

    assert passed_by() == 0
    found = []
    for _ in range(ODD_PORTIONS_MAX + 2):
        connection.note_unusual(11, of=20)
        found.append(passed_by())
    assert found == [1, 3, 7, 15, 31, 63, 127, 127, 127]
    connection.note_unusual(10, of=20)
    assert passed_by() == 0
    connection.note_unusual(20, of=20)
    assert passed_by() == 1
