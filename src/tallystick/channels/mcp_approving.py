# SPDX-License-Identifier: Apache-2.0
"""Calls that wait for somebody's word: held, approved, denied, cancelled, timed out."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tallystick.channels.approvals import Paused, Settled
from tallystick.channels.jsonrpc import is_id
from tallystick.channels.mcp_calls import Open, alike
from tallystick.channels.mcp_session import (
    APPROVAL_TIMED_OUT,
    DENIED,
    NOT_RECORDED,
    TOO_MANY,
    UNRECORDED,
    Session,
)
from tallystick.serve.logs import event


class Approving:
    """Holds calls of one session, and lets them go one way or the other."""

    def __init__(self, session: Session) -> None:
        """Share the session."""
        self._session = session

    def hold(self, calls: Sequence[Open], line: bytes, *, is_batch: bool) -> None:
        """Keep a message until somebody decides, or the time is up."""
        paused = Paused(
            id=secrets.token_hex(6),
            calls=tuple(calls),
            is_batch=is_batch,
            line=line,
            since=_instant(self._session.clock_ns()),
            until_s=time.monotonic() + self._session.policy.wait_s,
        )
        if self._session.approvals.add(paused):
            tools = ", ".join(one.call.tool for one in paused.calls)
            event(logging.WARNING, "mcp_paused", id=paused.id, tool=tools)
        else:
            self._session.reject(paused, TOO_MANY, "too many calls wait for an approver")

    def settle(self, id: str, *, approve: bool, approver: str, reason: str | None) -> Settled:  # noqa: A002
        """Approve or deny what waits under an id; tell what became of that."""
        paused = self._session.approvals.take(id, time.monotonic())
        if paused is None:
            return "gone"
        for one in paused.calls:
            one.approver = approver
            one.reason = reason or one.reason
        if not approve:
            why = f"denied by {approver}: {reason or 'no reason given'}"
            self._session.reject(paused, DENIED, why)
            return "done"
        if not self._are_recorded(paused.calls):
            self._session.reject(paused, NOT_RECORDED, UNRECORDED)
            return "not_recorded"
        for one in paused.calls:
            one.is_forwarded = True
        if any(one.is_cancelled for one in paused.calls):
            self._session.drop(paused, "the client cancelled it while it was approved")
            return "cancelled"
        self._session.to_server(paused.line)
        return "done"

    def _are_recorded(self, calls: Sequence[Open]) -> bool:
        """Tell the daemon who approved each of them."""
        recorded = [self._session.receipts.approved(one) for one in calls]
        return all(recorded)

    def expire(self) -> None:
        """Deny what nobody settled in time, and tell of calls that wait for too long."""
        now_s = time.monotonic()
        for paused in self._session.approvals.take_expired(now_s):
            told = f"timed out: nobody decided within {self._session.policy.wait_s:g} seconds"
            self._session.reject(paused, APPROVAL_TIMED_OUT, told)
        late_s = self._session.policy.late_s
        for one in self._session.calls.late(now_s, late_s) if late_s is not None else ():
            why = f"timed out: no answer within {late_s:g} seconds so far"
            self._session.receipts.unknown(one, why)

    def listing(self) -> list[dict[str, Any]]:
        """Return what waits for an approver."""
        return self._session.approvals.listing(time.monotonic())

    def cancel(self, request_id: Any) -> bool:
        """Note that the client wants no answer; tell whether the server has to hear of it."""
        if type(request_id) is float and request_id.is_integer():
            request_id = int(request_id)  # 7.0 is 7 for many clients
        if not is_id(request_id):
            return True
        key = (type(request_id), request_id)
        # What is held may go on once somebody approves it: a doubt is taken for a cancel.
        is_known = self._session.calls.find("client", key) is not None
        for each in (key,) if is_known else alike(key):
            paused = self._session.approvals.take_call(each)
            if paused is not None:  # the server has never seen it
                self._session.drop(paused, "the client cancelled it before anybody decided")
                return False
        one = self._session.calls.find("client", key)
        if one is None:
            return True
        one.is_cancelled = True
        # Not yet, where it is just being approved: who does that looks at it once more.
        return one.is_forwarded


def _instant(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
