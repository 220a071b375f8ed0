# SPDX-License-Identifier: Apache-2.0
"""What the frames of a connection are: receipts in the making, or refusals.

A frame that our own code stumbles over is refused; its neighbours are read.
"""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from tallystick.daemon.attested import ArrivedFrame, AttestedFrame, StatedFrame
from tallystick.daemon.connection import Arrived, Connection
from tallystick.daemon.drafting_ahead import DraftingAhead
from tallystick.daemon.losses import Losses
from tallystick.daemon.tallies import Tallies
from tallystick.errors import FrameRefused
from tallystick.limits import JSON_INTEGER_MAX
from tallystick.model.frame import Frame, Refusal, parse_frame
from tallystick.serve.logs import event

_LOOSE: Final = msgspec.json.Decoder().decode

# For each frame of a connection: whether its sender asks, and the answer or its place.
Outcomes = list[tuple[bool, int | Refusal]]


class Reading:
    """Reads what arrived, and counts what becomes no receipt."""

    def __init__(
        self, losses: Losses, tallies: Tallies, ahead: DraftingAhead | None = None
    ) -> None:
        self._losses = losses
        self._tallies = tallies
        self._ahead = ahead

    def prepare(self, arrived: Arrived) -> None:
        """Have many frames stated by another process, before it is their turn; never waits."""
        if self._ahead is not None:
            arrived.asked = self._ahead.ask(arrived)

    def note_issued(self, moment_ms: int) -> None:
        """Hear when the last receipt was issued: what comes is stated for no moment before."""
        if self._ahead is not None:
            self._ahead.issued_ms = moment_ms

    def read(self, arrived: Arrived, frames: list[ArrivedFrame]) -> Outcomes:
        """Put the frames behind those that are there, and return what is said of each."""
        outcomes = self._stated(arrived, frames)
        if outcomes is None:
            outcomes = [self._read(arrived, body, frames) for body in arrived.bodies]
        if arrived.fault is not None:
            self._lose(arrived, arrived.fault.code)
        self._tallies.frames += len(outcomes)
        return outcomes

    def _stated(self, arrived: Arrived, frames: list[ArrivedFrame]) -> Outcomes | None:
        """Do it by what the other process said, where it was asked and has answered."""
        asked, arrived.asked = arrived.asked, None
        statements = self._ahead.statements(asked) if self._ahead and asked else None
        if asked is None or statements is None:
            return None
        arrived.connection.note_unusual(statements.count(None), of=len(statements))
        portion, received_ns = asked.portion, arrived.received_ns
        outcomes: Outcomes = []
        for body, statement in zip(arrived.bodies, statements, strict=True):
            if statement is None:
                outcomes.append(self._read(arrived, body, frames))
                continue
            if statement.asks:
                arrived.connection.asks = True
            outcomes.append((statement.asks, len(frames)))
            frames.append(StatedFrame(statement, portion, body, received_ns))
        return outcomes

    def _read(
        self, arrived: Arrived, body: bytes, frames: list[ArrivedFrame]
    ) -> tuple[bool, int | Refusal]:
        connection = arrived.connection
        try:
            frame = parse_frame(body)
        except FrameRefused as fault:
            self._lose(arrived, fault.code, _claimed_drops(body))
            return asks(body, connection), Refusal(code=fault.code, message=str(fault))
        except Exception as fault:  # noqa: BLE001 - one frame's trouble is not another's
            return asks(body, connection), self._stumbled(arrived, body, fault)
        if frame.ack:
            connection.asks = True
        if frame.late:
            self._tallies.late += 1
        frames.append(_attested(frame, arrived))
        return frame.ack, len(frames) - 1

    def _stumbled(self, arrived: Arrived, body: bytes, fault: Exception) -> Refusal:
        self._tallies.faults += 1
        event(logging.ERROR, "frame_failed", kind=type(fault).__name__)
        self._lose(arrived, "INTERNAL", _claimed_drops(body))
        return Refusal(code="INTERNAL", message="the daemon failed on this frame")

    def _lose(self, arrived: Arrived, code: str, claimed: int = 0) -> None:
        self._tallies.rejected[code] += 1
        self._losses.note_refused(code, arrived.received_ns // 1_000_000, claimed)


def asks(body: bytes, connection: Connection) -> bool:
    """Whether the sender of a frame that can't be read waits for an answer."""
    try:
        members = _LOOSE(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return connection.asks
    return type(members) is dict and members.get("ack") is True


def _attested(frame: Frame, arrived: Arrived) -> AttestedFrame:
    return AttestedFrame(
        frame=frame,
        peer=arrived.connection.attestation,
        received_ns=arrived.received_ns,
        late=frame.late,
        is_parsed=True,
    )


def _claimed_drops(body: bytes) -> int:
    """Return what a frame that is refused tells of losses: its emitter won't tell it again."""
    if b'"drop_count"' not in body:
        return 0
    try:
        members = _LOOSE(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return 0
    count = members.get("drop_count") if type(members) is dict else None
    return count if type(count) is int and 0 < count <= JSON_INTEGER_MAX else 0
