# SPDX-License-Identifier: Apache-2.0
"""A node's answers come through in one piece, or not at all; and a node leads nobody anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from tests.systems.http_service import Answer, HttpService, Request, reset

from tallystick.errors import NodeError, RevertError
from tallystick.onchain.node import open_node

# OffchainLookup(address,string[],bytes,bytes4,bytes) of EIP-3668
LOOKUP = bytes.fromhex("556f1830")
ADDRESS = "0x" + "11" * 20


class Rpc(HttpService):
    """Answers each question with what it was given."""

    told: object = {"result": "0x7"}
    status = 200

    def answer(self, request: Request) -> Answer:
        asked = json.loads(request.body or b"{}")
        body = {"jsonrpc": "2.0", "id": asked.get("id")} | dict(self.told)  # type: ignore[call-overload]
        return Answer(self.status, json.dumps(body).encode())


@pytest.fixture
def rpc() -> Iterator[Rpc]:
    with Rpc() as service:
        yield service


def test_questions_and_answers(rpc: Rpc) -> None:
    """User and password go into a header, not into the path; a broken connection is replaced."""
    host = rpc.url.removeprefix("http://")
    node = open_node(f"http://me:secret%20word@{host}/v3?x=1")
    assert node.balance(ADDRESS) == 7
    assert rpc.requests[-1].path == "/v3?x=1"
    assert rpc.requests[-1].headers["Authorization"] == "Basic bWU6c2VjcmV0IHdvcmQ="
    rpc.tricks.append(reset)
    assert node.balance(ADDRESS) == 7


def test_refusals(rpc: Rpc) -> None:
    """Another status than 200 is worth another try, and no redirect is followed."""
    node = open_node(rpc.url)
    for rpc.status in (302, 401, 429, 503):
        with pytest.raises(NodeError, match=f"HTTP {rpc.status}") as caught:
            node.balance(ADDRESS)
        assert caught.value.is_transient
    assert len(rpc.requests) == 4


@pytest.mark.parametrize("status", [400, 500])
def test_errors_in_answers_that_are_none(rpc: Rpc, status: int) -> None:
    """Some servers send a revert with HTTP 400 or 500: it is one, and no later try mends it."""
    node = open_node(rpc.url)
    rpc.status = status
    for code, message in ((3, "execution reverted"), (-32603, "reverted with custom error")):
        rpc.told = {"error": {"code": code, "message": message, "data": "0x"}}
        with pytest.raises(RevertError):
            node.call({"to": ADDRESS, "data": b""})
    rpc.told = {"error": {"code": -32000, "message": "nonce too low"}}
    assert not node.send(b"\2")
    for told in (
        {"error": {"code": -32603, "message": "Internal error"}},
        {"error": {"code": -32005, "message": "limit exceeded"}},
        {"error": "busy"},
        {"result": "0x7"},
    ):
        rpc.told = told
        with pytest.raises(NodeError, match=f"HTTP {status}") as caught:
            node.balance(ADDRESS)
        assert caught.value.is_transient
    rpc.status, rpc.told = 200, {"result": "0x7"}
    assert node.balance(ADDRESS) == 7


def test_a_node_names_no_further_address(rpc: Rpc) -> None:
    """What web3 would ask on a node's word (EIP-3668) could be this network's own services."""
    words = encode(
        ["address", "string[]", "bytes", "bytes4", "bytes"],
        [ADDRESS, [f"{rpc.url}/meta-data/{{sender}}"], b"", bytes(4), b""],
    )
    data = "0x" + (LOOKUP + words).hex()
    rpc.told = {"error": {"code": 3, "message": "execution reverted", "data": data}}
    with pytest.raises(NodeError):
        open_node(rpc.url).call({"to": ADDRESS, "data": b""})
    assert [one.path for one in rpc.requests] == ["/"]


def test_deep_and_large_answers(rpc: Rpc, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers without a bottom, or of no JSON, are the node's fault."""
    node = open_node(rpc.url)
    for body in (b'{"result":' + b"[" * 100_000, b"\xff", b"[]", b"7", b'{"result":' + b"9" * 9999):
        monkeypatch.setattr(rpc, "answer", lambda _request, body=body: Answer(200, body))
        with pytest.raises(NodeError):
            node.balance(ADDRESS)
