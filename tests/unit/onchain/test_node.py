# SPDX-License-Identifier: Apache-2.0
"""What a node's failures mean, in our words; its address stays out of them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tallystick.errors import MissingExtraError, NodeError, PostingError, RevertError
from tallystick.limits import LOG_BLOCKS_MAX, SEARCHED_BLOCKS_MAX
from tallystick.onchain.node import Node, open_node, revert_name

# keccak("ReceiptAlreadyExists()"), found by name below.
EXISTS = "ReceiptAlreadyExists"


class ConnectionError(Exception):  # noqa: A001  # shaped as requests' own
    """Says the node's address, as requests does."""


class ContractLogicError(Exception):
    """Shaped as web3's."""

    def __init__(self, message: str, data: object = None) -> None:
        super().__init__(message)
        self.data = data


class TransactionFailed(Exception):
    """Shaped as eth-tester's."""


def selector_of(name: str) -> bytes:
    from tallystick.onchain.artifact import error_names

    return next(key for key, value in error_names().items() if value == name)


def node_that(fault: Exception, **eth: Any) -> Node:
    """Return a node whose every answer is this fault."""

    def fail(*_arguments: Any) -> Any:
        raise fault

    methods = dict.fromkeys(
        ("call", "estimate_gas", "get_balance", "send_raw_transaction", "get_block"), fail
    )
    return Node(SimpleNamespace(eth=SimpleNamespace(**methods | eth)), "the node")


@pytest.mark.parametrize(
    "error",
    [
        ContractLogicError("execution reverted", "0x" + selector_of(EXISTS).hex()),
        ContractLogicError("execution reverted", {"data": "0x" + selector_of(EXISTS).hex()}),
        ContractLogicError("0x" + selector_of(EXISTS).hex()),
        TransactionFailed(f"execution reverted: {selector_of(EXISTS)!r}"),
    ],
)
def test_reverts_have_names(error: Exception) -> None:
    """However a node says it: the contract's own error comes out."""
    with pytest.raises(RevertError, match=EXISTS) as caught:
        node_that(error).call({})
    assert caught.value.name == EXISTS


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ContractLogicError("execution reverted"), ""),
        (TransactionFailed("execution reverted: b'\\xff\\xff\\xff\\xff'"), ""),
        (TransactionFailed("execution reverted: b'(((("), ""),
        (ContractLogicError("0xzzzzzzzz"), ""),
        (ValueError("other"), None),
    ],
)
def test_reverts_without_one(error: Exception, name: str | None) -> None:
    """An unknown reason is a revert all the same; other failures are none."""
    assert revert_name(error) == name


def test_unreachable_nodes() -> None:
    """They are asked again later, and their address, which may hold a key, is not repeated."""
    node = node_that(ConnectionError("https://node.example/v3/secret-key"))
    with pytest.raises(NodeError, match="can't be reached") as caught:
        node.balance("0x")
    assert caught.value.is_transient
    assert "secret-key" not in str(caught.value)
    shown = open_node("https://user:secret-key@node.example/v3/secret-key").name
    assert shown == "the node at node.example"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "node.example",
        "file:///x",
        "http://" + "x" * 3000,
        "http://",
        "http://n.example:x",
        "http://[",
        "http://n\n.example",
        "http://n.example:0",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    """http and https, and not without end."""
    with pytest.raises(PostingError, match="address is none"):
        open_node(url)


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ("already known", True),
        ("nonce too low: next 5, tx 3", False),
        ("AlreadyKnown already known", True),
        ("{'code': -32000, 'message': 'replacement transaction underpriced'}", False),
    ],
)
def test_transactions_that_are_there(words: str, taken: bool) -> None:
    """A node that has a transaction has it; one whose nonce is spent or held does not take it."""
    assert node_that(ValueError(words)).send(b"x") is taken


def test_transactions_that_are_not_taken() -> None:
    """Too little ether is said so; everything else by its class."""
    with pytest.raises(NodeError, match="too little ether"):
        node_that(ValueError("insufficient funds for gas * price + value")).send(b"x")
    with pytest.raises(NodeError, match="did not take the transaction: KeyError"):
        node_that(KeyError("x")).send(b"x")
    with pytest.raises(NodeError, match="did not take the transaction: ValueError"):
        node_that(ValueError("transaction underpriced")).send(b"x")


def test_events_in_pieces() -> None:
    """A long search is many questions that nodes answer, with no block twice or left out."""
    asked: list[tuple[int, int]] = []

    def get_logs(question: dict[str, Any]) -> list[Any]:
        asked.append((question["fromBlock"], question["toBlock"]))
        return [{"blockNumber": question["fromBlock"], "topics": [], "data": b""}]

    node = node_that(KeyError(), get_logs=get_logs)
    found = list(node.logs("0x", [], 10, 10 + 2 * LOG_BLOCKS_MAX))
    assert [one.block for one in found] == [start for start, _ in asked]
    assert asked[0][0] == 10
    assert asked[-1][1] == 10 + 2 * LOG_BLOCKS_MAX
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(asked))


def test_a_search_has_an_end() -> None:
    """Through as many blocks as a chain has, and not to a head that never was."""
    asked: list[int] = []

    def get_logs(question: dict[str, Any]) -> list[Any]:
        asked.append(question["fromBlock"])
        return [{"blockNumber": question["fromBlock"], "topics": [], "data": b""}]

    head = {"number": 10**12, "timestamp": 1}
    node = node_that(KeyError(), get_logs=get_logs, get_block=lambda _which: head)
    with pytest.raises(NodeError, match="tells of block 1000000000000: a search from 10 goes"):
        list(node.logs("0x", [], 10))
    with pytest.raises(NodeError, match="500000000 blocks at most"):
        next(node.logs("0x", [], 10, 10 + SEARCHED_BLOCKS_MAX))
    assert asked == []
    assert next(node.logs("0x", [], 10, 9 + SEARCHED_BLOCKS_MAX)).block == 10


def test_fees_without_a_tip() -> None:
    """A node that knows no tip costs one gwei; the fee leaves room for two doublings… of one."""
    block = {"number": 1, "timestamp": 1, "baseFeePerGas": 7}
    node = node_that(KeyError(), get_block=lambda _which: block)
    fees = node.fees()
    assert fees.priority_fee == 10**9
    assert fees.max_fee == 10**9 + 14


def test_the_interpreters_own_limit_stays() -> None:
    """A package below web3 raises it for all: then deep input of anybody ends the process.

    Also where two threads need web3 at once, and one of them finds the limit raised.
    """
    program = (
        "import sys, threading, time\n"
        "from tallystick.onchain.node import open_node\n"
        "other = threading.Thread(target=open_node, args=('http://127.0.0.1:1',))\n"
        "other.start()\n"
        "while other.is_alive() and sys.getrecursionlimit() == 1000:\n"
        "    time.sleep(0)\n"
        "open_node('http://127.0.0.1:1')\n"
        "other.join()\n"
        "print('py_ecc' in sys.modules or 'ckzg' in sys.modules, sys.getrecursionlimit())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True 1000"


def test_without_web3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it reads which extra brings it."""
    monkeypatch.setitem(sys.modules, "web3", None)
    with pytest.raises(MissingExtraError, match=r"tallystick\[onchain\]"):
        open_node("http://127.0.0.1:1")


@pytest.mark.parametrize("found", [None, {}, [], "x", -1, {"number": "x"}, {"number": -1}])
def test_answers_that_are_none(found: Any) -> None:
    """Whatever a node gives in place of a block, a number or an event is the node's fault."""

    def give(*_arguments: Any, **_named: Any) -> Any:
        return found

    methods = ("get_block", "get_balance", "get_transaction_count", "estimate_gas", "get_logs")
    eth = SimpleNamespace(**dict.fromkeys((*methods, "get_transaction_receipt"), give))
    eth.max_priority_fee, eth.chain_id = found, found
    node = Node(SimpleNamespace(eth=eth), "the node")
    number: list[Callable[[], Any]] = [
        lambda: node.balance("0x"),
        lambda: node.nonce("0x"),
        lambda: node.gas({}),
        lambda: node.chain_id,
    ]
    for ask in (node.head, *number):
        with pytest.raises(NodeError):
            ask()
    assert node.block_hash(1) is None
    if found:
        with pytest.raises(NodeError):
            list(node.logs("0x", [], 1, 1))
    if found in ("x", -1):
        with pytest.raises(NodeError):
            node.mined(b"\1" * 32)
