# SPDX-License-Identifier: Apache-2.0
"""What the daemon is told of calls."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.frame_listener import FrameListener
from tests.inspections import answer, between
from tests.proxies import call

from tallystick.channels.jsonrpc import Request
from tallystick.channels.mcp_calls import Open, call_of
from tallystick.channels.mcp_receipts import Answer, Receipts, fits, omitted
from tallystick.channels.rules import Decision
from tallystick.deliver.daemon import DaemonEmitter
from tallystick.limits import FRAME_PAYLOAD_BYTES_MAX, JSON_VALUES_MAX
from tallystick.model.redact import Redactor


def opened(number: Any = 1, name: str = "x", ruling: Decision | None = None, **params: Any) -> Open:
    request = Request(id=number, method="tools/call", params={"name": name, **params})
    return Open(call_of(request, "client", "s"), ruling or Decision("pass"), b"line", 5, 0.0)


def receipts(listener: FrameListener) -> Receipts:
    return Receipts(
        lambda: DaemonEmitter(socket_path=listener.path, session_id="s1"),
        server="srv",
        redactor=Redactor(),
        required=False,
    )


def test_ids() -> None:
    """The correlation is the host's, or one of the session; keys come from the request's id."""
    with FrameListener() as listener:
        one = receipts(listener)
        own, hosts = opened("a/1"), opened(2, _meta={"claudecode/toolUseId": "toolu_7"})
        one.attempts([own, hosts])
        one.ended(own, Answer())
        first, second, third = listener.wait(3)
        assert first.correlation_id == third.correlation_id == "mcp:s1:5"
        assert second.correlation_id == "toolu_7"
        assert first.idempotency_key == "mcp:s1:c'a/1':5:attempt"
        assert third.idempotency_key == "mcp:s1:c'a/1':5:outcome"
        one.close()


def test_the_rule_goes_along() -> None:
    """With who approved, and why; without a rule, nothing is said of one."""
    with FrameListener() as listener:
        one = receipts(listener)
        held = opened(ruling=Decision("pause", "r", "look"))
        one.attempts([held, opened(2)])
        held.approver, held.reason = "ada\x1b[2J", "fine"
        one.approved(held)
        first, second, third = listener.wait(3)
        assert first.rule is not None
        assert (first.rule.name, first.rule.action, first.rule.reason) == ("r", "pause", "look")
        assert second.rule is None
        assert third.rule is not None
        assert third.rule.approver == "ada�[2J"
        one.close()


def test_names_that_no_frame_holds() -> None:
    """A tool whose name is too long, or not printable, is recorded under what is left of it."""
    with FrameListener() as listener:
        one = receipts(listener)
        one.attempts([opened(1, "y" * 900), opened(2, "a\nb\x00"), opened("k" * 900)])
        frames = listener.wait(3)
        assert frames[0].tool.name.startswith("yyy")
        assert frames[1].tool.name == "a�b�"
        assert not listener.refused
        one.close()


def test_a_type_that_is_the_issuers_own() -> None:
    """A server that is named like the daemon's own actions can't keep a call off the record."""
    with FrameListener() as listener:
        one = Receipts(
            lambda: DaemonEmitter(socket_path=listener.path),
            server="agent.key.rotate",
            redactor=Redactor(),
            required=False,
        )
        one.attempts([opened(1, "agent_receipts.x")])
        assert listener.wait(1)[0].decision == "pending"
        one.close()


def test_what_fits() -> None:
    """Size and number of values decide; what does not fit is named by its message."""
    assert fits(b"x" * FRAME_PAYLOAD_BYTES_MAX)
    assert not fits(b"x" * (FRAME_PAYLOAD_BYTES_MAX + 1))
    assert not fits(b"1," * (JSON_VALUES_MAX // 2 + 1))
    assert omitted(b"a\n") == {
        "omitted": {
            "bytes": 2,
            "message_hash": (
                "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
            ),
        }
    }


def test_large_arguments() -> None:
    """A call with arguments that fit into no frame has both receipts, by digest and size."""
    with between() as one:
        one.say(call(1, "x", {"data": "z" * 500_000}))
        one.reply(answer(1))
        assert all("omitted" in frame.input for frame in one.frames(2))
        one.say(call(2, "x", {"data": [0] * 40_000}))
        assert "omitted" in one.frames(3)[2].input


def test_nobody_listens() -> None:
    """Calls go on; the loss is counted, and told with the next frame."""
    with FrameListener() as listener:
        one = receipts(listener)
        listener.stop()
        assert one.attempts([opened()]) == [True]
        listener.__enter__()
        one.ended(opened(), Answer())
        assert listener.wait(1)[0].drop_count == 1
        one.close()


def test_a_daemon_that_is_down_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Many emitters wait for receipts, and have one spool: one says at the end what waits there."""
    one = Receipts(
        lambda: DaemonEmitter(socket_path=str(tmp_path / "s"), spool=tmp_path / "spool"),
        server="srv",
        redactor=Redactor(),
        required=True,
    )
    assert one.attempts([opened(number) for number in range(3)]) == [False] * 3
    with caplog.at_level(logging.INFO):
        one.close()
    assert caplog.text.count("frames wait in") == 1
