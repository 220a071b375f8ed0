# SPDX-License-Identifier: Apache-2.0
"""Lines from the client: forwarded, refused or held."""

from __future__ import annotations

import json

import pytest
from tests.inspections import answer, between, line_of
from tests.proxies import call

from tallystick.channels.jsonrpc import Request
from tallystick.channels.mcp_client_side import check_call
from tallystick.errors import MessageRefused

BLOCK = "version: 1\ndefault: pass\nrules:\n  - {name: no, action: block, tool: bad}\n"
CLOSED = "version: 1\ndefault: block\nrules:\n  - {name: ok, action: pass, tool: good}\n"


def test_order_is_kept() -> None:
    """What is forwarded goes in the order in which it came, also around what is refused."""
    with between(BLOCK) as one:
        lines = [line_of(call(n, "bad" if n == 2 else "x")) for n in range(5)]
        one.say(*lines)
        assert b"".join(one.server) == b"".join(lines[:2] + lines[3:])
        assert json.loads(one.client[0])["error"]["message"] == "blocked by rule no"


def test_attempts_come_first() -> None:
    """When a call is forwarded, the daemon has been told of it."""
    with between() as one:
        one.say(call(1, "read_file", {"path": "/srv/a"}))
        (frame,) = one.frames(1)
        assert (frame.decision, frame.tool.name, frame.action_type) == (
            "pending",
            "read_file",
            "data.api.read",
        )
        assert frame.input == {"path": "/srv/a"}


def test_deny_by_default() -> None:
    """With `default: block`, only what a rule lets pass passes; housekeeping always does."""
    with between(CLOSED) as one:
        one.say(call(1, "good"), call(2, "other"), {"jsonrpc": "2.0", "id": 3, "method": "ping"})
        one.say({"jsonrpc": "2.0", "id": 4, "method": "resources/read", "params": {"uri": "a:b"}})
        one.say({"jsonrpc": "2.0", "method": "vendor/act"})
        assert [json.loads(line)["error"]["code"] for line in one.client] == [-32010] * 3
        sent = b"".join(one.server)
        assert b'"id": 1' in sent
        assert b'"id": 3' in sent
        assert b'"id": 4' not in sent
        assert b"vendor" not in sent


def test_a_batch_is_one_decision() -> None:
    """Where one of its requests is refused, all are; where none is, it goes as it came."""
    with between(BLOCK) as one:
        batch = line_of([call(1, "x"), call(2, "bad"), call(3, "y")])
        one.say(batch)
        assert not one.server
        answers = json.loads(one.client[0])
        assert sorted(each["id"] for each in answers) == [1, 2, 3]
        good = line_of([call(4, "x"), {"jsonrpc": "2.0", "method": "notifications/initialized"}])
        one.say(good)
        assert one.server == [good]
        one.reply([answer(4)])
        assert [frame.decision for frame in one.frames(4)][-2:] == ["pending", "allowed"]


def test_an_id_that_is_in_use() -> None:
    """A second call under an open id is refused, and the refusal can't pass for its answer."""
    with between() as one:
        one.say(call(1, "a"), call(1, "b"))
        assert json.loads(one.client[0])["id"] is None
        assert len(one.server) == 1
        one.reply(answer(1))
        one.say(call(1, "c"))
        assert len(one.server) == 2


def test_a_notification_that_acts() -> None:
    """One that is none of the protocol's leaves a receipt, since nobody will answer it."""
    with between() as one:
        one.say({"jsonrpc": "2.0", "method": "vendor/act", "params": {"x": 1}})
        (frame,) = one.frames(1)
        assert (frame.tool.name, frame.decision, frame.input) == ("vendor/act", "allowed", {"x": 1})
        assert one.server


def test_who_the_client_is() -> None:
    """It is named by its handshake, or beside each call of stateless sessions."""
    with between() as one:
        hello = {"clientInfo": {"name": "claude-code"}}
        one.say({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}, call(1, "x"))
        meta = {"io.modelcontextprotocol/clientInfo": {"name": "other"}}
        one.say(call(2, "x", _meta=meta))
        assert [frame.issuer_name for frame in one.frames(2)] == ["claude-code", "other"]


def test_blank_lines_pass() -> None:
    """There is nothing in them."""
    with between() as one:
        one.say(b"\n", b"  \r\n")
        assert one.server == [b"\n  \r\n"]


def test_no_durable_receipt() -> None:
    """Where one is required and the daemon is gone, nothing is forwarded, alone or with others."""
    with between(required=True) as one:
        one.say(call(1, "x"), call(2, "y"))
        assert len(one.server) == 1
        one.listener.stop()
        one.say(call(3, "x"))
        one.say(call(4, "x"), {"jsonrpc": "2.0", "id": 5, "method": "ping"})
        codes = [json.loads(line)["error"]["code"] for line in one.client]
        assert codes == [-32013, -32013]
        assert b'"id": 5' in one.server[-1]
        one.listener.__enter__()


@pytest.mark.parametrize(
    "params",
    [
        {"name": "x", "_meta": 5},
        {"name": "x", "Arguments": {}},
        {"name": "x", "arguments": "{}"},
        {"arguments": {}},
    ],
)
def test_shapes_that_are_refused(params: dict[str, object]) -> None:
    """What servers could read in several ways, with the code for wrong parameters."""
    with pytest.raises(MessageRefused) as fault:
        check_call(Request(id=1, method="tools/call", params=params))
    assert (fault.value.code, fault.value.id) == (-32602, 1)


def test_overlong() -> None:
    """A line that was dropped is told to the client and to the daemon by its size."""
    with between() as one:
        one.inspection.refuse_overlong(99, "sha256:" + "0" * 64)
        assert "99 bytes" in json.loads(one.client[0])["error"]["message"]
        (frame,) = one.frames(1)
        assert frame.input == {"unparsed": {"bytes": 99, "hash": "sha256:" + "0" * 64}}


ASK = """
version: 1
default: pass
rules:
  - {name: ask, action: pause, tool: deploy}
"""
CANCEL = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}


def test_an_id_that_another_request_has() -> None:
    """An answer to something else can't pass for a call's: the call has an id of its own."""
    with between() as one:
        one.say({"jsonrpc": "2.0", "id": 1, "method": "ping"}, call(1, "x"))
        assert json.loads(one.client[0])["error"]["code"] == -32014
        one.reply(answer(1))
        one.say(call(1, "x"), {"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert len(one.client) == 3
        one.reply(answer(1, content=[]))
        assert one.frames(4)[-1].output == {"content": []}


def test_ids_of_what_was_refused_are_free() -> None:
    """A refused batch keeps no id of its requests."""
    with between() as one:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        one.say([ping, {"jsonrpc": "2.0", "id": 2, "method": "Ping"}], call(1, "x"))
        assert [json.loads(line)["params"]["name"] for line in one.server] == ["x"]


def test_a_notification_beside_a_cancel() -> None:
    """It leaves its receipt, whatever is in the batch with it."""
    with between() as one:
        one.say([CANCEL, {"jsonrpc": "2.0", "method": "vendor/act"}])
        assert one.frames(1)[0].tool.name == "vendor/act"


def test_a_cancel_within_a_batch() -> None:
    """What is cancelled was never forwarded; what stands beside it is."""
    with between(ASK) as one:
        one.say(call(5, "deploy"))
        one.say([CANCEL, call(6, "read")])
        assert len(one.server) == 1
        one.reply([answer(6)])
        told = [(frame.tool.name, frame.decision) for frame in one.frames(4)]
        assert ("deploy", "denied") in told
        assert told[-1] == ("read", "allowed")


def test_what_waits_is_calls_alone() -> None:
    """A batch that is paused and holds something else is refused: that would wait unseen."""
    with between(ASK) as one:
        others: list[dict[str, object]] = [{"method": "vendor/act"}, {"method": "ping", "id": 9}]
        for number, beside in enumerate(others):
            one.say([call(number, "deploy"), {"jsonrpc": "2.0", **beside}])
        assert not one.server
        assert not one.inspection.approving.listing()
        one.say({"jsonrpc": "2.0", "id": 9, "method": "ping"})
        assert len(one.server) == 1


def test_a_notification_nobody_knows() -> None:
    """Rules and `--require-receipt` hold for it as for calls, whatever it is named."""
    act = {"jsonrpc": "2.0", "method": "notifications/delete_all", "params": {"x": 1}}
    with between("version: 1\ndefault: block\n") as one:
        one.say(act)
        assert not one.server
        assert one.frames(1)[0].decision == "denied"
    with between(required=True) as one:
        one.say(act)
        assert one.frames(1)[0].decision == "allowed"
        one.listener.stop()
        one.server.clear()
        one.say(act, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert one.server == [line_of({"jsonrpc": "2.0", "method": "notifications/initialized"})]
        one.listener.__enter__()


def test_an_answer_in_a_refused_batch() -> None:
    """The server never saw it: nothing is told of what it answers."""
    with between() as one:
        one.reply({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}})
        said = {"jsonrpc": "2.0", "id": 1, "result": {"action": "accept"}}
        one.say([said, {"jsonrpc": "2.0", "id": 3, "method": "Tools/call"}])
        assert [frame.tool.name for frame in one.frames(2)][1] == "message.refused"
        one.say(said)
        assert one.frames(3)[2].output == {"action": "accept"}
