# SPDX-License-Identifier: Apache-2.0
"""Many frames under way at once: answers in order, errors in their places, nothing lost unsaid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.frame_listener import FrameListener

from tallystick import Acknowledged, DaemonEmitter, EmitError, EmitTransportError, FrameRefused
from tallystick.deliver.volley import volley
from tallystick.limits import EMITTER_UNANSWERED_MAX


def many(count: int) -> list[dict[str, object]]:
    """Return the members of so many frames."""
    return [{"tool": {"name": f"t{number}"}, "input": {"n": number}} for number in range(count)]


def test_all_are_acknowledged_in_order() -> None:
    """More than fit ahead of their answers; each answer is that of its frame; one connection."""
    count = 2 * EMITTER_UNANSWERED_MAX + 7
    with FrameListener() as listener, DaemonEmitter(socket_path=listener.path) as emitter:
        answers = emitter.emit_many(many(count))
        assert [one.sequence for one in answers if isinstance(one, Acknowledged)] == list(
            range(1, count + 1)
        )
        assert [one.tool.name for one in listener.frames] == [f"t{at}" for at in range(count)]
        assert {one.session_id for one in listener.frames} == {emitter.session_id}
        assert (listener.connections, emitter.drops) == (1, 0)
        assert emitter.emit_many([]) == []


def test_a_bad_frame_harms_no_other() -> None:
    """What the caller got wrong stands in its place, and counts as a drop."""
    with FrameListener() as listener, DaemonEmitter(socket_path=listener.path) as emitter:
        frames = many(3)
        frames[1]["tool"] = {}
        first, second, third = emitter.emit_many(frames)
        assert isinstance(first, Acknowledged) and isinstance(third, Acknowledged)
        assert isinstance(second, FrameRefused)
        assert emitter.drops == 1
        emitter.emit_many(many(2))
        assert [one.drop_count for one in listener.frames] == [0, 0, 1, 0]
        assert emitter.drops == 0


def test_without_a_daemon_all_are_errors(tmp_path: Path) -> None:
    """None is raised, each is counted; with a spool, each is kept and delivered later."""
    path = str(tmp_path / "none.sock")
    emitter = DaemonEmitter(socket_path=path)
    assert [type(one) for one in emitter.emit_many(many(3))] == [EmitTransportError] * 3
    assert emitter.drops == 3
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o700)
    with DaemonEmitter(socket_path=path, spool=spool) as keeping:
        answers = keeping.emit_many(many(3))
        assert all("kept" in str(one) for one in answers)
        assert keeping.drops == 0
        with FrameListener(path) as listener:
            assert keeping.flush() == 0
            assert [one.late for one in listener.wait(3)] == [True] * 3


def test_where_the_line_ends_it_is_said_what_may_be_stored() -> None:
    """Sent and not answered is one thing, not sent another."""
    answers = iter(["a", "b"])

    def send(frame: bytes, is_first: bool) -> None:
        if frame == b"5":
            raise EmitTransportError("on purpose")

    found, sent, ended = volley([b"%d" % at for at in range(9)], send, lambda: next(answers))
    assert (found, sent, str(ended)) == ([], 5, "on purpose")


def test_a_daemon_that_falls_silent() -> None:
    """Its frames may be stored: they are not sent again, and each says so."""
    with (
        FrameListener() as listener,
        DaemonEmitter(socket_path=listener.path, answer_timeout_ms=100) as emitter,
    ):
        listener.is_mute = True
        answers = emitter.emit_many(many(5))
        assert all(isinstance(one, EmitTransportError) and one.may_be_stored for one in answers)
        assert emitter.drops == 5


def test_a_closed_emitter_takes_nothing() -> None:
    """As with one frame, this is the caller's mistake."""
    emitter = DaemonEmitter(socket_path=os.devnull)
    emitter.close()
    with pytest.raises(EmitError, match="closed"):
        emitter.emit_many(many(1))
