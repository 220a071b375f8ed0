# SPDX-License-Identifier: Apache-2.0
"""What the daemon is told of calls: the attempt before it is forwarded, and what came of it.

Both frames carry one correlation id; their idempotency keys come from the request's id. What a
frame can't hold (too large, numbers that no double holds) goes along by digest and size: no action
goes without a receipt for what it was given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec

from tallystick.channels.jsonrpc import without_end
from tallystick.channels.mcp_calls import Call, Open, fitting
from tallystick.crypto.digest import sha256_tagged
from tallystick.crypto.strict import may_hold_values_over
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.errors import EmitError, Error, FrameRefused
from tallystick.limits import (
    ATTESTING_THREADS_MAX,
    FRAME_PAYLOAD_BYTES_MAX,
    FRAME_RESOURCE_BYTES_MAX,
    JSON_VALUES_MAX,
    RULE_REASON_CHARS_MAX,
)
from tallystick.model.redact import Redactor
from tallystick.serve.logs import event

_ERROR_CHARS_MAX: Final = 2000


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came back: its payload, the message that it came in, and what went wrong."""

    error: str | None = None
    is_parsed: bool = True
    line: bytes = b""
    output: Any = None


class Receipts:
    """Tells the daemon. With `required`, an attempt counts only when its receipt is stored."""

    def __init__(
        self,
        open_emitter: Callable[[], DaemonEmitter],
        *,
        server: str,
        redactor: Redactor,
        required: bool,
    ) -> None:
        """Open one emitter, or one for each thread that waits for the daemon's word."""
        self._emitter = open_emitter()
        self._server = fitting(server)
        self._redactor = redactor
        self._begin = f"mcp:{self._emitter.session_id}"
        self._issuer: str | None = None
        self._idle: list[DaemonEmitter] = []
        self._pool: ThreadPoolExecutor | None = None
        if required:
            # One more than threads: who has only one call to tell of tells it without them.
            self._idle = [open_emitter() for _ in range(ATTESTING_THREADS_MAX + 1)]
            self._spare = list(self._idle)
            self._pool = ThreadPoolExecutor(ATTESTING_THREADS_MAX, "attest")

    @property
    def session(self) -> str:
        """The session id of frames whose call names none."""
        return self._emitter.session_id

    def named(self, client: str) -> None:
        """Remember what the client calls itself."""
        self._issuer = fitting(client) or None

    def correlation(self, one: Open) -> str:
        """Return the id that ties the receipts of a call: the host's, or one of our own."""
        if one.correlation is None:
            one.correlation = f"{self._begin}:{one.number}"
        return one.correlation

    def attempts(self, calls: Sequence[Open]) -> list[bool]:
        """Tell of calls before they are forwarded; with `required`, say which may be."""
        if self._pool is None:
            for one in calls:
                self._send(self._emitter, self._attempt(one), one.line)
            return [True] * len(calls)
        if len(calls) == 1:
            return [self._stored(calls[0], "attempt")]
        return list(self._pool.map(lambda one: self._stored(one, "attempt"), calls))

    def approved(self, one: Open) -> bool:
        """Tell that somebody approved a call; with `required`, say whether that is stored."""
        if self._pool is not None:
            return self._pool.submit(self._stored, one, "approved").result()
        self._send(self._emitter, self._frame(one, "pending", "approved"), one.line)
        return True

    def asked(self, one: Open) -> None:
        """Tell of a request of the server; it passes whatever becomes of its receipt."""
        self._send(self._emitter, self._frame(one, "pending", "attempt"), one.line)

    def ended(self, one: Open, answer: Answer) -> None:
        """Tell how a call that was forwarded went."""
        self._finish(one, "allowed", answer)

    def unknown(self, one: Open, error: str | None, answer: Answer | None = None) -> None:
        """Tell that nobody can say how a call went, or that it goes on elsewhere."""
        self._finish(one, "pending", answer or Answer(error=error))

    def denied(self, one: Open, error: str) -> None:
        """Tell that a call was not forwarded."""
        self._finish(one, "denied", Answer(error=error))

    def odd(self, name: str, size: int, digest: str, error: str, number: int) -> None:
        """Tell of a message by its digest: `refused` from the client, or one of the server's.

        The one was not passed on. The others were: `unparsed`, which could not be read, and
        `unexpected`, which is no answer that anybody waits for.
        """
        is_refused = name == "refused"
        frame = {
            "tool": {"name": f"message.{name}", "server": self._server},
            "channel": "mcp",
            "decision": "denied" if is_refused else "allowed",
            "action_type": f"mcp.message.{name}",
            "input" if is_refused else "output": {"unparsed": {"bytes": size, "hash": digest}},
            "error": error,
            "issuer_name": self._issuer,
            "idempotency_key": f"{self._begin}:{name}:{number}",
        }
        self._send(self._emitter, frame)

    def close(self) -> None:
        """Say what is still to be said, and let go of the daemon."""
        if self._pool is not None:
            self._pool.shutdown()
        for emitter in (self._emitter, *(self._spare if self._pool is not None else ())):
            try:
                # All have one spool: what one can't deliver the others can't, and would say so.
                emitter.close(delivers=emitter is self._emitter)
            except Error as fault:
                event(logging.WARNING, "mcp_close", reason=str(fault))

    def _attempt(self, one: Open) -> dict[str, Any]:
        # What nobody answers has no outcome to wait for.
        return self._frame(one, "allowed" if one.is_note else "pending", "attempt")

    def _finish(self, one: Open, decision: str, answer: Answer) -> None:
        frame = self._frame(one, decision, "outcome")
        error = answer.error
        if answer.line:
            is_whole = answer.is_parsed and fits(answer.line)
            frame["output"] = answer.output if is_whole else omitted(answer.line)
        frame["error"] = None if error is None else self._clear(error, _ERROR_CHARS_MAX)
        self._send(self._emitter, frame, one.line, answer.line)

    def _frame(self, one: Open, decision: str, phase: str) -> dict[str, Any]:
        call, ruling = one.call, one.ruling
        frame: dict[str, Any] = {
            "tool": {"name": fitting(call.tool), "server": self._server},
            "channel": "mcp",
            "decision": decision,
            "action_type": call.action_type,
            "input": call.arguments if fits(one.line) else omitted(one.line),
            "correlation_id": self.correlation(one),
            "idempotency_key": self._key(call, one.number, phase),
            "issuer_name": self._issuer,
            "model": call.model,
        }
        if call.session is not None:
            frame["session_id"] = call.session
        if call.target is not None:
            frame["target_system"] = self._server
            frame["target_resource"] = self._clear(call.target, FRAME_RESOURCE_BYTES_MAX // 4)
        if ruling.name is not None:
            rule = frame["rule"] = {"name": ruling.name, "action": ruling.action}
            if one.approver:
                rule["approver"] = fitting(one.approver)
            if one.reason:
                rule["reason"] = self._clear(one.reason, RULE_REASON_CHARS_MAX)
        return frame

    def _key(self, call: Call, number: int, phase: str) -> str:
        # The request's id is in it, and a number: some clients use an id again.
        return fitting(f"{self._begin}:{call.direction[0]}{call.id!r}:{number}:{phase}")

    def _clear(self, text: str, chars_max: int) -> str:
        shown = self._redactor.text(text)
        if len(shown) > chars_max:
            shown = shown[: chars_max - 1] + "…"
        return shown.encode("utf-8", "replace").decode()

    def _stored(self, one: Open, phase: str) -> bool:
        """Send a frame and wait until its receipt is stored; tell whether it is."""
        emitter = self._idle.pop()
        try:
            frame = self._attempt(one) if phase == "attempt" else self._frame(one, "pending", phase)
            return self._send(emitter, {**frame, "ack": True}, one.line)
        finally:
            self._idle.append(emitter)

    def _send(
        self, emitter: DaemonEmitter, frame: dict[str, Any], asked: bytes = b"", told: bytes = b""
    ) -> bool:
        for attempt in _fallbacks(frame, asked, told):
            try:
                emitter.send(attempt, counts_refused=False)
            except FrameRefused as fault:
                event(logging.DEBUG, "mcp_frame_refused", code=fault.code, where=fault.where)
            except EmitError as fault:
                event(logging.WARNING, "mcp_not_recorded", reason=str(fault))
                return False
            else:
                return True
        event(logging.ERROR, "mcp_not_recorded", reason="no frame can hold it")
        return False


def omitted(line: bytes) -> dict[str, Any]:
    """Return what stands for a payload that no frame holds: the message that it came in."""
    return {"omitted": {"bytes": len(line), "message_hash": sha256_tagged(without_end(line))}}


def fits(line: bytes) -> bool:
    """Whether a frame can hold the payload of a message."""
    return len(line) <= FRAME_PAYLOAD_BYTES_MAX and not may_hold_values_over(
        line, JSON_VALUES_MAX // 2
    )


def _fallbacks(frame: dict[str, Any], asked: bytes, told: bytes) -> Iterable[dict[str, Any]]:
    """Yield the frame, then what is left of it where it was refused."""
    yield frame
    smaller = dict(frame)
    for name, line in (("input", asked), ("output", told)):
        if smaller.get(name) is not None and line:
            smaller[name] = omitted(line)
    yield smaller
    kept = ("channel", "decision", "input", "output", "correlation_id", "ack")
    yield {name: smaller[name] for name in kept if name in smaller} | {
        "tool": {"name": "unnamed"},
        "error": "its names fit into no frame",
    }
