# SPDX-License-Identifier: Apache-2.0
"""Calls that wait for an approver."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.proxies import call

from tallystick.channels.approvals import Approvals, Paused
from tallystick.channels.jsonrpc import Request
from tallystick.channels.mcp_calls import Open, call_of
from tallystick.channels.rules import Decision
from tallystick.limits import APPROVAL_SHOWN_CHARS_MAX, PAUSED_BYTES_MAX, PAUSED_CALLS_MAX
from tallystick.model.redact import Redactor


def paused(
    name: str, number: Any = 1, until_s: float = 10, line: bytes = b"x", **arguments: Any
) -> Paused:
    params = call(number, "deploy", arguments)["params"]
    request = Request(id=number, method="tools/call", params=params)
    one = Open(call_of(request, "client", "s"), Decision("pause", "r", "why"), line, 1, 0.0)
    return Paused(
        id=name,
        calls=(one,),
        is_batch=False,
        line=line,
        since="2026-11-21T12:00:00Z",
        until_s=until_s,
    )


def test_each_leaves_once() -> None:
    """By its id, by its request's id, by the end of its time, or with all others."""
    waiting = Approvals(Redactor())
    for number, name in enumerate("abcd"):
        assert waiting.add(paused(name, number, until_s=number))
    assert waiting.take("a", -1) is not None
    assert waiting.take("a", -1) is None
    found = waiting.take_call((int, 1))
    assert found is not None
    assert found.id == "b"
    assert waiting.take_call((str, "2")) is None
    assert [one.id for one in waiting.take_expired(2)] == ["c"]
    assert [one.id for one in waiting.take_all()] == ["d"]
    assert waiting.listing(0) == []


def test_whose_time_is_up_is_only_denied() -> None:
    """From its end on a decision finds nothing, also where nobody has looked at the time yet."""
    waiting = Approvals(Redactor())
    assert waiting.add(paused("a", until_s=10))
    assert waiting.take("a", 10) is None
    assert [one.id for one in waiting.take_expired(10)] == ["a"]


def test_there_is_room_for_so_many() -> None:
    """Neither their number nor their weight grows without bound."""
    waiting = Approvals(Redactor())
    assert all(waiting.add(paused(str(number), number)) for number in range(PAUSED_CALLS_MAX))
    assert not waiting.add(paused("one more", "x"))
    heavy = Approvals(Redactor())
    assert not heavy.add(paused("a", line=b"x" * (PAUSED_BYTES_MAX + 1)))


def test_what_is_shown() -> None:
    """Arguments without secrets, cut; the rule and its reason; the time that is left."""
    waiting = Approvals(Redactor())
    waiting.add(paused("a", until_s=10, password="hunter2-hunter2", text="y" * 9000))
    (shown,) = waiting.listing(4.2)
    assert shown["seconds_left"] == 6
    (one,) = shown["calls"]
    assert "hunter2" not in one["arguments"]
    assert len(one["arguments"]) < APPROVAL_SHOWN_CHARS_MAX + 40
    assert "more characters" in one["arguments"]
    assert (one["rule"], one["reason"], one["tool"]) == ("r", "why", "deploy")


def test_calls_of_a_batch_are_counted() -> None:
    """A batch takes as many places as it has calls, or the list of them would have no end."""
    waiting = Approvals(Redactor())
    one = paused("a").calls[0]
    many = msgspec.structs.replace(paused("b"), calls=(one,) * (PAUSED_CALLS_MAX + 1))
    assert not waiting.add(many)
    assert waiting.add(msgspec.structs.replace(many, calls=(one,) * PAUSED_CALLS_MAX))
    assert not waiting.add(paused("c"))


def test_names_are_cut() -> None:
    """A list of calls can be shown, whatever tools are called."""
    waiting = Approvals(Redactor())
    request = Request(id=1, method="m" * 9000, params={})
    one = Open(call_of(request, "client", "s"), Decision("pause", "p"), b"x", 1, 0)
    waiting.add(msgspec.structs.replace(paused("a"), calls=(one,)))
    (shown,) = waiting.listing(0)[0]["calls"]
    assert len(shown["method"]) < 300
    assert len(shown["tool"]) < 300
