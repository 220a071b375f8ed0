# SPDX-License-Identifier: Apache-2.0
"""Lines from the client: judged, then forwarded, refused or held, in the order in which they came.

What can't be read in one way only is refused. A call is forwarded after its receipt and the rules
have spoken. One that is paused leaves the line to those behind it; nothing else overtakes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, Literal

from tallystick.channels.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Id,
    Key,
    Message,
    Notification,
    Request,
    Response,
    error_line,
    parse_message,
    refuse_case_variants,
)
from tallystick.channels.mcp_approving import Approving
from tallystick.channels.mcp_calls import IN_USE, Open, call_of
from tallystick.channels.mcp_methods import (
    CANCELLED,
    HOUSEKEEPING,
    KNOWN,
    PARAMS,
    TELLING,
    TOOL_CALL,
    is_disguised,
)
from tallystick.channels.mcp_session import (
    BLOCKED,
    NOT_RECORDED,
    TOO_MANY,
    UNRECORDED,
    Session,
)
from tallystick.channels.rules import Decision
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import MessageRefused
from tallystick.serve.logs import event

_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"


class _Plan:
    """What is to be done with one line from the client."""

    __slots__ = (
        "answers",
        "asked",
        "calls",
        "cancels",
        "is_batch",
        "line",
        "notes",
        "refusals",
        "verdict",
    )

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.verdict: Literal["forward", "refuse", "pause"] = "forward"
        self.calls: list[Open] = []
        self.notes: list[Open] = []
        self.cancels: list[Any] = []
        self.answers: list[Response] = []
        self.asked: list[Key] = []
        self.refusals: list[tuple[Id | None, int, str]] = []
        self.is_batch = False


class ClientSide:
    """Takes what the client says."""

    def __init__(self, session: Session, approving: Approving) -> None:
        """Share the session with the other side."""
        self._session = session
        self._approving = approving

    def take(self, lines: Sequence[bytes]) -> None:
        """Judge lines from the client; forward, refuse or hold each of them, in their order."""
        plans = [self._plan(line) for line in lines]
        going = [plan for plan in plans if plan.verdict != "refuse"]
        attempts = [one for plan in going for one in (*plan.calls, *plan.notes)]
        if attempts:
            stored = dict(zip(attempts, self._session.receipts.attempts(attempts), strict=True))
            for plan in going:
                if not all(stored[one] for one in (*plan.calls, *plan.notes)):
                    self._unrecorded(plan)
        ready: list[bytes] = []
        for plan in plans:
            if plan.verdict == "forward":
                for one in plan.calls:
                    one.is_forwarded = True
                for answer in plan.answers:
                    self._session.answered("server", answer, plan.line)
            if plan.verdict == "forward" and not plan.cancels:
                ready.append(plan.line)
                continue
            if ready:  # nothing overtakes what came before it
                self._session.to_server(b"".join(ready))
                ready = []
            self._carry_out(plan)
        if ready:
            self._session.to_server(b"".join(ready))

    def refuse_overlong(self, size: int, digest: str) -> None:
        """Tell of a line from the client that was over the limit, and was dropped as it came."""
        told = f"a message of {size} bytes, over the limit"
        self._session.odd("refused", size, digest, told)
        self._session.to_client(error_line(None, INVALID_REQUEST, told))

    def _plan(self, line: bytes) -> _Plan:
        plan = _Plan(line)
        if not line.strip():
            return plan
        try:
            messages, plan.is_batch = parse_message(line)
        except MessageRefused as fault:
            self._refuse_line(plan, fault)
            return plan
        try:
            for message in messages:
                self._plan_message(plan, message)
            others = plan.notes or plan.cancels or plan.answers or plan.asked
            if plan.verdict == "pause" and others:
                told = "a batch that waits for an approver holds nothing but calls"
                raise MessageRefused(INVALID_REQUEST, told)
        except MessageRefused as fault:
            self._refuse_line(plan, fault)
        if plan.verdict == "refuse":
            self._withdraw(plan, messages)
        return plan

    def _plan_message(self, plan: _Plan, message: Message) -> None:
        if isinstance(message, Response):
            plan.answers.append(message)
            return
        if is_disguised(message.method):
            told = "a known method in another spelling"
            raise MessageRefused(METHOD_NOT_FOUND, told, getattr(message, "id", None))
        if isinstance(message, Notification):
            self._plan_notification(plan, message)
            return
        params = message.params
        if message.method in HOUSEKEEPING:
            self._note_client(params.get("clientInfo"))
            fault = self._session.calls.ask(message.key)
            if fault is not None:
                raise _no_room(message, fault)
            plan.asked.append(message.key)
            return
        meta = params.get("_meta")
        if isinstance(meta, dict):
            self._note_client(meta.get(_CLIENT_INFO))
        self._judge(plan, message)

    def _plan_notification(self, plan: _Plan, message: Notification) -> None:
        if message.method in KNOWN:
            raise MessageRefused(INVALID_REQUEST, f"{message.method} needs an id")
        if message.method == CANCELLED:
            plan.cancels.append(message.params.get("requestId"))
        elif message.method not in TELLING:
            # Nobody answers it, and yet it may do something.
            request = Request(id="", method=message.method, params=message.params)
            call = call_of(request, "client", self._session.policy.server)
            ruling = self._session.ruling(call)
            one = self._session.begin(call, ruling, plan.line)
            one.is_note = True
            if ruling.action in ("block", "pause"):
                self._session.receipts.denied(one, _told("blocked", ruling))
                plan.verdict = "refuse"
                plan.refusals.append((None, BLOCKED, _told("blocked", ruling)))
            else:
                plan.notes.append(one)

    def _judge(self, plan: _Plan, request: Request) -> None:
        check_call(request)
        call = call_of(request, "client", self._session.policy.server)
        ruling = self._session.ruling(call)
        one = self._session.begin(call, ruling, plan.line)
        one.correlation = one.correlation or self._session.calls.linked(call)
        if ruling.action == "block":
            told = _told("blocked", ruling)
            event(logging.WARNING, "mcp_blocked", tool=call.tool, rule=ruling.name)
            self._session.receipts.denied(one, told)
            plan.verdict = "refuse"
            plan.refusals.append((call.id, BLOCKED, told))
            return
        fault = self._session.keep(one)
        if fault is not None:
            raise _no_room(request, fault)
        if ruling.action == "flag":
            event(logging.WARNING, "mcp_flagged", tool=call.tool, rule=ruling.name)
        if ruling.action == "pause" and plan.verdict == "forward":
            plan.verdict = "pause"
        plan.calls.append(one)

    def _refuse_line(self, plan: _Plan, fault: MessageRefused) -> None:
        event(logging.WARNING, "mcp_refused", reason=fault.message)
        plan.verdict = "refuse"
        plan.refusals.append((fault.id, fault.code, fault.message))
        digest = sha256_tagged(plan.line)
        self._session.odd("refused", len(plan.line), digest, fault.message)

    def _withdraw(self, plan: _Plan, messages: Sequence[Message]) -> None:
        """Let nothing of a refused line wait; of a batch, refuse each request."""
        for one in (*plan.calls, *plan.notes):
            self._session.deny(one, "in a batch with something that was refused")
        self._session.calls.unask(plan.asked)
        plan.calls, plan.notes, plan.cancels, plan.answers = [], [], [], []
        told = {refusal[0] for refusal in plan.refusals}
        for message in messages if plan.is_batch else ():
            if isinstance(message, Request) and message.id not in told:
                refusal = (message.id, BLOCKED, "in a batch with something that was refused")
                plan.refusals.append(refusal)

    def _unrecorded(self, plan: _Plan) -> None:
        """Refuse a line whose receipts are not on stable storage."""
        plan.verdict = "refuse"
        self._session.calls.unask(plan.asked)
        for one in plan.calls:
            event(logging.ERROR, "mcp_no_receipt", tool=one.call.tool)
            self._session.deny(one, UNRECORDED)
            plan.refusals.append((one.call.id, NOT_RECORDED, UNRECORDED))
        for one in plan.notes:
            event(logging.ERROR, "mcp_no_receipt", tool=one.call.tool)
            self._session.receipts.denied(one, UNRECORDED)
            plan.refusals.append((None, NOT_RECORDED, UNRECORDED))

    def _carry_out(self, plan: _Plan) -> None:
        if plan.verdict == "refuse":
            self._session.refuse(plan.refusals, is_batch=plan.is_batch)
        elif plan.verdict == "pause":
            self._approving.hold(plan.calls, plan.line, is_batch=plan.is_batch)
        else:
            # All of them, also where the first one is for the server.
            wanted = [self._approving.cancel(one) for one in plan.cancels]
            if all(wanted) or plan.is_batch:
                self._session.to_server(plan.line)

    def _note_client(self, info: Any) -> None:
        name = info.get("name") if isinstance(info, dict) else None
        if isinstance(name, str):
            self._session.receipts.named(name)


def check_call(request: Request) -> None:
    """Raise where servers could read a call in several ways."""
    params = request.params
    try:
        refuse_case_variants(params, PARAMS, "params")
    except MessageRefused as fault:
        raise MessageRefused(INVALID_PARAMS, fault.message, request.id) from None
    if not isinstance(params.get("_meta", {}), dict):
        raise MessageRefused(INVALID_PARAMS, "_meta is no object", request.id)
    if request.method != TOOL_CALL:
        return
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str) or not name:
        raise MessageRefused(INVALID_PARAMS, "a tool's name is a text", request.id)
    if "\0" in name:
        raise MessageRefused(INVALID_PARAMS, "a tool's name holds a NUL", request.id)
    if arguments is not None and not isinstance(arguments, dict):
        raise MessageRefused(INVALID_PARAMS, "arguments are an object", request.id)


def _no_room(request: Request, fault: str) -> MessageRefused:
    # Under an id that is in use, the refusal could pass for the answer to the other request.
    return MessageRefused(TOO_MANY, fault, None if fault == IN_USE else request.id)


def _told(what: str, ruling: Decision) -> str:
    return f"{what} by rule {ruling.name}" + (f": {ruling.reason}" if ruling.reason else "")
