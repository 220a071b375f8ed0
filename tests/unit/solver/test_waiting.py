# SPDX-License-Identifier: Apache-2.0
"""The queue: durable before it is acknowledged, in order, and never twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.solving import body, intent, solver

from tallystick.errors import DurableError, LimitError
from tallystick.solver.attempts import next_attempt
from tallystick.solver.run import run_intent
from tallystick.solver.setup import Solver
from tallystick.solver.waiting import AlreadyKnown, Waiting, Waitlist


def _line(made: Solver, room: int = 10) -> Waitlist:
    return Waitlist(made.home, room, lambda: 0)


def _accept(line: Waitlist, nonce: str) -> Waiting:
    return line.accept(intent(nonce=nonce), body(nonce=nonce), "acme")


def test_intents_are_taken_in_order(tmp_path: Path) -> None:
    """First in, first out, with the very bytes that came."""
    line = _line(solver(tmp_path))
    for nonce in "abc":
        _accept(line, nonce)
    assert len(line) == 3
    assert line.place_of(intent(nonce="b").intent_id) is not None
    for nonce in "abc":
        taken = line.take(0)
        assert taken is not None
        assert taken[1] == body(nonce=nonce)
        assert taken[0].tenant == "acme"
        # Until its run was received, it is told of as one that waits.
        assert line.place_of(taken[0].intent_id) == (0, taken[0])
        line.begun(taken[0])
        assert line.place_of(taken[0].intent_id) is None
    assert line.take(0.01) is None


def test_an_intent_waits_once(tmp_path: Path) -> None:
    """The same intent is refused while it waits, while it runs, and when it has run."""
    made = solver(tmp_path)
    line = _line(made)
    _accept(line, "a")
    with pytest.raises(AlreadyKnown):
        _accept(line, "a")
    taken = line.take(0)
    assert taken is not None
    line.begun(taken[0])
    with pytest.raises(AlreadyKnown):
        _accept(line, "a")
    run_intent(made, taken[1])
    line.ended(taken[0])
    with pytest.raises(AlreadyKnown):
        _accept(line, "a")


def test_room_is_bounded(tmp_path: Path) -> None:
    """A full queue takes nothing, and keeps what it has."""
    line = _line(solver(tmp_path), room=1)
    _accept(line, "a")
    assert not line.has_room
    with pytest.raises(LimitError, match="full"):
        _accept(line, "b")
    assert len(os.listdir(solver(tmp_path).home.queue)) == 1


def test_what_waits_survives_a_restart(tmp_path: Path) -> None:
    """Another process finds all that was acknowledged, in its order; torn files are left out."""
    made = solver(tmp_path)
    line = _line(made)
    for nonce in "abc":
        _accept(line, nonce)
    assert line.take(0) is not None  # taken, and the process dies
    Path(made.home.queue, "000000000099-" + "0" * 64).write_bytes(b"{")
    Path(made.home.queue, ".0123.tmp").write_bytes(b"")
    again = _line(made)
    assert len(again) == 3
    taken = again.take(0)
    assert taken is not None
    assert taken[1] == body(nonce="a")
    _accept(again, "d")
    assert len(os.listdir(made.home.queue)) == 6


def test_what_has_begun_is_not_begun_again(tmp_path: Path) -> None:
    """A crash between a run's first state and the removal of its file is seen at the start."""
    made = solver(tmp_path)
    line = _line(made)
    _accept(line, "a")
    taken = line.take(0)
    assert taken is not None
    run_intent(made, taken[1])
    assert len(_line(made)) == 0
    assert os.listdir(made.home.queue) == []


def test_a_refused_intent_may_wait_again(tmp_path: Path) -> None:
    """A run that it had before it came does not count."""
    made = solver(tmp_path)
    refused = body(jobType="NONE")
    assert run_intent(made, refused).status == "REFUSED"
    line = _line(made)
    line.accept(intent(jobType="NONE"), refused, "acme")
    assert len(_line(made)) == 1


def test_a_closed_queue_gives_nothing(tmp_path: Path) -> None:
    """What waits stays on disk."""
    made = solver(tmp_path)
    line = _line(made)
    _accept(line, "a")
    line.close()
    assert line.is_closed
    assert line.take(10) is None
    assert not line.has_room
    assert len(_line(made)) == 1


def test_what_could_not_begin_waits_again(tmp_path: Path) -> None:
    """An intent that is put back is given again."""
    line = _line(solver(tmp_path))
    _accept(line, "a")
    first = line.take(0)
    assert first is not None
    line.put_back(first[0])
    assert line.take(0) == first


def test_what_can_not_be_kept_is_not_taken(tmp_path: Path) -> None:
    """A failure of the disk is told, and the intent may come again."""
    made = solver(tmp_path)
    line = _line(made)
    os.rmdir(made.home.queue)
    with pytest.raises(DurableError):
        _accept(line, "a")
    os.mkdir(made.home.queue)
    _accept(line, "a")


def test_who_is_refused_without_end_waits_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intent that has had all its runs is not taken, and one with another nonce is."""
    made = solver(tmp_path)
    line = _line(made)
    monkeypatch.setattr("tallystick.solver.waiting.INTENT_ATTEMPTS_MAX", 2)
    for _ in range(2):
        waiting = _accept(line, "a")
        next_attempt(made.home, waiting.intent_id, "2026-01-01T00:00:00.000Z")
        assert line.take(0) is not None
        line.ended(waiting)
    with pytest.raises(AlreadyKnown, match="another nonce"):
        _accept(line, "a")
    assert _accept(line, "b").attempts == 0
