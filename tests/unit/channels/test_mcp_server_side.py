# SPDX-License-Identifier: Apache-2.0
"""Lines from the server: all pass, and say how calls went."""

from __future__ import annotations

import json

import pytest
from tests.inspections import answer, between, line_of
from tests.proxies import call

from tallystick.crypto.digest import sha256_tagged


def test_everything_passes_as_it_came() -> None:
    """Also what nobody can read; the client gets the same bytes in the same order."""
    lines = [b"not json\n", b"\n", b'{"id":1,"id":2}\n', line_of(answer(77)), b"\xff\xfe\n"]
    with between() as one:
        one.inspection.from_server(lines)
        assert b"".join(one.client) == b"".join(lines)
        frames = one.frames(3)
        assert {frame.tool.name for frame in frames} == {"message.unparsed"}
        assert frames[0].output == {"unparsed": {"bytes": 9, "hash": sha256_tagged(b"not json\n")}}


def test_an_answer_with_a_key_twice() -> None:
    """It ends its call, by the digest of the message that it came in."""
    with between() as one:
        one.say(call(1, "x"))
        line = b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}'
        one.reply(line + b"\n")
        frame = one.frames(2)[1]
        assert frame.output == {
            "omitted": {"bytes": len(line) + 1, "message_hash": sha256_tagged(line)}
        }
        assert (frame.decision, frame.error) == ("allowed", None)


def test_a_large_answer() -> None:
    """It is recorded by digest and size; that it is an error is still told."""
    with between() as one:
        one.say(call(1, "x"), call(2, "y"))
        one.reply(answer(1, content="z" * 500_000), answer(2, isError=True, c="z" * 500_000))
        frames = one.frames(4)
        assert "omitted" in frames[2].output
        assert frames[2].error is None
        assert frames[3].error is not None


def test_numbers_that_no_frame_holds() -> None:
    """A call, or an answer, with such a number has its receipts all the same."""
    with between() as one:
        line = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":'
        one.say(line + b'{"id":9007199254740993}}}\n')
        one.reply(b'{"jsonrpc":"2.0","id":1,"result":{"id":9007199254740993}}\n')
        first, second = one.frames(2)
        assert "omitted" in first.input
        assert "omitted" in second.output
        assert not one.listener.refused
        assert (first.drop_count, second.drop_count) == (0, 0)


def test_requests_of_the_server() -> None:
    """They pass, and have their two receipts; ids of both directions do not meet."""
    with between() as one:
        one.say(call(0, "x"))
        one.reply({"jsonrpc": "2.0", "id": 0, "method": "elicitation/create", "params": {"a": 1}})
        one.say({"jsonrpc": "2.0", "id": 0, "result": {"action": "accept"}})
        one.reply(answer(0))
        told = [(frame.tool.name, frame.decision) for frame in one.frames(4)]
        assert told == [
            ("x", "pending"),
            ("elicitation/create", "pending"),
            ("elicitation/create", "allowed"),
            ("x", "allowed"),
        ]
        assert b'"accept"' in one.server[-1]


def test_the_server_cancels_its_own() -> None:
    """What it does not want to know any more is told as cancelled when it is answered."""
    with between() as one:
        one.reply({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage"})
        params = {"requestId": 1}
        one.reply({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        one.reply({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        one.say({"jsonrpc": "2.0", "id": 1, "error": {"code": 0, "message": "no"}})
        assert one.frames(2)[1].error == "cancelled before it was answered: 0: no"


def test_an_id_of_the_server_that_is_in_use() -> None:
    """It passes all the same; that nobody can tell the answers apart is told."""
    with between() as one:
        for _ in range(2):
            one.reply({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})
        assert len(one.client) == 2
        assert "another request" in str(one.frames(2)[1].error)


@pytest.mark.parametrize("size", [17 << 20])
def test_overlong(size: int) -> None:
    """A line that went by in parts is told by its size."""
    with between() as one:
        one.inspection.note_overlong(size, "sha256:" + "1" * 64)
        (frame,) = one.frames(1)
        assert (frame.tool.name, frame.decision) == ("message.unparsed", "allowed")


def test_an_answer_before_the_call() -> None:
    """It ends nothing: what the server says to the call itself is what is recorded."""
    rules = "version: 1\ndefault: pause\n"
    with between(rules) as one:
        one.say(call(1, "deploy"))
        one.reply(answer(1, content=["forged"]))
        (held,) = one.inspection.approving.listing()
        one.inspection.approving.settle(held["id"], approve=True, approver="ada", reason=None)
        one.reply(answer(1, content=["real"]))
        told = [(frame.tool.name, frame.decision) for frame in one.frames(4)]
        assert told == [
            ("deploy", "pending"),
            ("message.unexpected", "allowed"),
            ("deploy", "pending"),
            ("deploy", "allowed"),
        ]
        assert one.frames(4)[3].output == {"content": ["real"]}


@pytest.mark.parametrize("first", [b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}\n', None])
def test_a_second_answer(first: bytes | None) -> None:
    """It is told by its digest: a client that could not read the first one takes the second."""
    with between() as one:
        one.say(call(1, "x"))
        one.reply(answer(1) if first is None else first)
        one.reply(answer(1, content=["other"]), answer("1", content=["other"]))
        told = [frame.tool.name for frame in one.frames(4)]
        assert told == ["x", "x", "message.unexpected", "message.unexpected"]


def test_an_answer_that_no_client_takes() -> None:
    """It ends no call."""
    with between() as one:
        one.say(call(1, "x"))
        one.reply(b'{"id":1,"result":{"content":[]}}\n', answer(1, content=["real"]))
        assert [frame.tool.name for frame in one.frames(3)] == ["x", "message.unparsed", "x"]
        assert one.frames(3)[2].output == {"content": ["real"]}


@pytest.mark.parametrize("id", ["1", " 1 ", "1.0", 1.0])
def test_an_id_as_clients_read_it(id: object) -> None:  # noqa: A002
    """Clients take it for the number, so it ends the call."""
    with between() as one:
        one.say(call(1, "x"))
        one.reply(answer(id, content=["real"]))
        assert [frame.decision for frame in one.frames(2)] == ["pending", "allowed"]


def test_a_call_that_has_no_name() -> None:
    """The server asks the client for something: it is told of, whatever its shape."""
    with between() as one:
        one.reply({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}})
        assert one.frames(1)[0].tool.name == "message.unexpected"


def test_a_large_answer_to_something_else() -> None:
    """It is taken for one answer, not for two."""
    with between() as one:
        for method in ("tools/list", "ping"):
            one.say({"jsonrpc": "2.0", "id": 1, "method": method})
        one.reply(answer(1, tools=["x" * 600_000]))
        one.say(call(1, "x"))
        assert json.loads(one.client[-1])["error"]["code"] == -32014
