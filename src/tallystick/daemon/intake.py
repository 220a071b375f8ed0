# SPDX-License-Identifier: Apache-2.0
"""From bytes to receipts and back: parses what arrived, has it stored, and answers who asked.

One thread reads, drafts and signs, batch by batch, so that everything that waits shares one
transaction and one fsync; where there is much to do, another one stores and answers meanwhile. What
comes alone is not handed over at all: the thread that reads the sockets does all of it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from struct import Struct
from typing import Any, Final, Protocol

from tallystick.daemon.attested import ArrivedFrame
from tallystick.daemon.connection import Arrived
from tallystick.daemon.drafted import Answer, Drafted
from tallystick.daemon.drafting_ahead import DraftingAhead
from tallystick.daemon.endurance import Drafts, Endurance
from tallystick.daemon.reading import Outcomes, Reading, asks
from tallystick.daemon.stand_in import StandIn
from tallystick.daemon.tallies import Tallies
from tallystick.daemon.task import Task
from tallystick.daemon.writing import Writing
from tallystick.errors import StoreError
from tallystick.limits import (
    ALONE_BYTES_MAX,
    ALONE_FRAMES_MAX,
    DRAFTED_FRAMES_MAX,
    HELD_FRAMES_MAX,
    SIGNED_ELSEWHERE_FRAMES_MAX,
    UNASKED_WAIT_MS_MAX,
)
from tallystick.model.frame import (
    Refusal,
    encode_acknowledgement,
)
from tallystick.serve.logs import event
from tallystick.store.committer import GroupCommit

_HEADER: Final = Struct(">I")
# The loop holds back who sends too much; the line itself must never say no.
_LINE_BYTES_MAX: Final = 1 << 40


class Writes(Drafts, Protocol):
    """What makes receipts of frames, and puts them on stable storage: the ledger."""

    def write(self, drafted: Drafted, /) -> list[Answer]:
        """Return what became of each frame, when all of it is on stable storage."""

    def stop(self, error: BaseException, /) -> None:
        """Write nothing any more: something that was drafted won't be written."""

    @property
    def signs_here(self) -> bool:
        """Whether the key is in this process."""


Item = Arrived | Task


class Intake:
    """Owns the line of what came in, the thread that drafts from it, and the one that writes."""

    def __init__(
        self,
        ledger: Writes,
        *,
        tallies: Tallies,
        finished: Callable[[Arrived], None],
        on_stop: Callable[[Exception], None],
        ahead: DraftingAhead | None = None,
        stand_in: StandIn | None = None,
        is_prompt: Callable[[Arrived], bool] = lambda _: True,
    ) -> None:
        """With who stands in at the sockets, what comes alone is stored by the thread that reads.

        `is_prompt` says of what keeps nobody waiting but for the disk.
        """
        self._stand_in = stand_in
        self._is_prompt = is_prompt
        self._lone: Arrived | None = None
        # Held by the thread that drafts: what is drafted first is written first.
        self._drafting = threading.Lock()
        self._ledger = ledger
        self._tallies = tallies
        self._reading = Reading(ledger.losses, tallies, ahead)
        self._finished = finished
        self._on_stop = on_stop
        self._fault: Exception | None = None
        self._endurance = Endurance(ledger, tallies)
        # Since when a transaction is written.
        self._write_began_ns = 0
        self._ending = threading.Lock()
        self._is_ended = False
        self._writing = Writing("tally-ledger-write", lambda fault: self._stop((), fault))
        self._line: GroupCommit[Item, None] = GroupCommit(
            self._take,
            self._done,
            count_max=SIGNED_ELSEWHERE_FRAMES_MAX,  # the first time
            waiting_max=HELD_FRAMES_MAX * 1024,
            waiting_bytes_max=_LINE_BYTES_MAX,
            name="tally-ledger",
        )

    @property
    def is_signer_away(self) -> bool:
        """Whether frames wait for a signer that gives no signatures for now."""
        return self._endurance.is_signer_away

    @property
    def busy_ms(self) -> int:
        """How long the commit that runs now has been running; to wait for a signer is none."""
        began_ns = [one for one in (self._endurance.began_ns, self._write_began_ns) if one]
        return (time.monotonic_ns() - min(began_ns)) // 1_000_000 if began_ns else 0

    @property
    def fault(self) -> Exception | None:
        """The error after which nothing is stored any more."""
        return self._fault or self._line.fault

    def submit(self, arrived: Arrived) -> None:
        """Put what arrived in line, or keep it for `pass_on` where it comes alone."""
        if self._lone is None and self._is_alone(arrived):
            self._lone = arrived
            return
        self._line_up_lone()
        self._line_up(arrived)

    def pass_on(self) -> bool:
        """Store what came alone, if anything did; called after each turn by who reads."""
        lone, self._lone = self._lone, None
        if lone is None or self._stand_in is None:
            return False
        self._store_alone(lone, self._stand_in)
        return True

    def do(self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]) -> None:
        """Do something between two drafts, on the thread that drafts."""
        self._line_up_lone()
        self._line.submit(Task(work, done))

    def _line_up_lone(self) -> None:
        """Put in line what is no longer alone, before what comes behind it."""
        lone, self._lone = self._lone, None
        if lone is not None:
            self._line_up(lone)

    def _line_up(self, arrived: Arrived) -> None:
        """Put it in line; a few frames that nobody asks about wait for one that is."""
        if self._endurance.began_ns or self._line.waiting:  # else it is its turn at once
            self._reading.prepare(arrived)
        count = len(arrived.bodies) + 1
        is_few = count + self._line.waiting <= ALONE_FRAMES_MAX
        patience_ms = UNASKED_WAIT_MS_MAX if is_few and not _may_ask(arrived) else 0
        self._line.submit(arrived, count=count, size=arrived.size, patience_ms=patience_ms)

    def _is_alone(self, arrived: Arrived) -> bool:
        """Whether the thread that reads may do all of it: nothing else is done or waits."""
        return (
            self._stand_in is not None
            and not self._stand_in.is_there
            and self._line.is_idle
            and self._writing.is_idle
            and self._fault is None
            and arrived.fault is None
            and len(arrived.bodies) < ALONE_FRAMES_MAX
            and arrived.size <= ALONE_BYTES_MAX
            and _may_ask(arrived)
            and self._is_prompt(arrived)
        )

    def _store_alone(self, arrived: Arrived, stand_in: StandIn) -> None:
        """Draft, store and answer; somebody else is at the sockets where that takes long."""
        self._drafting.acquire()  # before anybody else can put something in line
        stand_in.leave()
        try:
            self._do_alone([arrived])
        finally:
            stand_in.back()

    def _do_alone(self, batch: list[Arrived]) -> None:
        self._endurance.began_ns = time.monotonic_ns()
        try:
            outcomes, found, _ = self._drafted(batch)
        except BaseException as fault:  # noqa: BLE001 - whatever it is, who waits hears
            stop = partial(self._stop, batch, fault)
            self._writing.do_here(stop, begun=self._drafted_alone)  # before what comes behind it
            return
        self._writing.do_here(
            lambda: self._finish(batch, outcomes, found), begun=self._drafted_alone
        )

    def _drafted_alone(self) -> None:
        self._endurance.began_ns = 0
        self._drafting.release()

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        self._endurance.end()
        with suppress(StoreError):
            self._line_up_lone()  # where the loop did not come to it
        self._line.close()
        with self._ending:
            if not self._is_ended:
                self._is_ended = True
                self._writing.close()

    # ------------------------------------------------------------------- the thread that drafts

    def _take(self, batch: Sequence[Item]) -> None:
        """Draft what came, and pass it on; do what is to be done between two drafts."""
        with self._drafting:
            self._endurance.began_ns = time.monotonic_ns()
            is_quick = self._ledger.signs_here  # until a rotation
            self._line.count_max = DRAFTED_FRAMES_MAX if is_quick else SIGNED_ELSEWHERE_FRAMES_MAX
            waiting: list[Arrived] = []
            try:
                for item in batch:
                    if isinstance(item, Arrived):
                        waiting.append(item)
                        continue
                    self._store(waiting)
                    waiting = []
                    item.do()
                self._store(waiting)
            finally:
                self._endurance.began_ns = 0

    def _store(self, batch: list[Arrived]) -> None:
        """Draft what some connections sent, in one transaction, and have it stored."""
        if not batch:
            return
        outcomes, found, count = self._drafted(batch)
        for arrived in batch:
            arrived.is_passed_on = True
        is_alone = count <= ALONE_FRAMES_MAX and not self._line.waiting
        self._writing.do(lambda: self._finish(batch, outcomes, found), is_alone=is_alone)

    def _drafted(self, batch: list[Arrived]) -> tuple[list[Outcomes], Drafted | list[Answer], int]:
        """Return what is said of each frame, what is to be written, and of how many frames."""
        frames: list[ArrivedFrame] = []
        # For each frame that came in: where its answer stands, or why it was refused.
        outcomes = [self._reading.read(arrived, frames) for arrived in batch]
        found = self._endurance.draft(frames) if frames else []
        if isinstance(found, Drafted):
            self._reading.note_issued(found.standing.last_ms)
        for answer in found.answers if isinstance(found, Drafted) else found:
            if isinstance(answer, Refusal):
                self._tallies.rejected[answer.code] += 1
        return outcomes, found, len(frames)

    # -------------------------------------------------------------------- the thread that writes

    def _finish(
        self, batch: list[Arrived], outcomes: list[Outcomes], found: Drafted | list[Answer]
    ) -> None:
        """Store what is drafted, and answer who asked; whatever fails here is the end of it."""
        began_ns = self._write_began_ns = time.monotonic_ns()
        left = deque(batch)
        try:
            answers = self._ledger.write(found) if isinstance(found, Drafted) else found
            self._write_began_ns = 0
            if answers:
                receipts = sum([one.ok for one in answers])
                self._tallies.note_commit(receipts, time.monotonic_ns() - began_ns)
            for of_one in outcomes:
                self._tell(left[0], of_one, answers)
                self._finished(left.popleft())
        except BaseException as fault:  # noqa: BLE001 - whatever it is, who waits hears
            self._write_began_ns = 0
            self._stop(left, fault)

    def _tell(self, arrived: Arrived, outcomes: Outcomes, answers: list[Answer]) -> None:
        """Answer those frames of a connection that ask."""
        told = [
            encode_acknowledgement(answers[what] if isinstance(what, int) else what)
            for asks, what in outcomes
            if asks
        ]
        if told:
            self._tallies.acknowledged += len(told)
            arrived.connection.answer(b"".join([_HEADER.pack(len(one)) + one for one in told]))

    def _stop(self, batch: Iterable[Arrived], fault: BaseException) -> None:
        """Tell who waits that nothing is stored any more, and then the daemon."""
        if not isinstance(fault, Exception):
            fault = StoreError(f"a thread was ended: {type(fault).__name__}")
        is_first = self._fault is None
        self._fault = self._fault or fault
        self._ledger.stop(fault)
        for arrived in batch:
            try:
                _refuse_all(arrived)
            except Exception as refused:  # noqa: BLE001 - the next one is to hear it all the same
                event(logging.ERROR, "answer_failed", kind=type(refused).__name__)
            self._finished(arrived)
        if is_first:
            self._on_stop(fault)  # last: it closes connections

    def _done(self, batch: Sequence[Item], _: None, fault: Exception | None) -> None:
        """Answer what was not passed on because of a fault."""
        if fault is None:
            return
        for item in batch:
            if isinstance(item, Task):
                item.tell(None, fault)
        left = [one for one in batch if isinstance(one, Arrived) and not one.is_passed_on]
        # Behind what was passed on: answers keep their order.
        self._writing.do(lambda: self._stop(left, fault), is_alone=False)


def _may_ask(arrived: Arrived) -> bool:
    """Whether somebody may wait for an answer: what only looks like a question is stored sooner."""
    if arrived.fault is not None:
        return True
    for body in arrived.bodies:  # noqa: SIM110 - a generator takes a lone frame longer than this
        if b'"ack"' in body:
            return True
    return False


def _refuse_all(arrived: Arrived) -> None:
    """Tell who waits that the store has failed; whether the frame is in it is not known."""
    body = encode_acknowledgement(
        Refusal(code="STORE", message="the daemon's store has failed; ask whether it was stored")
    )
    answer = _HEADER.pack(len(body)) + body
    told = b"".join([answer for one in arrived.bodies if asks(one, arrived.connection)])
    if told:
        arrived.connection.answer(told)
