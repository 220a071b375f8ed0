# SPDX-License-Identifier: Apache-2.0
"""From bytes to receipts and back: parses what arrived, has it stored, and answers who asked.

One thread does all of it, batch by batch, so that everything that waits shares one transaction and
one fsync. A frame that our own code stumbles over is refused; its neighbours are stored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final, Protocol

import msgspec

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.connection import Arrived, Connection
from tallystick.daemon.losses import Losses
from tallystick.daemon.tallies import Tallies
from tallystick.errors import Error, FrameRefused, SignerUnavailable, StoreError
from tallystick.limits import HELD_FRAMES_MAX, SIGNER_PAUSE_MS_MAX
from tallystick.model.frame import (
    Acknowledgement,
    Frame,
    Refusal,
    encode_acknowledgement,
    parse_frame,
)
from tallystick.serve.logs import event
from tallystick.store.committer import GroupCommit

_HEADER: Final = Struct(">I")
_LOOSE: Final = msgspec.json.Decoder().decode
# The loop holds back who sends too much; the line itself must never say no.
_LINE_BYTES_MAX: Final = 1 << 40

Answer = Acknowledgement | Refusal


class Writes(Protocol):
    """What makes receipts of frames: the ledger."""

    def commit(self, frames: Sequence[AttestedFrame], /) -> list[Answer]:
        """Return, in order, what became of each frame, when all of it is on stable storage."""

    @property
    def losses(self) -> Losses:
        """Where frames are counted that become no receipt, until the chain says so."""


class Task:
    """Something to be done between two commits; `done` hears how it went."""

    __slots__ = ("done", "work")

    def __init__(
        self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]
    ) -> None:
        self.work = work
        self.done = done


Item = Arrived | Task


class Intake:
    """The thread that commits."""

    def __init__(
        self,
        ledger: Writes,
        *,
        tallies: Tallies,
        clock_ns: Callable[[], int],
        finished: Callable[[Arrived], None],
        on_stop: Callable[[Exception], None],
    ) -> None:
        self._ledger = ledger
        self._tallies = tallies
        self._clock_ns = clock_ns
        self._finished = finished
        self._on_stop = on_stop
        self._began_ns = 0
        self._is_closing = threading.Event()
        self._line: GroupCommit[Item, list[bytes]] = GroupCommit(
            self._commit,
            self._done,
            waiting_max=HELD_FRAMES_MAX * 1024,
            waiting_bytes_max=_LINE_BYTES_MAX,
            name="tally-ledger",
        )

    @property
    def busy_ms(self) -> int:
        """How long the commit that runs now has been running."""
        began_ns = self._began_ns
        return (time.monotonic_ns() - began_ns) // 1_000_000 if began_ns else 0

    @property
    def fault(self) -> Exception | None:
        """The error after which nothing is stored any more."""
        return self._line.fault

    def submit(self, arrived: Arrived) -> None:
        """Put what arrived in line."""
        self._line.submit(arrived, count=len(arrived.bodies) + 1, size=arrived.size)

    def do(self, work: Callable[[], Any], done: Callable[[Any, Exception | None], None]) -> None:
        """Do something between two commits, on the thread that commits."""
        self._line.submit(Task(work, done))

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        self._is_closing.set()
        self._line.close()

    # ------------------------------------------------------------------ the thread that commits

    def _commit(self, batch: Sequence[Item]) -> list[bytes]:
        """Return the bytes to send back, for each item."""
        self._began_ns = time.monotonic_ns()
        answers: list[bytes] = []
        waiting: list[Arrived] = []
        try:
            for item in batch:
                if isinstance(item, Arrived):
                    waiting.append(item)
                    continue
                answers += self._store(waiting)
                waiting = []
                _do(item)
                answers.append(b"")
            answers += self._store(waiting)
        finally:
            self._began_ns = 0
        return answers

    def _store(self, batch: list[Arrived]) -> list[bytes]:
        """Store what some connections sent, in one commit."""
        if not batch:
            return []
        frames: list[AttestedFrame] = []
        # For each frame that came in: where its answer stands, or why it was refused.
        outcomes: list[list[tuple[bool, int | Refusal]]] = []
        for arrived in batch:
            outcomes.append([self._read(arrived, body, frames) for body in arrived.bodies])
            if arrived.fault is not None:
                self._lose(arrived, arrived.fault.code)
        began_ns = time.monotonic_ns()
        answers = self._write(frames) if frames else []
        tallies = self._tallies
        tallies.frames += sum(len(one) for one in outcomes)
        if frames:
            tallies.note_commit(
                sum(one.ok for one in answers), time.monotonic_ns() - began_ns, self._clock_ns()
            )
        sent = []
        for of_one in outcomes:
            told = [
                encode_acknowledgement(answers[what] if isinstance(what, int) else what)
                for asks, what in of_one
                if asks
            ]
            tallies.acknowledged += len(told)
            sent.append(b"".join([_HEADER.pack(len(body)) + body for body in told]))
        return sent

    def _read(
        self, arrived: Arrived, body: bytes, frames: list[AttestedFrame]
    ) -> tuple[bool, int | Refusal]:
        connection = arrived.connection
        try:
            frame = parse_frame(body)
        except FrameRefused as fault:
            self._lose(arrived, fault.code)
            return _asks(body, connection), Refusal(code=fault.code, message=str(fault))
        except Exception as fault:  # noqa: BLE001 - one frame's trouble is not another's
            return _asks(body, connection), self._stumbled(arrived, fault)
        if frame.ack:
            connection.asks = True
        if frame.late:
            self._tallies.late += 1
        frames.append(_attested(frame, arrived))
        return frame.ack, len(frames) - 1

    def _write(self, frames: list[AttestedFrame]) -> list[Answer]:
        """Have frames stored; where that fails for another reason than the store, one by one."""
        try:
            answers = self._commit_patiently(frames)
        except StoreError:
            raise
        except Exception as fault:
            if isinstance(fault, Error):
                raise
            if len(frames) == 1:
                one = frames[0]
                self._tallies.faults += 1
                event(logging.ERROR, "frame_failed", kind=type(fault).__name__)
                self._note_lost("INTERNAL", one.received_ns)
                return [Refusal(code="INTERNAL", message="the daemon failed on this frame")]
            middle = len(frames) // 2
            return self._write(frames[:middle]) + self._write(frames[middle:])
        for answer in answers:
            if isinstance(answer, Refusal):
                self._tallies.rejected[answer.code] += 1
        return answers

    def _commit_patiently(self, frames: list[AttestedFrame]) -> list[Answer]:
        """Wait for a signer that is away for now: emitters are held back, and lose nothing."""
        pause_ms = SIGNER_PAUSE_MS_MAX // 64
        while True:
            try:
                return self._ledger.commit(frames)
            except SignerUnavailable as fault:
                event(logging.WARNING, "signer_unavailable", reason=str(fault))
                if self._is_closing.wait(pause_ms / 1000):
                    raise
                pause_ms = min(2 * pause_ms, SIGNER_PAUSE_MS_MAX)

    def _stumbled(self, arrived: Arrived, fault: Exception) -> Refusal:
        self._tallies.faults += 1
        event(logging.ERROR, "frame_failed", kind=type(fault).__name__)
        self._lose(arrived, "INTERNAL")
        return Refusal(code="INTERNAL", message="the daemon failed on this frame")

    def _lose(self, arrived: Arrived, code: str) -> None:
        self._note_lost(code, arrived.received_ns)

    def _note_lost(self, code: str, received_ns: int) -> None:
        self._tallies.rejected[code] += 1
        self._ledger.losses.note(code, received_ns // 1_000_000)

    def _done(
        self, batch: Sequence[Item], answers: list[bytes] | None, fault: Exception | None
    ) -> None:
        """Answer who asked. What is said here is on stable storage, or refused."""
        for place, item in enumerate(batch):
            if isinstance(item, Task):
                if fault is not None:
                    item.done(None, fault)
                continue
            if answers is not None:
                if answers[place]:
                    item.connection.answer(answers[place])
            else:
                _refuse_all(item)
            self._finished(item)
        if fault is not None:
            self._on_stop(fault)  # last: it closes connections


def _do(task: Task) -> None:
    try:
        result = task.work()
    except StoreError as fault:
        task.done(None, fault)
        raise
    except Exception as fault:  # noqa: BLE001 - who asked for it hears
        task.done(None, fault)
    else:
        task.done(result, None)


def _attested(frame: Frame, arrived: Arrived) -> AttestedFrame:
    return AttestedFrame(
        frame=frame,
        peer=arrived.connection.attestation,
        received_ns=arrived.received_ns,
        late=frame.late,
        is_parsed=True,
    )


def _asks(body: bytes, connection: Connection) -> bool:
    """Whether the sender of a frame that can't be read waits for an answer."""
    try:
        members = _LOOSE(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return connection.asks
    return type(members) is dict and members.get("ack") is True


def _refuse_all(arrived: Arrived) -> None:
    """Tell who waits that the store has failed; whether the frame is in it is not known."""
    body = encode_acknowledgement(
        Refusal(code="STORE", message="the daemon's store has failed; ask whether it was stored")
    )
    answer = _HEADER.pack(len(body)) + body
    told = b"".join([answer for one in arrived.bodies if _asks(one, arrived.connection)])
    if told:
        arrived.connection.answer(told)
