# SPDX-License-Identifier: Apache-2.0
"""Calls that wait until somebody approves or denies them. Each leaves once, by whoever is first.

What is shown of a call is redacted and cut; what is forwarded later is the message as it came.
"""

from __future__ import annotations

import json
from threading import Lock
from typing import Any, Literal

import msgspec

from tallystick.channels.jsonrpc import Key
from tallystick.channels.mcp_calls import Open, fitting
from tallystick.limits import (
    APPROVAL_SHOWN_CHARS_MAX,
    PAUSED_BYTES_MAX,
    PAUSED_CALLS_MAX,
)
from tallystick.model.redact import Redactor

# What became of a decision. To approve can come too late, or find no receipt to stand in.
Settled = Literal["done", "gone", "cancelled", "not_recorded"]


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """One message that is held, and the calls in it: one, or those of a batch."""

    id: str
    calls: tuple[Open, ...]
    is_batch: bool
    line: bytes
    since: str
    until_s: float


class Approvals:
    """The calls of one proxy that wait for an approver."""

    def __init__(self, redactor: Redactor) -> None:
        self._paused: dict[str, Paused] = {}
        self._lock = Lock()
        self._redactor = redactor

    def add(self, paused: Paused) -> bool:
        """Keep a message; tell whether there was room."""
        with self._lock:
            held = (*self._paused.values(), paused)
            if sum(len(one.calls) for one in held) > PAUSED_CALLS_MAX:
                return False
            if sum(len(one.line) for one in held) > PAUSED_BYTES_MAX:
                return False
            self._paused[paused.id] = paused
        return True

    def take(self, id: str, now_s: float) -> Paused | None:  # noqa: A002
        """Take a message off; None where it has been settled, or never was, or its time is up.

        Who was stopped for a while hears of a decision before it looks at the time by itself.
        """
        with self._lock:
            paused = self._paused.get(id)
            if paused is None or now_s >= paused.until_s:
                return None
            return self._paused.pop(id)

    def take_call(self, key: Key) -> Paused | None:
        """Take the message off that holds the client's request with this id."""
        with self._lock:
            for paused in self._paused.values():
                if any(one.key == key for one in paused.calls):
                    return self._paused.pop(paused.id)
        return None

    def take_expired(self, now_s: float) -> list[Paused]:
        """Take those off that nobody has settled in time."""
        with self._lock:
            over = [one for one in self._paused.values() if now_s >= one.until_s]
            for one in over:
                del self._paused[one.id]
        return over

    def take_all(self) -> list[Paused]:
        """Take all off."""
        with self._lock:
            left = list(self._paused.values())
            self._paused.clear()
        return left

    def listing(self, now_s: float) -> list[dict[str, Any]]:
        """Return what approvers are shown, the oldest first."""
        with self._lock:
            waiting = list(self._paused.values())
        return [self._shown(one, now_s) for one in waiting]

    def _shown(self, paused: Paused, now_s: float) -> dict[str, Any]:
        return {
            "id": paused.id,
            "since": paused.since,
            "seconds_left": max(0, round(paused.until_s - now_s)),
            "calls": [self._call(one) for one in paused.calls],
        }

    def _call(self, one: Open) -> dict[str, Any]:
        call = one.call
        arguments = json.dumps(self._redactor.value(call.arguments), ensure_ascii=False)
        if len(arguments) > APPROVAL_SHOWN_CHARS_MAX:
            # Who decides has to see how much is not seen.
            left = len(arguments) - APPROVAL_SHOWN_CHARS_MAX
            arguments = f"{arguments[:APPROVAL_SHOWN_CHARS_MAX]}… ({left} more characters)"
        return {
            "method": fitting(call.method),
            "tool": fitting(self._redactor.text(call.tool)),
            "action_type": call.action_type,
            "risk": call.risk,
            "rule": one.ruling.name,
            "reason": one.ruling.reason,
            "arguments": arguments,
        }
