# SPDX-License-Identifier: Apache-2.0
"""One connection: what it does when the other end goes, is slow, or says too much."""

from __future__ import annotations

import time

import pytest
from tests.frame_listener import FrameListener

from tallystick import EmitTransportError
from tallystick.deliver.daemon_line import BrokenLine, DaemonLine
from tallystick.model.framing import framed


def soon() -> float:
    return time.monotonic() + 1


def test_a_line_is_dialled_and_closed() -> None:
    """It is open between the two, and closing twice is fine."""
    with FrameListener() as listener:
        line = DaemonLine(listener.path)
        states = [line.is_open]
        line.dial()
        states.append(line.is_open)
        assert not line.has_lost_the_other_end()
        line.close()
        line.close()
        assert [*states, line.is_open] == [False, True, False]


@pytest.mark.parametrize("path", ["/nowhere/at/all", "x" * 300, "a\0b"])
def test_what_can_not_be_dialled(path: str) -> None:
    """No such file, a path too long, a path that is none: all are failures of transport."""
    with pytest.raises(EmitTransportError):
        DaemonLine(path).dial()


def test_an_end_is_noticed_before_writing() -> None:
    """A closed other end with nothing unread is no loss; one with unread bytes is."""
    with FrameListener(reads=False) as listener:
        line = DaemonLine(listener.path)
        line.dial()
        listener.accept_one().close()
        assert not line.has_lost_the_other_end()
        assert not line.is_open
        line.dial()
        line.write(framed(b"{}"), soon())
        listener.accept_one().close()
        assert line.has_lost_the_other_end()


def test_what_nobody_asked_for_ends_the_line() -> None:
    """Bytes that wait before a frame is sent would be taken for its answer."""
    with FrameListener(reads=False) as listener:
        line = DaemonLine(listener.path)
        line.dial()
        listener.accept_one().sendall(b"\x00")
        assert not line.has_lost_the_other_end()
        assert not line.is_open


def test_writing_to_nobody_is_safe_to_repeat() -> None:
    """An end that is noticed while writing has taken no whole frame."""
    with FrameListener(reads=False) as listener:
        line = DaemonLine(listener.path)
        line.dial()
        listener.accept_one().close()
        with pytest.raises(BrokenLine):
            line.write(framed(b"{}"), soon())
        assert not line.is_open


def test_a_frame_that_is_cut_off_ends_the_line() -> None:
    """After a part of a frame nothing else may follow; after nothing, the line is kept."""
    with FrameListener(reads=False) as listener:
        line = DaemonLine(listener.path)
        line.dial()
        listener.accept_one()
        with pytest.raises(EmitTransportError, match="no more"):
            line.write(b"x" * 1_000_000, time.monotonic() + 0.05)
        assert not line.is_open


@pytest.mark.parametrize("answer", [b"", b"\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x05ab"])
def test_half_an_answer_is_none(answer: bytes) -> None:
    """An answer that ends early, or is of impossible length, leaves the outcome open."""
    with FrameListener(reads=False) as listener:
        line = DaemonLine(listener.path)
        line.dial()
        other = listener.accept_one()
        other.sendall(answer)
        other.close()
        with pytest.raises(EmitTransportError) as caught:
            line.read_body(soon())
        assert caught.value.may_be_stored
        assert not line.is_open


@pytest.mark.parametrize("size", [500, 60_000])
def test_a_full_line_waits_and_stays(size: int) -> None:
    """No frame is cut while the other end reads nothing: it waits, and looking waits for nobody."""
    with FrameListener(reads=False) as listener:
        line = DaemonLine(listener.path)
        line.dial()
        frame = framed(b"x" * size)
        began = time.monotonic()
        for _ in range(5000):
            began = time.monotonic()
            try:
                line.write(frame, began + 0.1)
            except EmitTransportError:
                break
        assert 0.09 < time.monotonic() - began < 10
        began = time.monotonic()
        assert not line.has_lost_the_other_end()
        assert time.monotonic() - began < 10
        assert line.is_open
        line.close()
