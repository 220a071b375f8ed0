# SPDX-License-Identifier: Apache-2.0
"""How calls end."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.inspections import answer, between
from tests.proxies import call


@pytest.mark.parametrize(
    ("reply", "decision", "error"),
    [
        (answer(1), "allowed", None),
        (answer(1, isError=True), "allowed", "isError"),
        (
            answer(1, isError=True, content=[{"type": "text", "text": "no such file"}]),
            "allowed",
            "isError: no such file",
        ),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -5, "message": "m"}}, "allowed", "-5: m"),
        ({"jsonrpc": "2.0", "id": 1, "error": "odd"}, "allowed", "an error that is no object"),
        (answer(1, task={"taskId": "t"}), "pending", None),
        (answer(1, resultType="input_required", requestState="s"), "pending", None),
    ],
)
def test_each_kind_of_answer(reply: Any, decision: str, error: str | None) -> None:
    """Success, an error of the tool, an error of the protocol, and what goes on elsewhere."""
    with between() as one:
        one.say(call(1, "x"))
        one.reply(reply)
        first, last = one.frames(2)
        assert (last.decision, last.error) == (decision, error)
        assert first.correlation_id == last.correlation_id
        assert first.idempotency_key != last.idempotency_key


def test_a_rate_counts_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set back by an hour, the time of day holds up no call for an hour."""
    rules = "version: 1\ndefault: pass\nrules:\n  - {name: r, action: block, tool: x, rate: "
    with between(rules + "{calls: 1, seconds: 10}}\n") as one:
        one.say(call(1, "x"), call(2, "x"))
        assert len(one.server) == 1
        one.now_ns -= 3600 * 10**9
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 10)
        one.say(call(3, "x"))
        assert len(one.server) == 2


def test_rounds_are_one_call() -> None:
    """A call that is asked again under a new id keeps its correlation."""
    with between() as one:
        one.say(call(1, "x"))
        one.reply(answer(1, resultType="input_required", requestState="s"))
        one.say(call(2, "x", requestState="s", inputResponses={}))
        one.reply(answer(2))
        frames = one.frames(4)
        assert len({frame.correlation_id for frame in frames}) == 1
        assert [frame.decision for frame in frames] == ["pending", "pending", "pending", "allowed"]


def test_cancelled_and_answered() -> None:
    """An answer that comes all the same is told as one to a call that was cancelled."""
    with between() as one:
        one.say(call(1, "x"))
        cancel = {"method": "notifications/cancelled", "params": {"requestId": 1}}
        one.say({"jsonrpc": "2.0", **cancel})
        one.reply(answer(1))
        assert one.frames(2)[1].error == "cancelled before it was answered"
        assert len(one.server) == 2


def test_secrets_in_errors() -> None:
    """What a receipt shows in clear was redacted here already."""
    with between() as one:
        one.say(call(1, "x", {"path": "/srv/ghp_" + "a1" * 18}))
        text = "bad token ghp_" + "a1" * 18
        one.reply(answer(1, isError=True, content=[{"type": "text", "text": text}]))
        for frame in one.frames(2):
            assert "ghp_" not in str(frame.error) + str(frame.target_resource)
