# SPDX-License-Identifier: Apache-2.0
"""Lines from the server: all pass, and say how calls went."""

from __future__ import annotations

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
