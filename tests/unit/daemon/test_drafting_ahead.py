# SPDX-License-Identifier: Apache-2.0
"""Who states frames, and that the statements are the same whoever does."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.frames import body
from tests.ledgers import NOON_MS
from tests.portions import TANGO, TERMS, here, mixed_bodies, stop, usual_bodies

from tallystick.daemon import draft_process, drafting_ahead
from tallystick.daemon.connection import Account, Arrived, Connection
from tallystick.daemon.draft_process import Asked, DraftProcess
from tallystick.daemon.drafting_ahead import DraftingAhead
from tallystick.daemon.peer import attest
from tallystick.daemon.portion import Statement, state
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.terms import Terms
from tallystick.errors import SettingError
from tallystick.limits import (
    DRAFT_FRAMES_MIN,
    DRAFT_PATIENCE_MS,
    DRAFT_PAUSE_MS,
    DRAFT_PORTION_BYTES_MAX,
    DRAFT_PORTIONS_MAX,
)

USUAL = usual_bodies(32)


class Asking:
    """A connection whose frames are stated ahead, by a clock that the test sets."""

    def __init__(self, terms: Terms = TERMS, **more: Any) -> None:
        self.now_s = 0.0
        self.names = PrincipalNames("linux", lookup=lambda uid: f"user{uid}")
        self.names.principal(os.getuid())
        self.ahead = DraftingAhead(terms, self.names, clock=lambda: self.now_s, **more)
        self._pids: list[int] = []
        one, self._there = socket.socketpair()
        self.connection = Connection(one, attest(one), Account(0), 0)

    def arrived(self, bodies: list[bytes] = USUAL, moment_ms: int = NOON_MS) -> Arrived:
        """Return what comes in together."""
        return Arrived(self.connection, bodies, moment_ms * 1_000_000)

    def ask(self, bodies: list[bytes] = USUAL, moment_ms: int = NOON_MS) -> Asked | None:
        """Hand over what comes in."""
        asked = self.ahead.ask(self.arrived(bodies, moment_ms))
        if self.ahead.pid is not None and self.ahead.pid not in self._pids:
            self._pids.append(self.ahead.pid)
        return asked

    def asked(self, bodies: list[bytes] = USUAL, moment_ms: int = NOON_MS) -> Asked:
        """Do it until there is a process that takes it."""
        deadline = time.monotonic() + 20
        while (asked := self.ask(bodies, moment_ms)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return asked

    def statements(
        self, bodies: list[bytes] = USUAL, moment_ms: int = NOON_MS
    ) -> list[Statement | None]:
        """Have frames stated, and look that the same would be stated here."""
        asked = self.asked(bodies, moment_ms)
        found = self.ahead.statements(asked)
        assert found is not None
        assert [*found] == here(asked.portion, self.ahead._settings, found)
        return [*found]

    def begun(self) -> int:
        """Return the number of a process that has answered."""
        self.statements()
        pid = self.ahead.pid
        assert pid is not None
        return pid

    def close(self) -> None:
        """End all, and look that nothing is left."""
        self.ahead.close()
        self.connection.close()
        self._there.close()
        assert not [one for one in self._pids if Path(f"/proc/{one}").exists()]


@pytest.fixture
def asking() -> Iterator[Asking]:
    one = Asking()
    yield one
    one.close()


def test_few_frames_start_no_process(asking: Asking) -> None:
    """Nor do many bytes: what costs less to state than to ask is stated here."""
    assert asking.ask(USUAL[: DRAFT_FRAMES_MIN - 1]) is None
    large = body(input={"text": "x" * (DRAFT_PORTION_BYTES_MAX // 20)})
    assert asking.ask([large] * 20) is None
    assert asking.ahead.pid is None
    asking.ask(USUAL[:DRAFT_FRAMES_MIN])
    assert asking.ahead.pid is not None


def test_where_none_may_run_none_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """By our own word, or where this is no interpreter that could start one."""
    one = Asking(may_ask=False)
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    for asking in (one, Asking()):
        assert asking.ask() is None
        assert asking.ahead.pid is None
        assert asking.ahead.lost == 0
        asking.close()


def test_the_statements_are_the_same_whoever_states(asking: Asking) -> None:
    """Usual frames and unusual ones, several portions at once, in their order."""
    portions = [mixed_bodies(), USUAL, [b"junk"] * 20, mixed_bodies()[::-1]] * 5
    asking.begun()
    asked = [asking.asked(one, NOON_MS + at) for at, one in enumerate(portions)]
    assert [one.portion.moment_ms - NOON_MS for one in asked] == [*range(20)]
    for one in asked:
        found = asking.ahead.statements(one)
        assert found is not None
        assert [*found] == here(one.portion, like=found)
    assert asking.ahead.lost == 0


def test_who_sent_them_is_stated(asking: Asking) -> None:
    """The kernel's word, and the name of the user."""
    (stated, *_) = asking.statements()
    assert stated is not None
    assert b'"pid":%d' % os.getpid() in stated.before
    assert b'"did:user:user%d"' % os.getuid() in stated.after


def test_a_user_whose_name_is_not_known_is_waited_for_by_nobody() -> None:
    """Until a directory has answered, the frames are stated here."""
    asking, known = Asking(), threading.Event()
    asking.begun()
    lookup = asking.names._lookup
    asking.names._lookup = lambda uid: lookup(uid) if known.wait(20) else None
    asking.names.forget()
    began = time.monotonic()
    assert asking.ask() is None
    assert time.monotonic() - began < 5
    known.set()
    asking.statements()
    asking.close()


def test_no_moment_is_before_that_of_the_last_receipt(asking: Asking) -> None:
    """The clock may be set back, or have been ahead for a moment."""
    asking.begun()
    assert asking.asked(moment_ms=NOON_MS + 5).portion.moment_ms == NOON_MS + 5
    asking.ahead.issued_ms = NOON_MS + 7
    last = asking.asked(moment_ms=NOON_MS - 9000).portion
    assert last.moment_ms == NOON_MS + 7
    assert last.moment == "2026-03-10T12:00:00.007Z"
    asking.ahead.issued_ms = NOON_MS
    assert asking.asked(moment_ms=NOON_MS + 6).portion.moment_ms == NOON_MS + 6


def test_no_more_is_handed_over_than_may_wait(asking: Asking) -> None:
    """One that has much to do is left alone, and nobody waits; later it is asked again."""
    pid = asking.begun()
    stop(pid)
    large = [body(input={"text": "x" * 10_000})] * 16
    asked: list[Asked] = []
    began = time.monotonic()
    while (one := asking.ask(large)) is not None:
        asked.append(one)
    assert time.monotonic() - began < 20
    assert len(asked) == DRAFT_PORTIONS_MAX
    assert asking.ahead.pid == pid
    os.kill(pid, signal.SIGCONT)
    for one in asked:
        assert len(asking.ahead.statements(one) or ()) == 16
    assert asking.ask(large) is not None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_is_lost_costs_no_frame(
    asking: Asking,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing is said of what it was asked; it is told once, and the next begins after a pause."""
    pid = asking.begun()
    stop(pid)
    asked = [asking.asked() for _ in range(3)]
    with monkeypatch.context() as hasty:
        hasty.setattr(draft_process, "DRAFT_PATIENCE_MS", 200)
        os.kill(pid, number)
        assert [asking.ahead.statements(one) for one in asked] == [None] * 3
    assert asking.ask() is None
    assert asking.ahead.lost == 1
    assert asking.ahead.pid is None
    asking.now_s += DRAFT_PAUSE_MS / 1000 - 1
    assert asking.ask() is None
    assert asking.ahead.pid is None
    asking.now_s += 1
    assert asking.begun() != pid
    assert [one.msg for one in caplog.records] == ["drafter_lost"]


def test_who_asks_finds_the_loss_first(asking: Asking, caplog: pytest.LogCaptureFixture) -> None:
    """Two threads meet one that was killed: it is told once, and both do without."""
    pid = asking.begun()
    stop(pid)
    asked = asking.asked()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while asking.ask() is not None:
        assert time.monotonic() < deadline
    assert asking.ahead.statements(asked) is None
    assert [one.msg for one in caplog.records] == ["drafter_lost"]


def test_a_loss_that_the_asker_meets_ends_the_waiting(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    """One thread waits for what is said while the other one finds that nobody is there."""
    pid = asking.begun()
    stop(pid)
    asked, told = asking.asked(), list[Any]()
    thread = threading.Thread(target=lambda: told.append(asking.ahead.statements(asked)))
    thread.start()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while asking.ask() is not None:
        assert time.monotonic() < deadline
    thread.join(20)
    assert told == [None]
    assert asking.ahead.lost == 1
    assert [one.msg for one in caplog.records] == ["drafter_lost"]


def test_one_that_never_begins_is_lost(asking: Asking) -> None:
    """It is given more time than for an answer, and nobody waits meanwhile."""
    assert asking.ask() is None
    pid = asking.ahead.pid
    assert pid is not None
    stop(pid)
    asking.now_s += 4 * DRAFT_PATIENCE_MS / 1000
    assert asking.ask() is None
    assert asking.ahead.pid == pid
    asking.now_s += 1
    assert asking.ask() is None
    assert asking.ahead.lost == 1
    assert asking.ahead.pid is None


def test_one_that_can_not_be_started_is_tried_again_later(
    asking: Asking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the system refuses a process for now, this one states."""
    with monkeypatch.context() as without:
        without.setattr(sys, "executable", "/nothing/python3")
        assert asking.ask() is None
    assert asking.ask() is None
    assert asking.ahead.lost == 1
    assert asking.ahead.pid is None
    asking.now_s += DRAFT_PAUSE_MS / 1000
    asking.begun()
    assert [one.msg for one in caplog.records] == ["drafter_lost"]


def test_other_terms_hold_from_the_next_frame_on(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    """What was handed over already is stated anew, the next process knows them: that is no loss."""
    secret = usual_bodies(20, error="tango 12")
    pid = asking.begun()
    assert None not in asking.statements(secret)
    asked = asking.asked(secret)
    waits = asking.asked(secret)
    asking.ahead.take(TANGO)
    assert asking.ahead.statements(asked) is None
    assert asking.ahead.statements(waits) is None
    assert asking.statements(secret) == [None] * 20
    assert None not in asking.statements()
    assert asking.ahead.pid != pid
    asking.ahead.take(TERMS)
    assert None not in asking.statements(secret)
    assert (asking.ahead.lost, caplog.records) == (0, [])


def test_what_was_said_by_other_terms_is_not_taken(asking: Asking) -> None:
    """Also where it has come in already, and only waits for its turn."""
    asking.begun()
    first, second = asking.asked(), asking.asked()
    deadline = time.monotonic() + 20
    while len(first.process._answers) < 2:
        first.process._exchange(0.05)
        assert time.monotonic() < deadline
    assert asking.ahead.statements(first) is not None
    asking.ahead.take(TANGO)
    assert asking.ahead.statements(second) is None
    assert asking.ahead.lost == 0


def test_other_terms_while_somebody_waits(asking: Asking) -> None:
    """Who waits for what is stated by the old ones is told nothing, and at once."""
    for terms in (TANGO, TERMS) * 3:
        pid = asking.begun()
        stop(pid)
        asked, told = asking.asked(), list[Any]()

        def wait(asked: Asked = asked, told: list[Any] = told) -> None:
            told.append(asking.ahead.statements(asked))

        thread = threading.Thread(target=wait)
        thread.start()
        asking.ahead.take(terms)
        thread.join(20)
        assert told == [None]
    assert asking.ahead.lost == 0


def test_terms_that_are_refused_change_nothing(asking: Asking) -> None:
    """The process goes on by those that hold."""
    pid = asking.begun()
    terms = msgspec.structs.replace(TERMS, forensic_key=b"short")
    with pytest.raises(SettingError, match="forensic"):
        asking.ahead.take(terms)
    assert asking.begun() == pid


def test_behind_its_close_nobody_is_asked(asking: Asking) -> None:
    """What was handed over is said nothing of; no process is started, whatever time passes."""
    asking.begun()
    asked = asking.asked()
    asking.ahead.close()
    assert asking.ahead.statements(asked) is None
    asking.now_s += 10 * DRAFT_PAUSE_MS / 1000
    assert asking.ask() is None
    assert asking.ahead.pid is None
    asking.ahead.close()
    assert asking.ahead.lost == 0


_PROGRAM = """
import msgspec
from tallystick.daemon.draft_program import _stated
from tallystick.daemon.batch import ordered_ids
from tallystick.daemon.portion import Answer, encoded, new_gap, portion_of
from tallystick.daemon.terms import draft_settings_of, terms_of
from tallystick.verify.pieces import framed, pieces

def serve(questions, answers):
    asked = pieces(questions)
    settings = draft_settings_of(terms_of(next(asked)))
    answers.write(framed(b"")); answers.flush()
    for portion in map(portion_of, asked):
        gap, ids = new_gap(), ordered_ids(portion.moment_ms)
        there = [_stated(one, portion, settings, gap, ids) for one in portion.bodies]
        changed = lambda **more: [msgspec.structs.replace(one, **more) for one in there]
        there = {}
        answers.write(framed(encoded(Answer(portion.number, there)))); answers.flush()
"""
STRANGE = {
    "mixes frames up": ("there[1:] + there[:1]", "it states something else"),
    "states another user": (
        "[msgspec.structs.replace(one, after=one.after.replace(b'did:user:', b'did:root:')) "
        "for one in there]",
        "it states something else",
    ),
    "tells the row something else": ("changed(risk_level='none')", "it states something else"),
    "asks for who does not": ("changed(asks=True)", "it states something else"),
    "makes ids of its own": ("changed(receipt_id='urn:receipt:7')", "no statement"),
    "states nothing": ("changed(before=b'', after=b'')", "no statement"),
    "goes wrong one day": (
        "there[::-1] if portion.number > 20 else there", "it states something else",
    ),
    "answers another portion": ("there[1:]", "to something else"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGE)
def test_one_that_states_wrongly_is_the_last(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever made it state something else will do so again: it is never asked any more."""
    change, reason = STRANGE[name]
    (tmp_path / "strange_drafter.py").write_text(_PROGRAM.format(change))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(
        drafting_ahead, "DraftProcess", lambda terms: DraftProcess(terms, "strange_drafter")
    )
    asking = Asking()
    found: Any = []
    for _ in range(600):  # which one is compared is drawn by chance
        found = asking.ahead.statements(asking.asked())
        if found is None:
            break
    assert found is None
    assert asking.ahead.lost == 1
    for _ in range(3):
        asking.now_s += 10 * DRAFT_PAUSE_MS / 1000
        assert asking.ask() is None
    asking.ahead.take(TANGO)
    assert asking.ask() is None
    assert asking.ahead.pid is None
    (told,) = caplog.records
    fields = vars(told)["tally_fields"]
    assert told.msg == "drafter_lost"
    assert reason in fields["reason"]
    assert fields["is_final"] is True
    asking.close()


@pytest.mark.parametrize(("drawn", "compared"), [(0, range(1, 25)), (-1, range(1, 9))])
def test_a_new_one_is_looked_at_closely(
    monkeypatch: pytest.MonkeyPatch, drawn: int, compared: range
) -> None:
    """A frame of each of its first portions is stated here as well; then as chance has it."""
    asking, stated = Asking(), list[int]()

    def noted(*given: Any) -> Statement | None:
        stated.append(given[1].number)
        return state(*given)

    monkeypatch.setattr(drafting_ahead, "state", noted)
    monkeypatch.setattr(secrets, "randbelow", lambda count: drawn % count)
    for _ in range(24):
        assert asking.ahead.statements(asking.asked()) is not None
    asking.close()
    assert stated == [*compared]


def test_its_death_is_seen_by_who_asks_for_its_number(asking: Asking) -> None:
    """Also while no frames come."""
    pid = asking.begun()
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while asking.ahead.pid == pid:
        assert time.monotonic() < deadline
    assert asking.ahead.pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_whatever_stumbles_over_an_answer_is_a_loss(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the end of the daemon: the frames are stated here."""
    asked = asking.asked()

    def stumble(*_: object) -> Statement | None:
        raise RecursionError

    monkeypatch.setattr(drafting_ahead, "state", stumble)
    assert asking.ahead.statements(asked) is None
    assert asking.ahead.lost == 1
    asking.now_s += DRAFT_PAUSE_MS / 1000
    assert asking.asked() is not None


def test_large_frames_are_not_compared(asking: Asking) -> None:
    """They would cost this process what it wants to spare."""
    large = [body(input={"text": "x" * 5000})] * 16
    for _ in range(9):
        found = asking.ahead.statements(asking.asked(large))
        assert found is not None
        assert None not in found


def test_each_new_one_is_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the first that there ever was: one frame of each of its first eight portions."""
    asking, stated = Asking(), list[int]()

    def noted(*given: Any) -> Any:
        stated.append(1)
        return state(*given)

    monkeypatch.setattr(drafting_ahead, "state", noted)
    for _ in range(2):
        stated.clear()
        for _ in range(8):
            assert asking.ahead.statements(asking.asked()) is not None
        asking.ahead.take(TERMS)
    asking.close()
    assert len(stated) == 8
