# SPDX-License-Identifier: Apache-2.0
"""Frames that are stated ahead of their place in a chain: what is asked, and what is answered.

A portion is what came in together on one connection. Of each of its frames either the statement is
given, with a gap for the place, or nothing: then whoever asked does all of the work. That is so
for whatever is not usual, refusals among them, so that only one program says them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from tallystick.chain.gapped import Gap
from tallystick.chain.straight import Checked, state_straight
from tallystick.daemon.attestation import Attestation
from tallystick.daemon.drafting import DraftSettings, draft_receipt
from tallystick.errors import RefusedInput
from tallystick.model.action import PeerCredential
from tallystick.model.extension import Peer
from tallystick.model.frame import parse_frame


class Portion(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Some frames of one connection, and what their receipts state beside them."""

    number: int
    # When they came in, and the same as receipts spell it.
    moment_ms: int
    moment: str
    principal_id: str
    credential: PeerCredential
    peer: Peer
    bodies: list[bytes]


class Statement(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a receipt states, with a gap for its place, and what its row tells of it."""

    asks: bool
    receipt_id: str
    before: bytes
    after: bytes
    action_type: str
    tool_name: str
    risk_level: str
    status: str
    session_id: str


class Answer(NamedTuple):
    """What is said of a portion: of each of its frames in their order."""

    number: int
    statements: list[Statement | None]


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_PORTION: Final = msgspec.msgpack.Decoder(Portion).decode
_ANSWER: Final = msgspec.msgpack.Decoder(Answer).decode

_UUID: Final = "([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"
_ACTION_ID: Final = re.compile(f'"action":{{"id":"act_{_UUID}"'.encode())
_RECEIPT_ID: Final = re.compile(f"urn:receipt:{_UUID}")
_NAME_BYTES: Final = 16

Ids = Callable[[], str]


def new_gap() -> Gap:
    """Return a gap whose name nobody knows: an emitter may write what it likes."""
    return Gap(secrets.token_hex(_NAME_BYTES))


def encoded(what: Portion | Answer) -> bytes:
    """Return a question or an answer as a piece."""
    return _ENCODE(what)


def portion_of(piece: bytes) -> Portion:
    """Return the question that a piece holds."""
    return _PORTION(piece)


def statements_of(piece: bytes, portion: Portion) -> list[Statement | None]:
    """Return what an answer says, or raise `ValueError` where it is none to this portion."""
    try:
        answer = _ANSWER(piece)
    except msgspec.MsgspecError as fault:
        raise ValueError("it has another form") from fault
    if answer.number != portion.number or len(answer.statements) != len(portion.bodies):
        raise ValueError("it is to something else")
    return answer.statements


def state(
    body: bytes, portion: Portion, settings: DraftSettings, gap: Gap, ids: Ids
) -> Statement | None:
    """Return what is stated of a frame, or None where it is not a usual one."""
    try:
        frame = parse_frame(body)
        if frame.drop_count or frame.late or frame.agent_id is not None:
            return None
        peer = Attestation(credential=portion.credential, peer=portion.peer)
        draft = draft_receipt(frame, peer, portion.principal_id, settings, is_parsed=True)
        missed = None if settings.disclosure is None else settings.disclosure.missed
        if missed or type(draft) is not Checked:
            if missed:
                missed.clear()  # who asked counts what could not be sealed
            return None
        stated = state_straight(chain=gap.link, moment=portion.moment, ids=ids, **draft)  # type: ignore[arg-type]
    except RefusedInput:
        return None
    before, after = gap.cut(stated.statement)
    subject = stated.subject
    return Statement(
        asks=frame.ack,
        receipt_id=stated.receipt_id,
        before=before,
        after=after,
        action_type=subject.action.type,
        tool_name=subject.action.tool_name or "",
        risk_level=subject.action.risk_level or "",
        status=subject.outcome.status,
        session_id=frame.session_id,
    )


def ids_in(statement: Statement) -> tuple[str, str]:
    """Return the two ids that were drawn for a statement, or raise `ValueError`."""
    action = _ACTION_ID.search(statement.before)
    receipt = _RECEIPT_ID.fullmatch(statement.receipt_id)
    if action is None or receipt is None:
        raise ValueError("its ids are none")
    return action[1].decode(), receipt[1]
