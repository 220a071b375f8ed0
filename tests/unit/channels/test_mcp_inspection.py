# SPDX-License-Identifier: Apache-2.0
"""The two sides together: bytes in, the same bytes out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspections import answer, between, line_of
from tests.proxies import call

from tallystick.channels.jsonrpc import parse_message
from tallystick.errors import MessageRefused

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["jsonrpc", "id", "method", "params", "name", "arguments", "result", "x"]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=40) | JSON.map(lambda one: json.dumps(one).encode()), max_size=6)
)
def test_whatever_is_said(said: list[bytes]) -> None:
    """Nothing makes it stumble; what the server gets was said, and could be read in one way."""
    lines = [one.replace(b"\n", b" ") + b"\n" for one in said]
    with between() as one:
        for line in lines:
            one.inspection.from_client([line])
        for sent in one.server:
            assert sent in lines
            if sent.strip():
                parse_message(sent)
        refused = len([line for line in lines if line.strip() and line not in one.server])
        assert len(one.client) == refused
        one.client.clear()
        one.inspection.from_server(lines)
        assert b"".join(one.client) == b"".join(lines)


HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = "2026-07-28"
OF_MCP = "io.modelcontextprotocol"


def opening(version: str) -> list[dict[str, Any]]:
    """Return what a client says first, in a version of the protocol."""
    who = {"name": "a client", "version": "1"}
    if version == STATELESS:
        meta = {f"{OF_MCP}/protocolVersion": version, f"{OF_MCP}/clientInfo": who}
        return [
            {"jsonrpc": "2.0", "id": "d", "method": "server/discover", "params": {"_meta": meta}},
            {"jsonrpc": "2.0", "id": "l", "method": "subscriptions/listen", "params": {}},
        ]
    told = {"protocolVersion": version, "capabilities": {}, "clientInfo": who}
    return [
        {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": told},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ]


@pytest.mark.parametrize("version", [*HANDSHAKES, STATELESS])
def test_each_version_of_the_protocol(version: str) -> None:
    """With a handshake or without: the bytes pass, and one call has its pair, by its client."""
    asked = call(1, "x")
    if version == STATELESS:
        who = {"name": "a client", "version": "1"}
        asked["params"]["_meta"] = {f"{OF_MCP}/clientInfo": who}
    is_batch = version == "2025-03-26"  # the one version that has them
    said = [*opening(version), [asked] if is_batch else asked]
    told = answer(1, content=[], resultType="complete")
    with between() as one:
        one.say(*said)
        one.reply([told] if is_batch else told)
        assert b"".join(one.server) == b"".join(map(line_of, said))
        assert one.client == [line_of([told] if is_batch else told)]
        frames = one.frames(2)
        assert [frame.decision for frame in frames] == ["pending", "allowed"]
        assert {frame.issuer_name for frame in frames} == {"a client"}
        one.inspection.server_gone("ended with exit code 0")
        assert len(one.frames(2)) == 2  # what listens to the end is no call that hangs


def test_a_call_and_its_answer() -> None:
    """Two frames in one session, tied together, by the server's name."""
    with between() as one:
        one.say(call("a", "x"))
        one.reply(answer("a", ok=True))
        first, last = one.frames(2)
        assert first.session_id == last.session_id == "s1"
        assert first.tool.server == "echo"
        assert (first.channel, last.output) == ("mcp", {"ok": True})


def test_the_end_of_the_server() -> None:
    """What is not answered will not be: that is told, and not taken for a failure."""
    with between() as one:
        one.say(call(1, "x"))
        one.reply({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})
        one.inspection.server_gone("ended with exit code 0")
        ends = one.frames(4)[2:]
        assert {frame.decision for frame in ends} == {"pending"}
        assert all(str(frame.error).startswith("outcome unknown") for frame in ends)
    assert issubclass(MessageRefused, ValueError)
