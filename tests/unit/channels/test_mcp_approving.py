# SPDX-License-Identifier: Apache-2.0
"""Calls that wait for somebody's word."""

from __future__ import annotations

import json
import time

import pytest
from tests.inspections import Between, between, line_of
from tests.proxies import call

from tallystick.channels.mcp_calls import Open

RULES = "version: 1\ndefault: pass\nrules:\n  - {name: ask, action: pause, tool: 'p*'}\n"


def held(one: Between) -> str:
    (shown,) = one.inspection.approving.listing()
    return str(shown["id"])


def test_held_and_approved() -> None:
    """The message goes on as it came, once; the daemon hears who approved it before it does."""
    with between(RULES) as one:
        line = line_of(call(1, "push"))
        one.say(line, call(2, "x"))
        assert one.server == [line_of(call(2, "x"))]
        id = held(one)  # noqa: A001
        settle = one.inspection.approving.settle
        assert settle(id, approve=True, approver="ada", reason=None) == "done"
        assert one.server[1] == line
        assert settle(id, approve=True, approver="ada", reason=None) == "gone"
        approved = one.frames(3)[2]
        assert approved.rule is not None
        assert (approved.rule.approver, approved.rule.name) == ("ada", "ask")


def test_denied() -> None:
    """The client hears by whom and why; the server hears nothing."""
    with between(RULES) as one:
        one.say(call(1, "push"))
        settle = one.inspection.approving.settle
        assert settle(held(one), approve=False, approver="a", reason="no") == "done"
        assert json.loads(one.client[0])["error"] == {"code": -32011, "message": "denied by a: no"}
        assert not one.server
        assert [frame.decision for frame in one.frames(2)] == ["pending", "denied"]


def test_a_batch_is_held_whole() -> None:
    """One word for all of it, and one array of refusals."""
    with between(RULES) as one:
        one.say([call(1, "push"), call(2, "x")])
        one.inspection.approving.settle(held(one), approve=False, approver="a", reason=None)
        assert [each["id"] for each in json.loads(one.client[0])] == [1, 2]


def test_nobody_decides_in_time() -> None:
    """The call is denied when its time is up."""
    with between(RULES) as one:
        one.say(call(1, "push"))
        one.inspection.expire()
        assert not one.client
        real = time.monotonic
        time.monotonic = lambda: real() + 61
        try:
            one.inspection.expire()
        finally:
            time.monotonic = real
        assert json.loads(one.client[0])["error"]["code"] == -32012


def test_approved_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that was stopped meanwhile lets nothing through whose time is up."""
    with between(RULES) as one:
        one.say(call(1, "push"))
        id, real = held(one), time.monotonic  # noqa: A001
        monkeypatch.setattr(time, "monotonic", lambda: real() + 61)
        settle = one.inspection.approving.settle
        assert settle(id, approve=True, approver="ada", reason=None) == "gone"
        assert not one.server
        one.inspection.expire()
        assert json.loads(one.client[0])["error"]["code"] == -32012


def test_too_many_wait() -> None:
    """Further calls are denied at once."""
    with between(RULES) as one:
        for number in range(70):
            one.say(call(number, "push"))
        assert {json.loads(line)["error"]["code"] for line in one.client} == {-32014}
        assert len(one.client) == 6


def test_the_ends() -> None:
    """When client or server is gone, what waits is denied."""
    with between(RULES) as one:
        one.say(call(1, "push"))
        one.inspection.client_gone()
        assert not one.client
        one.say(call(2, "push"))
        one.inspection.server_gone("ended")
        assert json.loads(one.client[0])["error"]["code"] == -32011
        assert [frame.decision for frame in one.frames(4)].count("denied") == 2


def test_approved_without_a_receipt() -> None:
    """Where receipts are required, an approval that can't be stored lets nothing through."""
    with between(RULES, required=True) as one:
        one.say(call(1, "push"))
        id = held(one)  # noqa: A001
        one.listener.stop()
        settle = one.inspection.approving.settle
        assert settle(id, approve=True, approver="a", reason=None) == "not_recorded"
        assert json.loads(one.client[0])["error"]["code"] == -32013
        assert not one.server
        one.listener.__enter__()


def test_what_is_cancelled_while_it_waits() -> None:
    """A cancelled call leaves the list; a cancellation of anything else goes to the server."""
    with between(RULES) as one:
        one.say(call(1, "push"))
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        one.say({**cancel, "params": {"requestId": 1}})
        assert not one.server
        assert not one.inspection.approving.listing()
        one.say({**cancel, "params": {"requestId": 1}}, {**cancel, "params": {"requestId": []}})
        assert len(b"".join(one.server).splitlines()) == 2


@pytest.mark.parametrize("other", ["7", 7.0, "7.0"])
def test_a_cancel_under_an_id_that_is_alike(other: object) -> None:
    """It ends what is held, unless a call has that very id."""
    with between(RULES) as one:
        one.say(call(7, "push"))
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        one.say({**cancel, "params": {"requestId": other}})
        assert not one.inspection.approving.listing()
        assert [frame.decision for frame in one.frames(2)] == ["pending", "denied"]
        one.say(call(7, "push"), call("7", "x"))
        one.say({**cancel, "params": {"requestId": "7"}})
        assert held(one)
        assert len(one.server) == 2


def test_a_cancel_while_it_is_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storing who approved takes a moment; what is cancelled in it is not forwarded."""
    with between(RULES) as one:
        one.say(call(1, "push"))
        approved = one.receipts.approved

        def slow(call: Open) -> bool:
            params = {"requestId": 1}
            one.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            return approved(call)

        monkeypatch.setattr(one.receipts, "approved", slow)
        settle = one.inspection.approving.settle
        assert settle(held(one), approve=True, approver="ada", reason=None) == "cancelled"
        assert not one.server
        assert [frame.decision for frame in one.frames(3)] == ["pending", "pending", "denied"]
