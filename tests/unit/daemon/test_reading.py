# SPDX-License-Identifier: Apache-2.0
"""What is said of frames that came in together, whoever reads and states them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.frames import body
from tests.ledgers import NOON_MS
from tests.portions import TANGO, TERMS, here, mixed_bodies, stop, unusual_bodies, usual_bodies

from tallystick.daemon import reading as module
from tallystick.daemon.attested import ArrivedFrame, AttestedFrame, StatedFrame
from tallystick.daemon.connection import Account, Arrived, Connection
from tallystick.daemon.drafting_ahead import DraftingAhead
from tallystick.daemon.losses import Losses
from tallystick.daemon.peer import attest
from tallystick.daemon.portion import Portion
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.reading import Outcomes, Reading, asks
from tallystick.daemon.tallies import Tallies
from tallystick.errors import FrameRefused
from tallystick.model.frame import Refusal, parse_frame


class Desk:
    """Somebody who reads what comes in on one connection."""

    def __init__(self, ahead: DraftingAhead | None = None) -> None:
        self.tallies, self.losses = Tallies(), Losses()
        self.reading = Reading(self.losses, self.tallies, ahead)
        one, self._there = socket.socketpair()
        self.connection = Connection(one, attest(one), Account(0), 0)
        self.frames: list[ArrivedFrame] = []

    def arrived(self, *bodies: bytes, fault: FrameRefused | None = None) -> Arrived:
        """Return what comes in together."""
        return Arrived(self.connection, [*bodies], NOON_MS * 1_000_000, fault)

    def prepared(self, *bodies: bytes) -> Arrived:
        """Return it when it was handed over."""
        deadline = time.monotonic() + 20
        while True:
            arrived = self.arrived(*bodies)
            self.reading.prepare(arrived)
            if arrived.asked is not None:
                return arrived
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def read(self, *bodies: bytes, fault: FrameRefused | None = None) -> Outcomes:
        """Read what comes in here."""
        return self.reading.read(self.arrived(*bodies, fault=fault), self.frames)

    def told(self) -> dict[str, int]:
        """Return what was noted as lost, by reason."""
        taken = self.losses.take()
        return {} if taken is None else dict(taken[0])

    def close(self) -> None:
        self.connection.close()
        self._there.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    one = Desk()
    yield one
    one.close()


@pytest.fixture
def ahead() -> Iterator[DraftingAhead]:
    names = PrincipalNames("linux", lookup=lambda uid: f"user{uid}")
    names.principal(os.getuid())
    one = DraftingAhead(TERMS, names)
    yield one
    one.close()


def test_frames_have_their_places(desk: Desk) -> None:
    """Behind those that are there; who asks is known, and so is what was late."""
    assert desk.read(body(ack=True), body()) == [(True, 0), (False, 1)]
    assert desk.read(body(late=True)) == [(False, 2)]
    assert [type(one) for one in desk.frames] == [AttestedFrame] * 3
    last = desk.frames[2]
    assert isinstance(last, AttestedFrame)
    assert (last.late, last.is_parsed, last.received_ns) == (True, True, NOON_MS * 1_000_000)
    assert last.peer == desk.connection.attestation
    assert desk.connection.asks
    assert (desk.tallies.frames, desk.tallies.late) == (3, 1)
    assert not desk.losses


def test_what_is_refused_is_counted_with_what_it_tells(desk: Desk) -> None:
    """Each by its code; losses that it tells of are not told again by its emitter."""
    outcomes = desk.read(b"junk", body(v="2", ack=True, drop_count=3), body())
    codes = [one.code if isinstance(one, Refusal) else one for _, one in outcomes]
    assert [asked for asked, _ in outcomes] == [False, True, False]
    assert codes == ["FRAME_JSON", "FRAME_VERSION", 0]
    assert desk.tallies.rejected == {"FRAME_JSON": 1, "FRAME_VERSION": 1}
    assert desk.told() == {"CLAIMED_BY_EMITTER": 3, "FRAME_JSON": 1, "FRAME_VERSION": 1}
    assert desk.tallies.frames == 3


def test_what_stands_behind_the_last_frame_is_counted(desk: Desk) -> None:
    """Half a frame makes no receipt, and no outcome."""
    fault = FrameRefused("FRAME_CUT", "on purpose")
    assert desk.read(body(), fault=fault) == [(False, 0)]
    assert desk.read(fault=fault) == []
    assert desk.tallies.rejected == desk.told() == {"FRAME_CUT": 2}


def test_a_frame_that_our_code_stumbles_over_harms_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused as INTERNAL."""
    parse = parse_frame

    def stumbling(one: bytes) -> Any:
        if b"bug" in one:
            raise RuntimeError("on purpose")
        return parse(one)

    monkeypatch.setattr(module, "parse_frame", stumbling)
    outcomes = desk.read(body(), body(session_id="bug", ack=True, drop_count=2), body())
    refused = outcomes[1][1]
    assert isinstance(refused, Refusal)
    assert (outcomes[0], outcomes[1][0], outcomes[2]) == ((False, 0), True, (False, 1))
    assert refused.code == "INTERNAL"
    assert desk.tallies.faults == 1
    assert desk.told() == {"CLAIMED_BY_EMITTER": 2, "INTERNAL": 1}
    assert [one.msg for one in caplog.records] == ["frame_failed"]


def test_who_asks_is_known_of_what_can_not_be_read(desk: Desk) -> None:
    """By its own word where that can be read, else by what its line did before."""
    assert asks(b'{"ack":true}', desk.connection)
    for one in (b"{}", b'{"ack":1}', b"[]", b"junk", b"[" * 9999, b'"\xff"'):
        assert not asks(one, desk.connection)
    desk.connection.asks = True
    assert asks(b"junk", desk.connection)
    assert not asks(b"{}", desk.connection)


def portion_of_asked(arrived: Arrived) -> Portion:
    """Return what was handed over."""
    assert arrived.asked is not None
    return arrived.asked.portion


def test_outcomes_are_the_same_whoever_states(ahead: DraftingAhead, desk: Desk) -> None:
    """Stated, not stated and refused ones in turn: order, answers, places and counts."""
    there = Desk(ahead)
    there.reading.read(there.prepared(*usual_bodies(16)), there.frames)
    desk.read(*usual_bodies(16))
    bodies = [*mixed_bodies(), *unusual_bodies().values()] * 2
    arrived = there.prepared(*bodies)
    portion = portion_of_asked(arrived)
    outcomes = there.reading.read(arrived, there.frames)
    assert outcomes == desk.read(*bodies)
    assert there.told() == desk.told() != {}
    ours, theirs = desk.tallies.as_dict(), there.tallies.as_dict()
    assert ours == theirs
    assert desk.connection.asks and there.connection.asks
    assert {type(one) for one in there.frames} == {AttestedFrame, StatedFrame}
    usual = [one for one in here(portion) if one is not None]
    assert sum(isinstance(one, StatedFrame) for one in there.frames) == 16 + len(usual)
    for one, other in zip(there.frames, desk.frames, strict=True):
        assert isinstance(other, AttestedFrame)
        whole = one.attested() if isinstance(one, StatedFrame) else one
        assert (whole.frame, whole.received_ns, whole.late) == (
            other.frame, other.received_ns, other.late,
        )  # fmt: skip
    there.close()


def test_who_asks_is_known_of_what_was_stated(ahead: DraftingAhead) -> None:
    """Junk behind it is answered, as it is behind a frame that was read here."""
    desk = Desk(ahead)
    desk.reading.read(desk.prepared(*usual_bodies(16, ack=False)), desk.frames)
    assert desk.arrived().connection.asks is False
    outcomes = desk.reading.read(desk.prepared(*usual_bodies(16, ack=True), b"junk"), desk.frames)
    assert {type(one) for one in desk.frames} == {StatedFrame}
    assert desk.connection.asks is True
    assert [asked for asked, _ in outcomes] == [True] * 17
    desk.close()


def test_where_the_process_is_lost_all_is_read_here(ahead: DraftingAhead, desk: Desk) -> None:
    """Of what it was asked each frame is read once, and nothing is counted twice."""
    there = Desk(ahead)
    arrived = [there.prepared(*mixed_bodies()) for _ in range(2)]
    pid = ahead.pid
    assert pid is not None
    stop(pid)
    arrived += [there.prepared(*mixed_bodies()) for _ in range(2)]
    os.kill(pid, signal.SIGKILL)
    for one in arrived:
        assert there.reading.read(one, there.frames) == desk.read(*mixed_bodies())
    assert isinstance(there.frames[-1], AttestedFrame)
    assert there.told() == desk.told()
    assert there.tallies.as_dict() == desk.tallies.as_dict()
    there.close()


def test_other_terms_hold_for_what_waits(ahead: DraftingAhead) -> None:
    """What was stated by the old ones before its turn is read here."""
    desk = Desk(ahead)
    arrived = desk.prepared(*usual_bodies(20))
    ahead.take(TANGO)
    desk.reading.read(arrived, desk.frames)
    assert [type(one) for one in desk.frames] == [AttestedFrame] * 20
    assert ahead.lost == 0
    desk.close()


def test_few_frames_are_read_here(ahead: DraftingAhead) -> None:
    """Nobody is asked; so it is without anybody to ask."""
    for desk in (Desk(ahead), Desk()):
        arrived = desk.arrived(body())
        desk.reading.prepare(arrived)
        assert arrived.asked is None
        assert desk.reading.read(arrived, desk.frames) == [(False, 0)]
        desk.close()
