# SPDX-License-Identifier: Apache-2.0
"""The embedded chain is there again after it was closed, and keeps its own time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chains import CHALLENGER, SOLVER, embedded
from tests.curve import CurveKey

from tallystick.errors import NodeError, RevertError, WalCorruptError, WalLockedError
from tallystick.onchain import solving
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.codec import constructor_data
from tallystick.onchain.embedded import EmbeddedNode

SOMEBODY = CurveKey(0x90B0D1).address


def test_it_is_there_again(tmp_path: Path) -> None:
    """Balances, blocks and passed time survive; blocks keep their hashes."""
    first = EmbeddedNode(tmp_path, clock=lambda: 2_000_000_000.0)
    first.give(SOMEBODY, 5)
    first.advance(3600)
    number, moment = first.head()
    hashes = [first.block_hash(n) for n in range(number + 1)]
    first.close()
    second = EmbeddedNode(tmp_path, clock=lambda: 2_000_000_010.0)
    assert second.balance(SOMEBODY) == 5
    assert [second.block_hash(n) for n in range(number + 1)] == hashes
    assert second.head()[1] == moment + 10
    assert second.chain_id == 131277322940537
    second.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Who opens a chain that is in use is told so."""
    first = EmbeddedNode(tmp_path)
    with pytest.raises(WalLockedError, match="in use"):
        EmbeddedNode(tmp_path)
    first.close()
    EmbeddedNode(tmp_path).close()


def test_a_damaged_chain_names_what_to_move_away(tmp_path: Path) -> None:
    """The error names the file; without it another chain begins."""
    path = tmp_path / "chain.journal"
    path.write_text("garbage\n")
    with pytest.raises(WalCorruptError, match=f"{path}: .*Move it away to begin another chain"):
        EmbeddedNode(tmp_path)
    path.rename(tmp_path / "evidence")
    EmbeddedNode(tmp_path).close()


def test_time_goes_forward(tmp_path: Path) -> None:
    """A clock that is set back does not stop the chain: each block is later than the last."""
    moments = iter([2_000_000_000.0, *[1.0] * 20])
    node = EmbeddedNode(tmp_path, clock=lambda: next(moments))
    before = node.head()[1]
    node.give(SOMEBODY)
    assert node.head()[1] == before + 1
    node.close()


def test_what_passes_passes_on_the_chain(tmp_path: Path) -> None:
    """Many blocks in one second put the chain ahead of the clock; an hour is an hour."""
    node = EmbeddedNode(tmp_path, clock=lambda: 2_000_000_000.0)
    for _ in range(5):
        node.give(SOMEBODY)
    before = node.head()[1]
    assert before > 2_000_000_000
    assert node.advance(3600) >= before + 3600
    node.close()


def test_an_estimate_is_enough_and_little_more(tmp_path: Path) -> None:
    """With the gas that was estimated a call succeeds, and with a tenth less it does not."""
    with embedded(tmp_path) as chain:
        wish = solving.deposit(chain.contracts, 10**18, "more")
        sender = chain.account(SOLVER).address
        calls = [{"from": sender, "to": wish.to, "data": wish.data, "value": wish.value}]
        calls += [{"from": sender, "data": constructor_data(REGISTRY, sender)}]
        for one in calls:
            gas = chain.node.gas(one)
            chain.node.call({**one, "gas": gas})
            with pytest.raises((RevertError, NodeError)):
                chain.node.call({**one, "gas": gas * 9 // 10})
        with pytest.raises(RevertError, match="NotSolverOperator"):
            chain.node.gas({**calls[0], "from": chain.account(CHALLENGER).address})
        much = {"from": sender, "to": SOMEBODY, "data": b"\xff" * 4096}
        assert chain.node.gas(much) >= 21_000 + 40 * 4096  # the floor of EIP-7623


def test_absent_blocks(tmp_path: Path) -> None:
    """A block that is not there has no hash; a call to nobody returns nothing."""
    node = EmbeddedNode(tmp_path)
    assert node.block_hash(999) is None
    assert node.mined(b"\1" * 32) is None
    assert not node.has_code(SOMEBODY)
    assert node.call({"to": SOMEBODY, "data": b""}) == b""
    with pytest.raises(NodeError, match="too little ether"):
        node.gas({"from": SOMEBODY, "to": SOMEBODY, "value": 10**30})
    node.close()
