# SPDX-License-Identifier: Apache-2.0
"""What passes between a client and a server of MCP, looked at; knows nothing of how it travels.

Lines come in and go out as the same bytes, in the same order. From the client, what can't be read
in one way only is refused, and calls are forwarded after their receipts and the rules have spoken.
From the server, everything passes. A call that is paused leaves the line to those behind it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Literal

import msgspec

from tallystick.channels.approvals import Approvals, Paused
from tallystick.channels.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Id,
    Message,
    Notification,
    Request,
    Response,
    error_line,
    glimpse,
    is_id,
    parse_message,
    refuse_case_variants,
)
from tallystick.channels.mcp_calls import Call, Calls, Open, call_of
from tallystick.channels.mcp_methods import (
    CANCELLED,
    HOUSEKEEPING,
    KNOWN,
    PARAMS,
    TOOL_CALL,
    is_disguised,
)
from tallystick.channels.mcp_receipts import Answer, Receipts, fits
from tallystick.channels.rules import Rules, Ruling
from tallystick.crypto.digest import sha256_tagged
from tallystick.errors import MessageRefused
from tallystick.limits import APPROVAL_WAIT_SECONDS
from tallystick.serve.logs import event

BLOCKED: Final = -32010
DENIED: Final = -32011
APPROVAL_TIMED_OUT: Final = -32012
NOT_RECORDED: Final = -32013
TOO_MANY: Final = -32014

_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
_PASS: Final = Ruling("pass")

# Takes whole lines, and returns when they are handed over.
Outlet = Callable[[bytes], None]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy was told about how to treat calls."""

    server: str
    rules: Rules
    wait_s: float = APPROVAL_WAIT_SECONDS
    late_s: float | None = None


class _Plan:
    """What is to be done with one line from the client."""

    __slots__ = ("calls", "cancels", "is_batch", "line", "notes", "refusals", "verdict")

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.verdict: Literal["forward", "refuse", "pause"] = "forward"
        self.calls: list[Open] = []
        self.notes: list[Open] = []
        self.cancels: list[Any] = []
        self.refusals: list[tuple[Id | None, int, str]] = []
        self.is_batch = False


class Inspection:
    """One session between one client and one server."""

    def __init__(
        self,
        policy: Policy,
        receipts: Receipts,
        approvals: Approvals,
        *,
        to_client: Outlet,
        to_server: Outlet,
        clock_ns: Callable[[], int],
    ) -> None:
        """Take the rules, where receipts go, and where lines go."""
        self._policy = policy
        self._receipts = receipts
        self._approvals = approvals
        self._to_client = to_client
        self._to_server = to_server
        self._clock_ns = clock_ns
        self._calls = Calls()
        self._numbers = count(1)

    # ---------------------------------------------------------------------------- from the client

    def from_client(self, lines: Sequence[bytes]) -> None:
        """Judge lines from the client; forward, refuse or hold each of them, in their order."""
        plans = [self._plan(line) for line in lines]
        attempts = [one for plan in plans if plan.verdict != "refuse" for one in plan.calls]
        if attempts:
            stored = dict(zip(attempts, self._receipts.attempts(attempts), strict=True))
            for plan in plans:
                if plan.verdict != "refuse" and not all(stored[one] for one in plan.calls):
                    self._unrecorded(plan)
        ready: list[bytes] = []
        for plan in plans:
            if plan.verdict == "forward" and not plan.cancels:
                for one in (*plan.calls, *plan.notes):
                    one.is_forwarded = True
                for one in plan.notes:
                    self._receipts.ended(one, Answer())
                ready.append(plan.line)
                continue
            if ready:  # nothing overtakes what came before it
                self._to_server(b"".join(ready))
                ready = []
            self._carry_out(plan)
        if ready:
            self._to_server(b"".join(ready))

    def refuse_overlong(self, size: int, digest: str) -> None:
        """Tell of a line from the client that was over the limit, and was dropped as it came."""
        told = f"a message of {size} bytes, over the limit"
        self._receipts.odd("refused", size, digest, told, next(self._numbers))
        self._to_client(error_line(None, INVALID_REQUEST, told))

    def client_gone(self) -> None:
        """Deny what nobody approved: who asked for it is not there any more."""
        for paused in self._approvals.take_all():
            self._drop(paused, "the client left before anybody decided")

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
        except MessageRefused as fault:
            self._refuse_line(plan, fault)
        if plan.verdict == "refuse":
            self._withdraw(plan, messages)
        return plan

    def _plan_message(self, plan: _Plan, message: Message) -> None:
        if isinstance(message, Response):
            self._answered("server", message, plan.line)
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
        elif not message.method.startswith("notifications/"):
            # Nobody answers it, and yet it may do something.
            request = Request(id="", method=message.method, params=message.params)
            call = call_of(request, "client", self._policy.server)
            ruling = self._ruling(call)
            one = self._open(call, ruling, plan.line)
            if ruling.action in ("block", "pause"):
                self._receipts.denied(one, _told("blocked", ruling))
                plan.verdict = "refuse"
                plan.refusals.append((None, BLOCKED, _told("blocked", ruling)))
            else:
                plan.notes.append(one)

    def _judge(self, plan: _Plan, request: Request) -> None:
        _check_call(request)
        call = call_of(request, "client", self._policy.server)
        ruling = self._ruling(call)
        one = self._open(call, ruling, plan.line)
        one.correlation = one.correlation or self._calls.linked(call)
        if ruling.action == "block":
            told = _told("blocked", ruling)
            event(logging.WARNING, "mcp_blocked", tool=call.tool, rule=ruling.name)
            self._receipts.denied(one, told)
            plan.verdict = "refuse"
            plan.refusals.append((call.id, BLOCKED, told))
            return
        fault = self._calls.add(one)
        if fault is not None:
            raise MessageRefused(TOO_MANY, fault)
        if ruling.action == "flag":
            event(logging.WARNING, "mcp_flagged", tool=call.tool, rule=ruling.name)
        if ruling.action == "pause" and plan.verdict == "forward":
            plan.verdict = "pause"
        plan.calls.append(one)

    def _ruling(self, call: Call) -> Ruling:
        return self._policy.rules.judge(call.subject(self._policy.server), self._clock_ns())

    def _open(self, call: Call, ruling: Ruling, line: bytes) -> Open:
        return Open(call, ruling, line, next(self._numbers), time.monotonic())

    def _refuse_line(self, plan: _Plan, fault: MessageRefused) -> None:
        event(logging.WARNING, "mcp_refused", reason=fault.message)
        plan.verdict = "refuse"
        plan.refusals.append((fault.id, fault.code, fault.message))
        self._receipts.odd(
            "refused",
            len(plan.line),
            sha256_tagged(plan.line),
            fault.message,
            next(self._numbers),
        )

    def _withdraw(self, plan: _Plan, messages: Sequence[Message]) -> None:
        """Let nothing of a refused line wait; of a batch, refuse each request."""
        for one in plan.calls:
            self._calls.close("client", (type(one.call.id), one.call.id))
            self._receipts.denied(one, "in a batch with something that was refused")
        plan.calls, plan.notes, plan.cancels = [], [], []
        told = {id for id, _, _ in plan.refusals}
        for message in messages if plan.is_batch else ():
            if isinstance(message, Request) and message.id not in told:
                refusal = (message.id, BLOCKED, "in a batch with something that was refused")
                plan.refusals.append(refusal)

    def _unrecorded(self, plan: _Plan) -> None:
        """Refuse a line whose receipts are not on stable storage."""
        told = "not forwarded: there is no durable receipt of it"
        plan.verdict = "refuse"
        for one in plan.calls:
            event(logging.ERROR, "mcp_no_receipt", tool=one.call.tool)
            self._calls.close("client", (type(one.call.id), one.call.id))
            self._receipts.denied(one, told)
            plan.refusals.append((one.call.id, NOT_RECORDED, told))

    def _carry_out(self, plan: _Plan) -> None:
        if plan.verdict == "refuse":
            self._refuse(plan.refusals, is_batch=plan.is_batch)
        elif plan.verdict == "pause":
            self._pause(plan)
        elif all([self._cancel(one) for one in plan.cancels]):
            self._to_server(plan.line)

    def _refuse(self, refusals: Sequence[tuple[Id | None, int, str]], *, is_batch: bool) -> None:
        answers = [error_line(id, code, told) for id, code, told in refusals]
        if is_batch:
            self._to_client(b"[" + b",".join(one.rstrip() for one in answers) + b"]\n")
        else:
            self._to_client(b"".join(answers))

    def _cancel(self, request_id: Any) -> bool:
        """Note that the client wants no answer; tell whether the server has to hear of it."""
        if not is_id(request_id):
            return True
        key = (type(request_id), request_id)
        paused = self._approvals.take_call(key)
        if paused is not None:  # the server has never seen it
            self._drop(paused, "the client cancelled it before anybody decided")
            return False
        one = self._calls.find("client", key)
        if one is not None:
            one.is_cancelled = True
        return True

    def _note_client(self, info: Any) -> None:
        name = info.get("name") if isinstance(info, dict) else None
        if isinstance(name, str):
            self._receipts.named(name)

    # --------------------------------------------------------------------------------- approvals

    def _pause(self, plan: _Plan) -> None:
        paused = Paused(
            id=secrets.token_hex(6),
            calls=tuple(plan.calls),
            is_batch=plan.is_batch,
            line=plan.line,
            since=_instant(self._clock_ns()),
            until_s=time.monotonic() + self._policy.wait_s,
        )
        if self._approvals.add(paused):
            tools = ", ".join(one.call.tool for one in paused.calls)
            event(logging.WARNING, "mcp_paused", id=paused.id, tool=tools)
        else:
            self._reject(paused, TOO_MANY, "too many calls wait for an approver")

    def settle(self, id: str, *, approve: bool, approver: str, reason: str | None) -> bool:  # noqa: A002
        """Approve or deny what waits under an id; tell whether it still did."""
        paused = self._approvals.take(id)
        if paused is None:
            return False
        for one in paused.calls:
            one.approver = approver
            one.reason = reason or one.reason
        if not approve:
            self._reject(paused, DENIED, f"denied by {approver}: {reason or 'no reason given'}")
        elif all([self._receipts.approved(one) for one in paused.calls]):
            for one in paused.calls:
                one.is_forwarded = True
            self._to_server(paused.line)
        else:
            self._reject(paused, NOT_RECORDED, "not forwarded: there is no durable receipt of it")
        return True

    def expire(self) -> None:
        """Deny what nobody settled in time, and tell of calls that wait for too long."""
        now_s = time.monotonic()
        for paused in self._approvals.take_expired(now_s):
            told = f"timed out: nobody decided within {self._policy.wait_s:g} seconds"
            self._reject(paused, APPROVAL_TIMED_OUT, told)
        late_s = self._policy.late_s
        for one in self._calls.late(now_s, late_s) if late_s is not None else ():
            self._receipts.unknown(one, f"timed out: no answer within {late_s:g} seconds so far")

    def listing(self) -> list[dict[str, Any]]:
        """Return what waits for an approver."""
        return self._approvals.listing(time.monotonic())

    def _reject(self, paused: Paused, code: int, told: str) -> None:
        self._drop(paused, told)
        refusals = [(one.call.id, code, told) for one in paused.calls]
        self._refuse(refusals, is_batch=paused.is_batch)

    def _drop(self, paused: Paused, told: str) -> None:
        for one in paused.calls:
            self._calls.close("client", (type(one.call.id), one.call.id))
            self._receipts.denied(one, told)

    # ---------------------------------------------------------------------------- from the server

    def from_server(self, lines: Sequence[bytes]) -> None:
        """Note what comes from the server, and pass it on, whatever it is."""
        for line in lines:
            self._note(line)
        self._to_client(b"".join(lines))

    def note_overlong(self, size: int, digest: str) -> None:
        """Tell of a line from the server that was too long to be held, and passed as it came."""
        self._receipts.odd("unparsed", size, digest, "over the limit", next(self._numbers))

    def server_gone(self, how: str) -> None:
        """Tell of all that will never be answered."""
        for paused in self._approvals.take_all():
            self._reject(paused, DENIED, f"the server {how} before anybody decided")
        for one in self._calls.close_all():
            if one.call.direction == "server":
                told = "outcome unknown: the session ended before the client answered"
            elif one.is_cancelled:
                told = f"outcome unknown: cancelled by the client, and the server {how}"
            else:
                told = f"outcome unknown: the server {how} before it answered"
            self._receipts.unknown(one, told)

    def _note(self, line: bytes) -> None:
        if not line.strip():
            return
        if not fits(line) and self._noted_by_id(line):
            return
        try:
            messages, _ = parse_message(line)
        except MessageRefused as fault:
            if not self._noted_by_id(line):
                self._receipts.odd(
                    "unparsed",
                    len(line),
                    sha256_tagged(line),
                    fault.message,
                    next(self._numbers),
                )
            return
        for message in messages:
            if isinstance(message, Response):
                self._answered("client", message, line)
            elif isinstance(message, Request) and message.method not in HOUSEKEEPING:
                self._asked(message, line)
            elif isinstance(message, Notification) and message.method == CANCELLED:
                self._cancelled_by_server(message.params.get("requestId"))

    def _noted_by_id(self, line: bytes) -> bool:
        """Note an answer by its id alone: the rest is too large, or can be read in two ways."""
        seen = glimpse(line)
        one = None if seen is None else self._calls.close("client", seen.key)
        if seen is None or one is None:
            return False
        self._end(
            one, Answer(error="the server says: an error" if seen.is_error else None, line=line)
        )
        return True

    def _asked(self, request: Request, line: bytes) -> None:
        """Keep a request of the server; the client will answer it, or not."""
        if request.method == TOOL_CALL and not isinstance(request.params.get("name"), str):
            return
        one = self._open(call_of(request, "server", self._policy.server), _PASS, line)
        one.is_forwarded = True
        if self._calls.add(one) is None:
            self._receipts.asked(one)
        else:
            self._receipts.unknown(one, "another request of the server with this id is open")

    def _cancelled_by_server(self, request_id: Any) -> None:
        if is_id(request_id):
            one = self._calls.find("server", (type(request_id), request_id))
            if one is not None:
                one.is_cancelled = True

    def _answered(
        self, direction: Literal["client", "server"], response: Response, line: bytes
    ) -> None:
        one = self._calls.close(direction, response.key)
        if one is None:
            return
        output = response.output if response.error is None else response.error
        answer = Answer(error=_error_of(response), line=line, output=output)
        if self._calls.link(response.output, self._receipts.correlation(one)):
            self._receipts.unknown(one, None, answer)  # it goes on in another request
        else:
            self._end(one, answer)

    def _end(self, one: Open, answer: Answer) -> None:
        if one.is_cancelled:
            told = "cancelled before it was answered"
            answer = msgspec.structs.replace(
                answer, error=told if answer.error is None else f"{told}: {answer.error}"
            )
        self._receipts.ended(one, answer)


def _check_call(request: Request) -> None:
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
    if arguments is not None and not isinstance(arguments, dict):
        raise MessageRefused(INVALID_PARAMS, "arguments are an object", request.id)


def _error_of(response: Response) -> str | None:
    error = response.error
    if error is not None:
        if isinstance(error, dict):
            return f"{error.get('code')}: {error.get('message')}"
        return "an error that is no object"
    output = response.output
    if isinstance(output, dict) and output.get("isError") is True:
        content = output.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and isinstance(block.get("text"), str):
                return f"isError: {block['text']}"
        return "isError"
    return None


def _told(what: str, ruling: Ruling) -> str:
    return f"{what} by rule {ruling.name}" + (f": {ruling.reason}" if ruling.reason else "")


def _instant(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
