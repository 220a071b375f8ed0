# SPDX-License-Identifier: Apache-2.0
"""Connections on a real socket, with a line that stores nothing: what is read, held and closed."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.frames import Line, frame, framed

from tallystick.daemon.connection import READ_BYTES, Arrived
from tallystick.daemon.connections import Connections
from tallystick.daemon.door import Door
from tallystick.daemon.listener import Listener
from tallystick.daemon.loop import Loop
from tallystick.daemon.peer import attest
from tallystick.daemon.quotas import Bounds
from tallystick.daemon.tallies import Tallies


class House:
    """Connections with their loop, on a clock that tests can move."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        folder.mkdir(mode=0o750)
        self.path = str(folder / "s")
        self.ahead_ms = 0
        self.loop = Loop(lambda: time.monotonic_ns() // 1_000_000 + self.ahead_ms)
        self.listener = Listener(self.path)
        self.arrived: list[Arrived] = []
        self.tallies = Tallies()
        self.connections = Connections(
            self.loop,
            submit=self.submit,
            clock_ns=lambda: 1,
            tallies=self.tallies,
            bounds=bounds,
        )
        self.door = Door(
            self.loop,
            self.listener.socket,
            self.connections,
            tallies=self.tallies,
            attests=attest,
        )

    def submit(self, arrived: Arrived) -> None:
        """Put in line; a certain frame meets a bug."""
        if b"bug" in arrived.bodies:
            raise RuntimeError("on purpose")
        self.arrived.append(arrived)

    def turn(self, until: Callable[[], object] | None = None) -> None:
        """Let the loop run until something holds; without that, for a moment."""
        end = time.monotonic() + (5 if until is not None else 0.05)
        while True:
            self.loop.turn(5)
            self.connections.settle()
            if until is not None and until():
                return
            if time.monotonic() > end:
                assert until is None, "what was waited for did not happen"
                return

    def later(self, milliseconds: int) -> None:
        """Move the clock on, past the next walk over the connections."""
        self.ahead_ms += milliseconds
        self.turn()
        self.ahead_ms += 1000
        self.turn()

    def bodies(self) -> list[bytes]:
        return [body for one in self.arrived for body in one.bodies]

    def codes(self) -> list[str]:
        return [one.fault.code for one in self.arrived if one.fault is not None]

    def store(self, answer: bytes = b"") -> None:
        """Finish all that has arrived, as the thread that commits does."""
        taken, self.arrived[:] = list(self.arrived), []
        for one in taken:
            if answer:
                one.connection.answer(answer)
            self.connections.finished(one)

    def close(self) -> None:
        self.door.close()
        self.connections.close()
        self.listener.withdraw()
        self.loop.close()


@pytest.fixture
def house_of(tmp_path: Path) -> Iterator[Callable[..., House]]:
    houses: list[House] = []

    def make(**bounds: int) -> House:
        houses.append(House(tmp_path / f"run{len(houses)}", Bounds(**bounds)))
        return houses[-1]

    yield make
    for one in houses:
        one.close()


def test_frames_arrive_in_order_with_their_peer(house_of: Callable[..., House]) -> None:
    """What one connection sends is passed on as it came, with who sent it."""
    house = house_of()
    with Line(house.path) as line:
        line.send(framed(b"one", b"two"))
        house.turn(lambda: len(house.bodies()) == 2)
        line.send(framed(b"three"))
        house.turn(lambda: len(house.bodies()) == 3)
    assert house.bodies() == [b"one", b"two", b"three"]
    assert {one.received_ns for one in house.arrived} == {1}
    credential = house.arrived[0].connection.attestation.credential
    assert credential.uid is not None
    house.turn(lambda: not house.connections.unread)
    house.store()
    house.turn(lambda: len(house.connections) == 0)


def test_who_hangs_up_gets_its_frames_stored(house_of: Callable[..., House]) -> None:
    """Connect, send, close: the frame is read, and the connection goes when it is stored."""
    house = house_of()
    with Line(house.path) as line:
        line.send(frame())
    house.turn(house.bodies)
    house.turn(lambda: not house.connections.unread)
    assert len(house.connections) == 1
    house.store()
    house.turn(lambda: len(house.connections) == 0)
    assert not house.codes()


def test_half_closed_still_hears(house_of: Callable[..., House]) -> None:
    """An emitter that has said all may wait for its answers."""
    house = house_of()
    with Line(house.path) as line:
        line.send(framed(b"x"))
        line.socket.shutdown(socket.SHUT_WR)
        house.turn(house.bodies)
        house.store(answer=b"stored")
        assert line.socket.recv(100) == b"stored"
        house.turn(lambda: len(house.connections) == 0)
        assert line.is_closed()


@pytest.mark.parametrize("rest", [b"\0", b"\0\0\0\x09half"])
def test_half_a_frame_is_a_loss(house_of: Callable[..., House], rest: bytes) -> None:
    """What ends in the middle of a frame is counted, never dropped in silence."""
    house = house_of()
    with Line(house.path) as line:
        line.send(framed(b"x") + rest)
    house.turn(house.codes)
    assert (house.bodies(), house.codes()) == ([b"x"], ["FRAME_CUT"])
    house.store()
    house.turn(lambda: len(house.connections) == 0)


def test_a_length_that_no_frame_has_ends_the_connection(house_of: Callable[..., House]) -> None:
    """Behind it nothing can be told apart; other connections go on."""
    house = house_of()
    with Line(house.path) as bad, Line(house.path) as good:
        bad.send(b"\xff\xff\xff\xff")
        house.turn(house.codes)
        house.store()
        house.turn(lambda: len(house.connections) == 1)
        assert bad.is_closed()
        good.send(framed(b"x"))
        house.turn(house.bodies)
    assert house.bodies() == [b"x"]


def test_a_slow_frame_is_cut_and_an_idle_line_is_not(house_of: Callable[..., House]) -> None:
    """A byte now and then does not keep a connection; saying nothing does."""
    house = house_of(frame_ms=1000)
    with Line(house.path) as slow, Line(house.path) as idle:
        slow.send(b"\0\0")
        house.turn(lambda: len(house.connections) == 2)
        house.later(600)
        slow.send(b"\0")
        house.later(600)
        assert house.codes() == ["FRAME_SLOW"]
        house.store()
        house.turn(lambda: len(house.connections) == 1)
        assert slow.is_closed()
        idle.send(framed(b"x"))
        house.turn(house.bodies)
    assert house.tallies.slow == 1


def test_what_came_while_we_were_stopped_is_not_slow(house_of: Callable[..., House]) -> None:
    """A daemon that was stopped in the middle of a frame first reads all that is there."""
    house = house_of(frame_ms=1000)
    body = b"x" * (READ_BYTES + 1000)
    with Line(house.path) as line:
        line.send(framed(body)[:6])
        house.turn(lambda: len(house.connections) == 1)
        line.send(framed(body)[6:])
        house.ahead_ms += 60_000
        house.turn(house.arrived.__len__)
        assert (house.bodies(), house.codes()) == ([body], [])
    assert house.tallies.slow == 0


def test_more_than_that_came_while_we_were_stopped(house_of: Callable[..., House]) -> None:
    """Who then sends nothing for a while, and was held up for its frames, is not slow for that."""
    house = house_of(frames=3, user_frames=3, frame_ms=1000)
    sent = framed(b"x" * (READ_BYTES + 1000), b"a", b"b")
    with Line(house.path) as line:
        line.send(sent[:6])
        house.turn(lambda: len(house.connections) == 1)
        line.send(sent[6:])
        house.ahead_ms += 60_000
        house.turn(lambda: len(house.bodies()) == 3)
        house.store()
        house.later(60_000)
        assert (len(house.connections), house.codes(), house.tallies.slow) == (1, [], 0)


def test_a_bug_in_what_came_while_we_were_stopped(house_of: Callable[..., House]) -> None:
    """It ends that connection, and nothing else."""
    house = house_of(frame_ms=1000)
    sent = framed(b"x" * (READ_BYTES + 1000), b"bug")
    with Line(house.path) as line, Line(house.path) as other:
        line.send(sent[:6])
        house.turn(lambda: len(house.connections) == 2)
        line.send(sent[6:])
        house.ahead_ms += 60_000
        house.turn(lambda: len(house.connections) == 1)
        other.send(framed(b"x"))
        house.turn(lambda: b"x" in house.bodies())
    assert (house.tallies.faults, house.tallies.slow) == (1, 0)


def test_who_waits_for_us_is_not_slow(house_of: Callable[..., House]) -> None:
    """Half of a frame that we do not read on for want of room has all the time that takes."""
    house = house_of(frames=2, user_frames=2, frame_ms=60_000)
    with Line(house.path) as line:
        line.send(framed(b"a", b"b") + framed(b"whole")[:6])
        house.turn(lambda: len(house.bodies()) == 2)
        line.send(framed(b"whole")[6:])
        house.turn(lambda: house.tallies.holds)
        house.later(70_000)
        assert not house.codes()
        house.store()
        house.turn(house.bodies)
        assert house.bodies() == [b"whole"]
    assert house.tallies.slow == 0


def test_an_idle_line_goes_at_last(house_of: Callable[..., House]) -> None:
    """After the idle time the emitter's next write fails, so that it knows."""
    house = house_of(idle_ms=5000)
    with Line(house.path) as line:
        house.turn(lambda: len(house.connections) == 1)
        house.later(6000)
        house.turn(lambda: len(house.connections) == 0)
        with pytest.raises(BrokenPipeError):
            line.send(framed(b"x"))
    assert house.tallies.idle == 1


def test_too_much_is_not_read_and_not_lost(house_of: Callable[..., House]) -> None:
    """Frames over the bound stay in the kernel until there is room."""
    house = house_of(frames=8, user_frames=8)
    with Line(house.path) as line:
        for number in range(50):
            line.send(framed(b"%d" % number))
            house.turn(lambda: True)
        house.turn()
        held = len(house.bodies())
        assert 4 <= held < 50
        found: list[bytes] = []
        while len(found) < 50:
            house.turn(house.bodies)
            found += house.bodies()
            house.store()
    assert found == [b"%d" % number for number in range(50)]
    assert house.tallies.holds > 0


def test_one_connection_may_flood_and_another_is_served(house_of: Callable[..., House]) -> None:
    """Nobody's frames wait behind a flood for longer than the bound."""
    house = house_of(frames=100, user_frames=50)
    with Line(house.path) as flood, Line(house.path) as calm:
        while flood.may_send(framed(b"flood") * 100):
            house.turn(lambda: True)
        house.store()
        calm.send(framed(b"calm"))
        house.turn(lambda: b"calm" in house.bodies())


def test_who_takes_no_answers_is_not_read_and_then_closed(house_of: Callable[..., House]) -> None:
    """Answers wait within a bound, and not for ever; what was sent is stored all the same."""
    house = house_of(unsent=1000, stall_ms=2000)
    with Line(house.path) as line:
        line.send(framed(b"x"))
        house.turn(house.bodies)
        house.store(answer=b"a" * 4_000_000)
        line.send(framed(b"y"))
        house.turn()
        assert not house.bodies()
        house.later(2500)
        house.turn(house.bodies)
        house.store(answer=b"nobody hears")
        house.turn(lambda: len(house.connections) == 0)
    assert house.tallies.stalled == 1


def test_an_answer_in_pieces_arrives_whole(house_of: Callable[..., House]) -> None:
    """What does not fit into the socket at once is sent when there is room."""
    house = house_of()
    with Line(house.path) as line:
        line.send(framed(b"x"))
        house.turn(house.bodies)
        house.store(answer=b"a" * 3_000_000)
        line.socket.setblocking(False)
        got = 0
        while got < 3_000_000:
            try:
                got += len(line.socket.recv(1 << 20))
            except BlockingIOError:
                house.turn()


def test_the_oldest_idle_line_gives_way(house_of: Callable[..., House]) -> None:
    """At the bound, who was idle for a minute is closed for who comes."""
    house = house_of(connections=4, user_connections=4)
    lines = [Line(house.path) for _ in range(4)]
    house.turn(lambda: len(house.connections) == 4)
    house.later(61_000)
    lines[0].send(framed(b"x"))
    house.turn(house.bodies)
    with Line(house.path) as late:
        late.send(framed(b"late"))
        house.turn(lambda: b"late" in house.bodies())
        assert lines[1].is_closed()
    assert house.tallies.evicted == 1
    for line in lines:
        line.close()


def test_who_has_something_under_way_does_not_give_way(house_of: Callable[..., House]) -> None:
    """Half of a frame, or one that waits to be stored, keeps its line, however old."""
    house = house_of(connections=3, user_connections=3, frame_ms=600_000)
    half, waits, idle = lines = [Line(house.path) for _ in range(3)]
    half.send(framed(b"half")[:5])
    waits.send(framed(b"waits"))
    house.turn(lambda: len(house.connections) == 3 and house.bodies() == [b"waits"])
    house.later(61_000)
    with Line(house.path) as late:
        late.send(framed(b"late"))
        house.turn(lambda: b"late" in house.bodies())
        assert idle.is_closed()
        half.send(framed(b"half")[5:])
        house.turn(lambda: b"half" in house.bodies())
    assert not house.codes()
    assert house.tallies.evicted == 1
    for line in lines:
        line.close()


def test_a_user_at_the_bound_gives_way_to_itself(house_of: Callable[..., House]) -> None:
    """Its own line that is idle the longest goes, and who comes may go on speaking."""
    house = house_of(connections=10, user_connections=2)
    lines = [Line(house.path) for _ in range(2)]
    house.turn(lambda: len(house.connections) == 2)
    house.later(61_000)
    with Line(house.path) as late:
        late.send(framed(b"one"))
        house.turn(house.bodies)
        late.send(framed(b"two"))
        house.turn(lambda: house.bodies() == [b"one", b"two"])
    assert lines[0].is_closed()
    assert (house.tallies.evicted, house.tallies.over_quota) == (1, 0)
    for line in lines:
        line.close()


def test_over_the_bound_they_wait_in_line(house_of: Callable[..., House]) -> None:
    """Where nobody gives way, further ones wait and lose nothing."""
    house = house_of(connections=2, user_connections=2)
    lines = [Line(house.path) for _ in range(3)]
    for number, line in enumerate(lines):
        line.send(framed(b"%d" % number))
    house.turn(lambda: len(house.bodies()) == 2)
    house.turn()
    assert len(house.bodies()) == 2
    lines[0].close()
    house.store()
    house.turn(lambda: house.bodies() == [b"2"])
    for line in lines:
        line.close()


def test_a_user_over_the_bound_may_say_what_it_has_said(house_of: Callable[..., House]) -> None:
    """One user can't take all places; what was sent already is read, and then it is over."""
    house = house_of(connections=10, user_connections=2)
    lines = [Line(house.path) for _ in range(3)]
    lines[2].send(framed(b"x"))
    house.turn(house.bodies)
    house.turn()
    with pytest.raises(BrokenPipeError):
        lines[2].send(framed(b"y"))
    assert house.bodies() == [b"x"]
    assert house.tallies.over_quota == 1
    for line in lines:
        line.close()


def test_no_descriptor_is_a_pause_and_no_end(
    house_of: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    """EMFILE: who waits is let in later, with what it has sent."""
    house = house_of()
    real, left = socket.socket.accept, [3]

    def accept(one: socket.socket) -> tuple[socket.socket, object]:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EMFILE, "too many open files")
        return real(one)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with Line(house.path) as line:
        line.send(framed(b"x"))
        house.turn(lambda: house.tallies.scarcities == 1)
        house.turn(house.bodies)
    assert house.tallies.scarcities == 3


def test_our_own_fault_ends_one_connection(house_of: Callable[..., House]) -> None:
    """A bug that one connection meets is counted, and harms no other."""
    house = house_of()
    with Line(house.path) as bad, Line(house.path) as good:
        bad.send(framed(b"bug"))
        house.turn(lambda: house.tallies.faults == 1)
        assert bad.is_closed()
        good.send(framed(b"x"))
        house.turn(house.bodies)
    assert house.connections.waiting == 1
    assert house.connections.is_waited_for


def test_draining_reads_what_was_written_and_nothing_more(house_of: Callable[..., House]) -> None:
    """Bytes in the sockets and connections in the kernel's line are all taken; then writes fail."""
    house = house_of()
    lines = [Line(house.path) for _ in range(5)]
    house.turn(lambda: len(house.connections) == 5)
    lines.append(Line(house.path))  # still in the kernel's line
    for number, line in enumerate(lines):
        line.send(framed(b"%d" % number))
    lines[0].send(b"\0\0")
    house.listener.withdraw()
    house.connections.drain()
    assert house.door.close_when_empty()
    house.turn(lambda: not house.connections.unread)
    assert sorted(house.bodies()) == [b"%d" % number for number in range(6)]
    assert house.codes() == ["FRAME_CUT"]
    for line in lines:
        with pytest.raises(BrokenPipeError):
            line.send(framed(b"y"))
    house.store(answer=b"stored")
    house.turn(lambda: len(house.connections) == 0)
    assert lines[5].socket.recv(100) == b"stored"
    for line in lines:
        line.close()
