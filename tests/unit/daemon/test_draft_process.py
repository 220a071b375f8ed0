# SPDX-License-Identifier: Apache-2.0
"""A second process that states frames: what it says, and everything that may become of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.frames import body
from tests.portions import TANGO, TERMS, here, mixed_bodies, portion_of, stop, usual_bodies

from tallystick.daemon import draft_process
from tallystick.daemon.draft_process import PROGRAM, DraftProcess, Lost
from tallystick.daemon.terms import Terms, draft_settings_of

USUAL = usual_bodies(32)


@contextmanager
def running(
    program: str = PROGRAM, *, terms: Terms = TERMS, begins: bool = True
) -> Iterator[DraftProcess]:
    """Start a process, wait until it has begun, and look that nothing is left of it."""
    process = DraftProcess(terms, program)
    try:
        if begins:
            begin(process)
        yield process
    finally:
        process.end()
    assert not Path(f"/proc/{process.pid}").exists()


def begin(process: DraftProcess) -> None:
    """Wait until it has begun."""
    deadline = time.monotonic() + 20
    while not process.begin():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def ask_on(process: DraftProcess) -> None:
    """Ask until that can't be done any more."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        process.ask(portion_of(USUAL))


def descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def quickly(work: Callable[[], object]) -> None:
    """Do something that must not wait for anybody."""
    began = time.monotonic()
    work()
    assert time.monotonic() - began < 5


def test_portions_say_what_they_would_say_here() -> None:
    """Usual frames and strange ones, many portions at once, answered in their order."""
    with running() as process:
        portions = [portion_of((mixed_bodies(), USUAL)[at % 2], number=at) for at in range(20)]
        for one in portions:
            process.ask(one)
        assert process.waiting == 20
        for one in portions:
            stated = process.answer(one)
            assert stated == here(one, like=stated)
        assert process.waiting == 0
        assert process.begin()


def test_it_states_by_its_own_terms() -> None:
    """Those that it was begun with."""
    with running(terms=TANGO) as process:
        portion = portion_of([body(error="tango 12"), body(error="tango")])
        process.ask(portion)
        secret, other = process.answer(portion)
        assert secret is None
        assert [other] == here(portion_of([body(error="tango")]), draft_settings_of(TANGO), [other])


def test_more_than_the_pipe_holds_waits_here() -> None:
    """While it is stopped nobody waits in `ask`; then all is answered in order."""
    large = [body(input={"text": "x" * 200_000})]
    with running() as process:
        stop(process.pid)
        portions = [portion_of(USUAL if at % 2 else large, number=at) for at in range(40)]
        for one in portions:
            quickly(lambda one=one: process.ask(one))  # type: ignore[misc]
        assert process.waiting == 40
        assert not process._answers
        os.kill(process.pid, signal.SIGCONT)
        assert [len(process.answer(one)) for one in portions] == [1, 32] * 20


def test_more_answers_than_the_pipe_holds_wait_there() -> None:
    """Nobody reads for long: neither of the two is stuck, and nothing is lost."""
    many = usual_bodies(400)
    with running() as process:
        portions = [portion_of(many, number=at) for at in range(8)]
        for one in portions:
            quickly(lambda one=one: process.ask(one))  # type: ignore[misc]
        time.sleep(0.5)
        for one in portions:
            stated = process.answer(one)
            assert None not in stated
            assert len(stated) == 400


def test_one_that_is_killed_is_lost_at_once() -> None:
    """Whoever waits is told, and so is who asks later."""
    with running() as process:
        stop(process.pid)
        portions = [portion_of(USUAL, number=at) for at in range(3)]
        for one in portions:
            process.ask(one)
        os.kill(process.pid, signal.SIGKILL)
        for one in portions:
            with pytest.raises(Lost, match=r"it is gone|it takes no more") as told:
                process.answer(one)
            assert not told.value.is_broken
        with pytest.raises(Lost, match="it takes no more"):
            ask_on(process)  # the system closes its ends one after the other


def test_one_that_is_killed_does_not_begin() -> None:
    """Who looks whether it has begun is told."""
    with running(begins=False) as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(Lost, match=r"it is gone|it takes no more"):
            begin(process)


def test_one_that_does_nothing_is_lost_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stopped it has not stopped the daemon."""
    monkeypatch.setattr(draft_process, "DRAFT_PATIENCE_MS", 200)
    with running() as process:
        portion = portion_of(USUAL)
        stop(process.pid)
        process.ask(portion)
        began = time.monotonic()
        with pytest.raises(Lost, match="it does nothing") as told:
            process.answer(portion)
        assert 0.2 <= time.monotonic() - began < 5
        assert not told.value.is_broken


def test_one_that_works_on_is_given_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as anything comes or goes, it is not lost: one that stands still for less is not."""
    monkeypatch.setattr(draft_process, "DRAFT_PATIENCE_MS", 2000)
    with running() as process:
        portion = portion_of(USUAL)
        for _ in range(3):
            stop(process.pid)
            process.ask(portion)
            goes_on = threading.Timer(0.7, os.kill, (process.pid, signal.SIGCONT))
            goes_on.start()
            assert len(process.answer(portion)) == 32
            goes_on.join()


def test_one_that_has_not_begun_is_not_waited_for() -> None:
    """To look at it takes no time; when it goes on it begins."""
    with running(begins=False) as process:
        stop(process.pid)
        quickly(lambda: [process.begin() for _ in range(50)])
        assert not process.is_ready
        os.kill(process.pid, signal.SIGCONT)
        begin(process)
        assert process.is_ready


def test_its_end_leaves_nobody_waiting() -> None:
    """One thread waits for an answer, another one ends it: again and again, nothing is left."""
    told: list[str] = []

    def wait(process: DraftProcess) -> None:
        try:
            process.answer(portion_of(USUAL))
        except Lost as fault:
            told.append(str(fault))

    before = descriptors()
    for at in range(20):
        with running() as process:
            stop(process.pid)
            process.ask(portion_of(USUAL))
            thread = threading.Thread(target=wait, args=(process,))
            thread.start()
            time.sleep(0.002 * (at % 5))
            process.end()
            thread.join(20)
            assert not thread.is_alive()
            assert process.is_over
            with pytest.raises(Lost, match="it was ended"):
                process.ask(portion_of(USUAL))
            with pytest.raises(Lost, match="it was ended"):
                process.answer(portion_of(USUAL))
            process.end()
        assert descriptors() == before
    assert len(told) == 20
    assert {*told} <= {"it is gone", "it was ended"}


def test_its_end_may_come_at_any_time() -> None:
    """While answers come in and questions go out: who asks and who waits is told, and all closes.

    What was answered before its end is answered.
    """
    before = descriptors()
    for at in range(12):
        with running() as process:
            told: list[str] = []

            def asks(process: DraftProcess = process, told: list[str] = told) -> None:
                try:
                    while True:
                        process.ask(portion_of(USUAL))
                        time.sleep(0.0005)
                except Lost as fault:
                    told.append(str(fault))

            def waits(process: DraftProcess = process, told: list[str] = told) -> None:
                try:
                    while True:
                        assert len(process.answer(portion_of(USUAL))) == 32
                except Lost as fault:
                    told.append(str(fault))

            threads = [threading.Thread(target=one) for one in (asks, waits)]
            for one in threads:
                one.start()
            time.sleep(0.02 + 0.003 * at)
            process.end()
            for one in threads:
                one.join(20)
                assert not one.is_alive()
            assert len(told) == 2
            assert {*told} <= {"it is gone", "it was ended"}
        assert descriptors() == before


_PROGRAM = """
from tallystick.daemon.draft_program import _stated
from tallystick.daemon.batch import ordered_ids
from tallystick.daemon.portion import Answer, encoded, new_gap, portion_of
from tallystick.daemon.terms import draft_settings_of, terms_of
from tallystick.verify.pieces import framed, pieces

def serve(questions, answers):
    def say(piece):
        answers.write(framed(piece)); answers.flush()
    asked = pieces(questions)
    settings = draft_settings_of(terms_of(next(asked)))
    def stated(portion):
        gap, ids = new_gap(), ordered_ids(portion.moment_ms)
        return [_stated(one, portion, settings, gap, ids) for one in portion.bodies]
    {}
"""
_EACH = """say(b"")
    for portion in map(portion_of, asked):
        {}"""
STRANGE = {
    "says nothing and ends": ("pass", "it is gone", False),
    "begins and ends": ("say(b'')", "it is gone|it takes no more", False),
    "begins with something else": ("say(b'x'); list(asked)", "it begins with something", True),
    "announces gigabytes": (
        "answers.write(b'\\xff' * 9); answers.flush(); list(asked)", "its answer is none", True,
    ),
    "answers too early": ("say(b''); say(b''); list(asked)", "another form", True),
    "answers twice": (
        _EACH.format("p = encoded(Answer(portion.number, stated(portion))); say(p); say(p)"),
        "to something else", True,
    ),
    "answers another portion": (
        _EACH.format("say(encoded(Answer(portion.number + 1, stated(portion))))"),
        "to something else", True,
    ),
    "leaves one out": (
        _EACH.format("say(encoded(Answer(portion.number, stated(portion)[1:])))"),
        "to something else", True,
    ),
    "says junk": (_EACH.format("say(b'junk')"), "another form", True),
    "announces too much": (
        _EACH.format("answers.write((1 << 26).to_bytes(4)); answers.flush()"), "bytes", True,
    ),
    "ends in the middle": (
        _EACH.format("answers.write(b'\\0\\0\\1\\0half'); answers.flush(); return"),
        "it is gone", False,
    ),
}  # fmt: skip


def begin_and_answer(process: DraftProcess) -> None:
    """Ask some portions, and wait for what is said."""
    begin(process)
    for at in range(3):
        process.ask(portion_of(USUAL, number=at))
    for at in range(3):
        process.answer(portion_of(USUAL, number=at))


@pytest.mark.parametrize("name", STRANGE)
def test_strange_answers_are_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of them is taken; whoever waits is told why."""
    program, reason, is_broken = STRANGE[name]
    (tmp_path / "strange_drafter.py").write_text(_PROGRAM.format(program))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with running("strange_drafter", begins=False) as process:
        with pytest.raises(Lost, match=reason) as told:
            begin_and_answer(process)
        assert told.value.is_broken is is_broken


def test_one_that_can_not_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wanted it hears of it as of any other thing that the system refuses."""
    before = descriptors()
    monkeypatch.setattr("sys.executable", "/nothing/python3")
    with pytest.raises(OSError, match="nothing"):
        DraftProcess(TERMS)
    assert descriptors() == before
