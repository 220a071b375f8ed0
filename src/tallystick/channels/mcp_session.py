# SPDX-License-Identifier: Apache-2.0
"""One session between one client and one server: what its two sides share.

A call ends here, whoever ends it: an answer, a rule, an approver, or the end of client or server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, Literal

import msgspec

from tallystick.channels.approvals import Approvals, Paused
from tallystick.channels.jsonrpc import Id, Key, Response, error_line
from tallystick.channels.mcp_calls import Call, Calls, Open
from tallystick.channels.mcp_receipts import Answer, Receipts
from tallystick.channels.rules import Decision, Rules
from tallystick.crypto.digest import sha256_tagged
from tallystick.limits import APPROVAL_WAIT_SECONDS_MAX

BLOCKED: Final = -32010
DENIED: Final = -32011
APPROVAL_TIMED_OUT: Final = -32012
NOT_RECORDED: Final = -32013
TOO_MANY: Final = -32014
UNRECORDED: Final = "not forwarded: there is no durable receipt of it"

# Takes whole lines, and returns when they are handed over.
Outlet = Callable[[bytes], None]
# (id, code, message) of each request that is refused.
Refusals = Sequence[tuple[Id | None, int, str]]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy was told about how to treat calls."""

    server: str
    rules: Rules
    wait_s: float = APPROVAL_WAIT_SECONDS_MAX
    late_s: float | None = None


class Session:
    """What is open, what was decided, and where lines and receipts go."""

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
        self.policy = policy
        self.receipts = receipts
        self.approvals = approvals
        self.to_client = to_client
        self.to_server = to_server
        self.clock_ns = clock_ns
        self.calls = Calls()
        self.numbers = count(1)

    def ruling(self, call: Call) -> Decision:
        """Return what the rules say of a call."""
        subject = call.subject(self.policy.server)
        return self.policy.rules.judge(subject, self.clock_ns(), time.monotonic())

    def begin(self, call: Call, ruling: Decision, line: bytes) -> Open:
        """Return a call with its number."""
        return Open(call, ruling, line, next(self.numbers), time.monotonic())

    def odd(self, name: str, size: int, digest: str, why: str) -> None:
        """Tell of a message that was not passed on, or not understood."""
        self.receipts.odd(name, size, digest, why, next(self.numbers))

    def refuse(self, refusals: Refusals, *, is_batch: bool) -> None:
        """Answer requests in the place of the server, which has never seen them."""
        answers = [error_line(request, code, why) for request, code, why in refusals]
        if is_batch:
            self.to_client(b"[" + b",".join(one.rstrip() for one in answers) + b"]\n")
        else:
            self.to_client(b"".join(answers))

    def reject(self, paused: Paused, code: int, why: str) -> None:
        """Deny what was held, and tell the client."""
        self.drop(paused, why)
        refusals = [(one.call.id, code, why) for one in paused.calls]
        self.refuse(refusals, is_batch=paused.is_batch)

    def drop(self, paused: Paused, why: str) -> None:
        """Deny what was held; nobody waits for an answer."""
        for one in paused.calls:
            self.deny(one, why)

    def deny(self, one: Open, why: str) -> None:
        """End a call that was not forwarded."""
        self.calls.close("client", one.key)
        self.receipts.denied(one, why)

    def answered(
        self, direction: Literal["client", "server"], response: Response, line: bytes
    ) -> None:
        """End the call that an answer is for, if it is one that we know."""
        one = self.closed(direction, response.key, line)
        if not isinstance(one, Open):
            return
        output = response.output if response.error is None else response.error
        answer = Answer(error=_error_of(response), line=line, output=output)
        if self.calls.link(response.output, self.receipts.correlation(one)):
            self.receipts.unknown(one, None, answer)  # it goes on in another request
        else:
            self.end(one, answer)

    def keep(self, one: Open, **wait: float) -> str | None:
        """Have a call wait for its answer; return why it can't."""
        fault = self.calls.add(one, **wait)
        for gone in self.calls.given_up():
            self.receipts.unknown(gone, "outcome unknown: cancelled, and not answered")
        return fault

    def closed(
        self, direction: Literal["client", "server"], key: Key, line: bytes
    ) -> Open | str | None:
        """Return the call that an answer is for; tell of an answer that only looks as one."""
        found = self.calls.answer(direction, key)
        if isinstance(found, str) and found:
            self.odd("unexpected", len(line), sha256_tagged(line), found)
        return found

    def end(self, one: Open, answer: Answer) -> None:
        """Tell how a call that was forwarded went."""
        if one.is_cancelled:
            why = "cancelled before it was answered"
            answer = msgspec.structs.replace(
                answer, error=why if answer.error is None else f"{why}: {answer.error}"
            )
        self.receipts.ended(one, answer)


def _error_of(response: Response) -> str | None:
    error = response.error
    if error is not None:
        if isinstance(error, dict):
            return f"{error.get('code')}: {error.get('message')}"
        return "an error that is no object"
    output = response.output
    # Not only `true`: clients take other values for it, too.
    if isinstance(output, dict) and output.get("isError"):
        content = output.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and isinstance(block.get("text"), str):
                return f"isError: {block['text']}"
        return "isError"
    return None
