# SPDX-License-Identifier: Apache-2.0
"""Calls, and those that wait for an answer."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels.jsonrpc import Request
from tallystick.channels.mcp_calls import Call, Calls, Open, call_of, fitting, links_of
from tallystick.channels.rules import Decision
from tallystick.limits import (
    CALLS_LINKED_MAX,
    CALLS_OPEN_BYTES_MAX,
    CALLS_OPEN_MAX,
    FRAME_IDENTITY_BYTES_MAX,
)


def made(id: Any = 1, method: str = "tools/call", **params: Any) -> Call:  # noqa: A002
    given = {"name": "read_file", **params} if method == "tools/call" else params
    return call_of(Request(id=id, method=method, params=given), "client", "s")


def waiting(id: Any, line: bytes = b"x", **params: Any) -> Open:  # noqa: A002
    return Open(made(id, **params), Decision("pass"), line, 1, 0.0)


def test_what_a_call_is() -> None:
    """Type, operation, risk and target come from the one classifier and from the arguments."""
    one = made(arguments={"path": "/srv/a"})
    assert (one.action_type, one.operation, one.risk, one.target) == (
        "data.api.read",
        "read",
        "low",
        "/srv/a",
    )
    other = made(method="resources/read", uri="memo://x", _meta={"a": 1})
    assert (other.tool, other.action_type, other.target) == (
        "resources/read",
        "data.api.read",
        "memo://x",
    )
    assert other.arguments == {"uri": "memo://x"}
    strange = made(method="vendor/thing")
    assert (strange.action_type, strange.operation, strange.risk) == (None, "other", "medium")
    assert one.subject("s").arguments == {"path": "/srv/a"}


def test_what_hosts_say_beside_a_call() -> None:
    """The ids by which hooks tell of the same call; other values are not taken."""
    assert made(_meta={"claudecode/toolUseId": "toolu_1"}).correlation == "toolu_1"
    turn = {"session_id": "s9", "model": "m1"}
    codex = made(_meta={"callId": "c1", "x-codex-turn-metadata": turn})
    assert (codex.correlation, codex.session, codex.model) == ("c1", "s9", "m1")
    odd = made(_meta={"callId": 7, "x-codex-turn-metadata": [], "sessionId": ""})
    assert (odd.correlation, odd.session) == (None, None)


def test_calls_are_told_apart() -> None:
    """By direction, and by the type of their id; each leaves once."""
    calls = Calls()
    assert calls.add(waiting(1)) is None
    assert calls.add(waiting("1")) is None
    assert "id" in str(calls.add(waiting(1)))
    assert calls.close("server", (int, 1)) is None
    assert calls.find("client", (str, "1")) is not None
    assert calls.close("client", (int, 1)) is not None
    assert calls.close("client", (int, 1)) is None
    assert len(calls) == 1
    assert [one.call.id for one in calls.close_all()] == ["1"]
    assert len(calls) == 0


def test_there_is_room_for_so_many() -> None:
    """Further calls wait for room, and are refused where there is none in time."""
    calls = Calls()
    for number in range(CALLS_OPEN_MAX):
        assert calls.add(waiting(number)) is None
    assert str(CALLS_OPEN_MAX) in str(calls.add(waiting("x"), wait_s=0.01))
    threading.Timer(0.05, lambda: calls.close("client", (int, 0))).start()
    assert calls.add(waiting("x"), wait_s=10) is None
    heavy = Calls()
    assert heavy.add(waiting(1, b"x" * (CALLS_OPEN_BYTES_MAX - 1))) is None
    assert heavy.add(waiting(2, b"xx"), wait_s=0) is not None


def test_late_calls_are_told_once() -> None:
    """Those that were forwarded, and are not answered for so long."""
    calls = Calls()
    one, held = waiting(1), waiting(2)
    one.is_forwarded = True
    calls.add(one)
    calls.add(held)
    assert calls.late(0.5, 1) == []
    assert calls.late(1.5, 1) == [one]
    assert calls.late(9, 1) == []


def test_rounds_of_one_call() -> None:
    """What goes on under a state or a task keeps the correlation of its beginning."""
    calls = Calls()
    asked = {"resultType": "input_required", "requestState": "abc", "inputRequests": {}}
    assert calls.link(asked, "c1")
    assert calls.linked(made(requestState="abc")) == "c1"
    assert calls.link({"task": {"taskId": "t1"}}, "c2")
    assert calls.linked(made(method="tasks/result", taskId="t1")) == "c2"
    assert calls.linked(made(requestState="other")) is None
    assert not calls.link({"content": []}, "c3")
    assert links_of([]) == links_of({"requestState": "x"}) == ()
    for number in range(CALLS_LINKED_MAX):
        calls.link({"task": {"taskId": f"n{number}"}}, "c")
    assert calls.linked(made(requestState="abc")) is None


@given(st.text(max_size=600))
def test_every_name_fits(text: str) -> None:
    """Whatever a name is made of, what stands for it fits into a frame."""
    short = fitting(text)
    assert len(short.encode()) <= FRAME_IDENTITY_BYTES_MAX
    assert short.isprintable() or not text.isprintable()


def test_long_names_stay_apart() -> None:
    """Two long names that begin alike do not become one."""
    assert fitting("x" * 300 + "a") != fitting("x" * 300 + "b")
    assert fitting("a\nb") == "a�b"
    assert fitting("\ud800") == "�"


def test_cancelled_calls_make_room() -> None:
    """Servers do not answer them: the oldest goes when there is no room, and is told of."""
    calls = Calls()
    for number in range(CALLS_OPEN_MAX):
        calls.add(waiting(number))
    second = calls.find("client", (int, 1))
    assert second is not None
    second.is_cancelled = second.is_forwarded = True
    assert calls.add(waiting("x"), wait_s=0) is None
    assert calls.given_up() == [second]
    assert not calls.given_up()
    assert "given up" in str(calls.answer("client", (int, 1)))
    assert calls.add(waiting("y"), wait_s=0) is not None


def test_other_requests_are_bounded_too() -> None:
    """So many ids are kept of requests that are no calls."""
    calls = Calls()
    for number in range(CALLS_OPEN_MAX):
        assert calls.ask((int, number)) is None
    assert str(CALLS_OPEN_MAX) in str(calls.ask((str, "x"), wait_s=0))
    assert calls.answer("client", (int, 3)) == ""
    assert calls.ask((str, "x"), wait_s=0) is None
    calls.unask([(str, "x")])
    assert calls.add(waiting("x")) is None
    assert calls.ask((str, "x")) is not None


def test_an_answer_is_found_by_what_its_id_looks_like() -> None:
    """An exact one first; never one for a call that has not been forwarded."""
    calls = Calls()
    one, other = waiting(7), waiting("7")
    one.is_forwarded = other.is_forwarded = True
    calls.add(one)
    calls.add(other)
    assert calls.answer("client", (str, "7")) is other
    assert calls.answer("client", (str, "7.0")) is one
    assert calls.answer("client", (str, "nothing")) is None
    calls.add(waiting(8))
    assert "not forwarded" in str(calls.answer("client", (int, 8)))
