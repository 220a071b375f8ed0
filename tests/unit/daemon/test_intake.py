# SPDX-License-Identifier: Apache-2.0
"""From bytes to receipts and answers, with the real ledger behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.daemons import wait_until
from tests.frames import body
from tests.intakes import House, opened_house
from tests.portions import TANGO, usual_bodies

from tallystick.daemon import intake
from tallystick.daemon.connection import Arrived, Connection
from tallystick.daemon.terms import draft_settings_of
from tallystick.errors import FrameRefused, StoreError, StoreStoppedError
from tallystick.limits import ALONE_BYTES_MAX, ALONE_FRAMES_MAX, SIGNED_ELSEWHERE_FRAMES_MAX


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened_house(tmp_path) as house:
        yield house


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[House]:
    """A house in which this thread reads the sockets, and another one may stand in for it."""
    tmp_path.chmod(0o700)
    house = House(tmp_path, stands_in=True)
    # Nothing is alone while a thread has not begun to wait.
    wait_until(lambda: house.intake._line.is_idle and house.intake._writing.is_idle)
    yield house
    house.close()


def test_what_arrives_together_is_one_commit(house: House) -> None:
    """Each frame is answered in its order, and only where it asks."""
    house.send(body(ack=True), body(), body(ack=True))
    first, second = house.answers()
    assert (first["sequence"], second["sequence"]) == (1, 3)
    assert first["ok"] is True
    assert house.stumbling.batches == [3]
    assert (house.tallies.receipts, house.tallies.acknowledged) == (3, 2)


def test_what_nobody_asks_about_shares_the_commit_of_what_somebody_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that follows on an answer waits for one fsync: the outcome before it comes along."""
    monkeypatch.setattr(intake, "UNASKED_WAIT_MS_MAX", 60_000)
    now_ns = house.home.now_ms * 1_000_000
    for _ in range(3):
        house.intake.submit(Arrived(house.connection, [body()], now_ns))
        house.send(body(ack=True))
        assert house.done.acquire(timeout=20)
    assert [one["sequence"] for one in house.answers()] == [2, 4, 6]
    assert house.stumbling.batches == [2, 2, 2]


def test_nothing_waits_for_long(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, a frame is stored soon; a crowd, or what ends in a fault, does not wait at all."""
    house.send(body())
    monkeypatch.setattr(intake, "UNASKED_WAIT_MS_MAX", 60_000)
    house.send(*(body() for _ in range(ALONE_FRAMES_MAX)))
    house.send(body(), fault=FrameRefused("FRAME_CUT", "on purpose"))
    house.intake.submit(Arrived(house.connection, [body()], house.home.now_ms * 1_000_000))
    house.intake.close()
    assert house.stumbling.batches == [1, ALONE_FRAMES_MAX, 1, 1]


def test_refusals_stand_between_receipts(house: House) -> None:
    """A frame that can't be read is answered where it asks; its neighbours are stored."""
    house.send(
        body(ack=True),
        body(ack=True, v="2"),
        b'{"ack":true}',
        b"junk",
        body(ack=True, agent_id="a/b"),
        body(ack=True),
    )
    assert [one.get("code", one["ok"]) for one in house.answers()] == [
        True,
        "FRAME_VERSION",
        "FRAME_MISSING",
        "FRAME_JSON",
        "FRAME_VALUE",
        True,
    ]
    assert house.tallies.rejected == {
        "FRAME_VERSION": 1,
        "FRAME_MISSING": 1,
        "FRAME_JSON": 1,
        "FRAME_VALUE": 1,
    }


def test_who_never_asked_is_not_told_of_junk(house: House) -> None:
    """Bytes that are no JSON are answered only on a line where somebody waits for answers."""
    house.send(b"junk", body())
    assert house.answers() == []


def test_losses_go_into_the_chain(house: House) -> None:
    """What was refused, and what was cut off, stands in an events_dropped receipt."""
    house.send(b"junk", fault=FrameRefused("FRAME_CUT", "on purpose"))
    house.send(body())
    dropped = [
        one["issuer"]["runtime"]["tallystick"]["dropped"]["reasons"]
        for one in house.home.receipts()
        if one["credentialSubject"]["action"]["type"] == "agent_receipts.events_dropped"
    ]
    assert dropped == [{"FRAME_CUT": 1, "FRAME_JSON": 1}]


def test_what_a_refused_frame_tells_of_losses_is_counted(house: House) -> None:
    """Its emitter has told, and will not tell again: the chain has to say it."""
    house.send(
        body(drop_count=7, action_type="agent_receipts.x"), body(decision="no", drop_count=2)
    )
    house.send(body(decision="no", drop_count=-5), body(decision="no", drop_count=1e300))
    house.send(body())
    dropped = [
        one["issuer"]["runtime"]["tallystick"]["dropped"]["reasons"]
        for one in house.home.receipts()
        if one["credentialSubject"]["action"]["type"] == "agent_receipts.events_dropped"
    ]
    assert len(dropped) == 1
    assert dropped[0]["CLAIMED_BY_EMITTER"] == 9


def test_a_store_that_fails_stops_everything(house: House) -> None:
    """Who asked is told that it is not known; nothing more is stored, and the daemon hears why."""
    house.send(body(ack=True, session_id="disk"), body())
    assert [one["code"] for one in house.answers()] == ["STORE"]
    assert [str(one) for one in house.stopped] == ["the disk is gone"]
    assert house.intake.fault is not None


def test_the_next_is_drafted_while_one_is_written(house: House) -> None:
    """Many frames: the second batch is signed before the first is stored; answers keep order."""
    house.stumbling.holds = threading.Event()
    now_ns = house.home.now_ms * 1_000_000
    many = [body(ack=True) for _ in range(ALONE_FRAMES_MAX + 1)]
    end = time.monotonic() + 20
    for number in range(3):
        house.intake.submit(Arrived(house.connection, list(many), now_ns))
        # One by one, or they would share a transaction.
        least = min(number + 1, 2)
        while len(house.stumbling.batches) < least and time.monotonic() < end:
            time.sleep(0.001)
    assert house.answers() == []
    assert house.intake.busy_ms >= 0
    house.stumbling.holds.set()
    for _ in range(3):
        assert house.done.acquire(timeout=20)
    assert [one["sequence"] for one in house.answers()] == list(range(1, 3 * len(many) + 1))


def test_a_write_that_fails_stops_what_was_drafted_behind_it(house: House) -> None:
    """Nothing that builds on a lost transaction is stored; everybody who asked hears of it."""
    house.stumbling.holds = threading.Event()
    now_ns = house.home.now_ms * 1_000_000
    many = [body(ack=True) for _ in range(ALONE_FRAMES_MAX + 1)]
    for _ in range(3):
        house.intake.submit(Arrived(house.connection, list(many), now_ns))
    house.ledger._store.close()
    house.stumbling.holds.set()
    for _ in range(3):
        assert house.done.acquire(timeout=20)
    assert [one["code"] for one in house.answers()] == ["STORE"] * 3 * len(many)
    assert [type(one) for one in house.stopped] == [StoreStoppedError]
    assert house.home.receipts() == []


def test_a_task_runs_between_two_commits(house: House) -> None:
    """It hears what came of it, also where that is an error."""
    heard: list[tuple[Any, Any]] = []
    done = threading.Event()
    house.intake.do(lambda: 7, lambda result, fault: heard.append((result, fault)))
    house.intake.do(lambda: 1 // 0, lambda result, fault: heard.append((result, type(fault))))
    house.intake.do(lambda: None, lambda *_: done.set())
    assert done.wait(20)
    assert heard == [(7, None), (None, ZeroDivisionError)]
    house.send(body(ack=True))
    assert house.answers()[0]["ok"] is True
    assert house.intake.busy_ms == 0


def test_what_a_task_has_heard_stays_true(house: House) -> None:
    """The store fails under a later item of the same batch: each is told once what became of it."""
    heard: list[tuple[str, Any, Any]] = []
    gate = threading.Event()

    def fails() -> None:
        raise StoreError("the disk is gone")

    def note(name: str, work: Any) -> None:
        house.intake.do(work, lambda found, fault: heard.append((name, found, type(fault))))

    house.intake.do(lambda: gate.wait(20), lambda *_: None)
    wait_until(lambda: bool(house.intake.busy_ms))
    note("first", lambda: "done")
    note("second", fails)
    note("third", lambda: "done")
    gate.set()
    wait_until(lambda: bool(house.stopped))
    assert heard == [
        ("first", "done", type(None)),
        ("second", None, StoreError),
        ("third", None, StoreError),
    ]


def test_a_failure_behind_the_commit_is_the_end_and_no_hang(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What our own code stumbles over after the commit stops the daemon; who waits hears STORE."""

    def fails(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(house.tallies, "note_commit", fails)
    house.send(body(ack=True), body(ack=True))
    assert [one["code"] for one in house.answers()] == ["STORE", "STORE"]
    assert [str(one) for one in house.stopped] == ["on purpose"]
    assert house.intake.fault is house.stopped[0]


def test_who_can_not_be_told_harms_nobody_else(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a task whose asker fails nor a line that can't be answered ends the threads."""

    def fails(*_: object) -> None:
        raise RuntimeError("on purpose")

    house.intake.do(lambda: 7, fails)
    house.intake.do(lambda: 1 // 0, fails)
    house.send(body(ack=True))
    assert house.answers()[0]["ok"] is True
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "answer", fails)
        house.send(body(ack=True))
    assert [str(one) for one in house.stopped] == ["on purpose"]
    house.intake.close()


def send_in_a_crowd(house: House, *batches: list[bytes], meanwhile: Any = lambda: None) -> None:
    """Let frames arrive while the thread that drafts is busy, and wait until they are done."""
    begun, holds = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert holds.wait(20)

    house.intake.do(hold, lambda *_: None)
    assert begun.wait(20)
    for one in batches:
        house.intake.submit(Arrived(house.connection, [*one], house.home.now_ms * 1_000_000))
    meanwhile()
    holds.set()
    for _ in batches:
        assert house.done.acquire(timeout=20)


def test_where_each_signature_takes_long_transactions_are_short(house: House) -> None:
    """Between two of them the manager hears from us; a rotation may bring such a signer."""
    count = SIGNED_ELSEWHERE_FRAMES_MAX // 4
    for house.stumbling.is_far in (False, True):
        house.stumbling.batches.clear()
        send_in_a_crowd(house, *[[body(ack=True)] * 3] * (count + 2))
        long, short = [3 * (count + 2)], [3 * count, 3 * 2]
        assert house.stumbling.batches == (short if house.stumbling.is_far else long)


def stated_by_another(house: House) -> int:
    """Send frames until another process states them, and return how many were sent."""
    sent = 0
    deadline = time.monotonic() + 20
    while not ((process := house.ahead._process) and process.is_ready):
        assert time.monotonic() < deadline
        send_in_a_crowd(house, usual_bodies(20, ack=True))
        house.answers()
        sent += 20
    return sent


def test_who_waits_for_nobody_asks_nobody(house: House) -> None:
    """Where the thread that drafts has nothing to do, it reads what comes at once."""
    house.send(*usual_bodies(40))
    assert house.ahead.pid is None
    assert house.tallies.receipts == 40


@pytest.mark.parametrize("number", [0, signal.SIGKILL])
def test_what_another_process_states_is_stored_in_its_order(house: House, number: int) -> None:
    """With it and without it: each frame once, each answer in its place, and all of it verifies."""
    sent = stated_by_another(house)
    if number:
        assert house.ahead.pid is not None
        os.kill(house.ahead.pid, number)
    bodies = [*usual_bodies(40, ack=True), body(ack=True, v="2"), body(ack=True, agent_id="a")]
    house.stumbling.stated.clear()
    send_in_a_crowd(house, *[bodies] * 12)
    answers = house.answers()
    assert [one.get("code", one["ok"]) for one in answers] == (
        [True] * 40 + ["FRAME_VERSION", True]
    ) * 12
    assert house.tallies.receipts == sent + 12 * 41
    roots = [one["sequence"] for one in answers if "/agent/" not in one.get("chain_id", "/agent/")]
    assert roots == sorted({*roots})
    house.intake.close()
    house.ledger.close()
    receipts = {one["id"]: one for one in house.home.receipts()}
    assert house.home.verify().verdict == "verified"
    tools = [
        receipts[one["id"]]["credentialSubject"]["action"].get("tool_name")
        for one in answers
        if one["ok"]
    ]
    assert tools == ([f"t{at}" for at in range(40)] + ["read_file"]) * 12
    assert house.ahead.lost == bool(number)
    assert len(house.stumbling.stated) == (0 if number else 12 * 40)
    assert house.stumbling.stated <= {*receipts}


def test_a_bug_with_a_frame_that_was_stated_harms_no_other(house: House) -> None:
    """It is refused as INTERNAL; its neighbours are stored."""
    stated_by_another(house)
    many = [body(ack=True, session_id="bug" if at == 5 else f"s{at}") for at in range(20)]
    send_in_a_crowd(house, many)
    answers = house.answers()
    assert [at for at, one in enumerate(answers) if not one["ok"]] == [5]
    assert house.tallies.faults == 1
    assert not house.stopped


def test_other_terms_reach_what_waits_for_its_turn(house: House) -> None:
    """What was stated by the old ones, and is not drafted yet, is drafted by the new ones."""
    stated_by_another(house)

    def take() -> None:
        house.ledger.drafting.settings = draft_settings_of(TANGO)  # type: ignore[attr-defined]
        house.ahead.take(TANGO)

    send_in_a_crowd(house, usual_bodies(20, ack=True, error="tango 12"), meanwhile=take)
    told = {one["id"] for one in house.answers()}
    errors = [
        one["credentialSubject"]["outcome"]["error"]
        for one in house.home.receipts()
        if one["id"] in told
    ]
    assert errors == ["[redacted:tango]"] * 20


ME = threading.current_thread().name


def test_what_comes_alone_is_stored_by_who_reads(lone: House) -> None:
    """At the end of the turn in which it came, refusals and all; then nothing is left to do."""
    for sequence in (1, 3):  # what was refused is told before the next
        lone.submit(body(ack=True), body(ack=True, v="2"))
        assert lone.answers() == []
        assert lone.intake.pass_on()
        assert [one.get("sequence", one.get("code")) for one in lone.answers()] == [
            sequence,
            "FRAME_VERSION",
        ]
        assert not lone.intake.pass_on()
    assert lone.stumbling.threads == [ME, ME]
    assert len(lone.finished) == 2
    assert lone.tallies.receipts == lone.tallies.rejected["FRAME_VERSION"] == 2
    assert lone.intake.busy_ms == 0


def test_what_comes_in_one_turn_shares_a_commit(lone: House) -> None:
    """Then it is a crowd: the first of it is no longer alone, and stays the first."""
    for _ in range(2):
        lone.submit(body(ack=True))
    assert not lone.intake.pass_on()
    for _ in range(2):
        assert lone.done.acquire(timeout=20)
    assert [one["sequence"] for one in lone.answers()] == [1, 2]
    assert ME not in lone.stumbling.threads


@pytest.mark.parametrize(
    ("bodies", "fault"),
    [
        ([body()], None),
        ([body(ack=True)] * ALONE_FRAMES_MAX, None),
        ([body(ack=True, input="x" * ALONE_BYTES_MAX)], None),
        ([body(ack=True)], FrameRefused("FRAME_CUT", "on purpose")),
    ],
    ids=["unasked", "many", "large", "cut"],
)
def test_what_is_not_usual_goes_in_line(
    lone: House, bodies: list[bytes], fault: FrameRefused | None
) -> None:
    """Who reads is to be away from the sockets for no longer than a commit takes."""
    lone.send(*bodies, fault=fault)
    assert not lone.intake.pass_on()
    assert ME not in lone.stumbling.threads


def test_what_may_wait_for_others_goes_in_line(lone: House) -> None:
    """For a directory, a signer elsewhere, or the end of a day: the loop goes on meanwhile."""
    lone.is_prompt = False
    lone.send(body(ack=True))
    assert ME not in lone.stumbling.threads
    lone.is_prompt = True
    wait_until(lambda: lone.intake._line.is_idle)
    lone.submit(body(ack=True))
    assert lone.intake.pass_on()
    assert [one["sequence"] for one in lone.answers()] == [1, 2]


def test_a_task_comes_behind_what_came_before_it(lone: House) -> None:
    """It may end the chain, and the frame was there first."""
    found: list[int] = []
    lone.submit(body(ack=True))
    lone.intake.do(lambda: found.append(lone.ledger.status().receipts), lambda *_: None)
    assert not lone.intake.pass_on()
    assert lone.done.acquire(timeout=20)
    wait_until(lambda: bool(found))
    assert found == [1]


def test_beside_what_is_written_nothing_is_alone(lone: House) -> None:
    """It is drafted meanwhile, and answered behind that."""
    lone.stumbling.holds = threading.Event()
    many = [body(ack=True)] * (ALONE_FRAMES_MAX + 1)
    lone.submit(*many)
    wait_until(lambda: bool(lone.stumbling.threads))
    lone.submit(body(ack=True))
    assert not lone.intake.pass_on()
    lone.stumbling.holds.set()
    for _ in range(2):
        assert lone.done.acquire(timeout=20)
    assert [one["sequence"] for one in lone.answers()] == [*range(1, len(many) + 2)]


@pytest.mark.parametrize("step", ["write", "draft", "commit"])
def test_whatever_keeps_it_another_one_reads(lone: House, step: str) -> None:
    """What that one brings goes in line, and is stored behind; then the first one is back.

    A frame that our own code stumbles over is committed by itself: that is no write of a draft.
    """
    holds = lone.stumbling.holds = threading.Event()
    lone.stumbling.held_in = step
    assert lone.stand_in is not None

    def meanwhile() -> None:
        wait_until(lambda: lone.stand_in is not None and lone.stand_in.is_there)
        lone.submit(body(ack=True))
        lone.submit(body(ack=True))
        time.sleep(0.05)
        lone.stumbling.held_in = ""
        holds.set()

    other = threading.Thread(target=meanwhile)
    other.start()
    lone.submit(body(ack=True))
    assert lone.intake.pass_on()
    assert not lone.stand_in.is_there
    other.join(20)
    for _ in range(3):
        assert lone.done.acquire(timeout=20)
    assert [one["sequence"] for one in lone.answers()] == [1, 2, 3]
    if step != "commit":
        assert lone.stumbling.threads.pop(0) == ME
    assert ME not in lone.stumbling.threads
    assert set(lone.turns) == {"tally-stand-in"}


@pytest.mark.parametrize(
    ("session", "code", "is_end"), [("bug", "INTERNAL", False), ("disk", "STORE", True)]
)
def test_what_fails_alone_is_told_as_in_line(
    lone: House, session: str, code: str, is_end: bool
) -> None:
    """Our own fault is one frame's; a disk's is the end, and who reads is at the sockets again."""
    lone.submit(body(ack=True, session_id=session))
    assert lone.intake.pass_on()
    assert [one["code"] for one in lone.answers()] == [code]
    assert len(lone.finished) == 1
    assert [type(one) for one in lone.stopped] == ([StoreError] if is_end else [])
    assert (lone.intake.fault is not None) is is_end
    if is_end:
        lone.submit(body(ack=True))
        assert not lone.intake.pass_on()  # in line it is refused
    assert lone.stand_in is not None
    assert lone.stand_in._place.locked()


def test_what_fails_alone_is_told_before_what_comes_behind_it(
    lone: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender would take the next frame's receipt for its own."""
    holds = lone.stumbling.holds = threading.Event()
    lone.stumbling.held_in = "draft"
    let_go = lone.intake._drafted_alone

    def slowly() -> None:
        let_go()
        time.sleep(0.1)  # as where another thread has the processor

    monkeypatch.setattr(lone.intake, "_drafted_alone", slowly)

    def meanwhile() -> None:
        wait_until(lambda: lone.stand_in is not None and lone.stand_in.is_there)
        lone.submit(body(ack=True, session_id="second"))
        lone.stumbling.held_in = ""
        holds.set()

    other = threading.Thread(target=meanwhile)
    other.start()
    lone.submit(body(ack=True, session_id="disk"))
    assert lone.intake.pass_on()
    other.join(20)
    for _ in range(2):
        assert lone.done.acquire(timeout=20)
    assert [one["code"] for one in lone.answers()] == ["STORE", "STORE"]
    assert lone.ledger.status().receipts == 0


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_draft_that_is_dropped_leaves_no_gap(
    lone: House, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    """Whatever stumbles between a draft and its write: nothing is stored behind it."""

    def fails(_moment_ms: int) -> None:
        raise RuntimeError("on purpose")

    def send() -> None:
        wait_until(lambda: lone.intake._line.is_idle)
        lone.submit(body(ack=True))
        lone.intake.pass_on()
        assert lone.done.acquire(timeout=20)

    lone.is_prompt = is_alone
    send()
    with monkeypatch.context() as patch:
        patch.setattr(lone.intake._reading, "note_issued", fails)
        send()
    lone.submit(body(ack=True))
    assert lone.done.acquire(timeout=20)
    assert [one.get("code", one.get("sequence")) for one in lone.answers()] == [1, "STORE", "STORE"]
    assert lone.ledger.status().receipts == 1
    lone.ledger.close()  # waits for nothing
