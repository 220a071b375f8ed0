# SPDX-License-Identifier: Apache-2.0
"""The contracts on a real node: the calls of `revm.py`, spoken over JSON-RPC."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

from tests.anvil import Anvil
from tests.contracts.revm import ETHER, ZERO, Machine


class _Log:
    def __init__(self, entry: dict[str, Any]) -> None:
        self.address = entry["address"]
        self.topics = entry["topics"]
        self.data = (None, bytes.fromhex(entry["data"][2:]))


class _Result:
    gas_used = 0
    logs: tuple[_Log, ...] = ()


class _Evm:
    def __init__(self, node: Anvil) -> None:
        self.node = node
        self.result = _Result()

    def get_balance(self, address: str) -> int:
        return int(self.node.rpc("eth_getBalance", address, "latest"), 16)

    def set_balance(self, address: str, amount: int) -> None:
        self.node.rpc("anvil_setBalance", address, hex(amount))

    def reset_transient_storage(self) -> None:
        """Nothing to do: each transaction has its own."""

    def _sent(self, transaction: dict[str, Any]) -> dict[str, Any]:
        name = self.node.rpc("eth_sendTransaction", transaction)
        receipt: dict[str, Any] | None = None
        until = monotonic() + 10
        while receipt is None:
            assert monotonic() < until, "no block in ten seconds"
            receipt = self.node.rpc("eth_getTransactionReceipt", name)
        self.result.gas_used = int(receipt["gasUsed"], 16)
        self.result.logs = tuple(map(_Log, receipt["logs"]))
        return receipt

    def deploy(self, sender: str, code: bytes) -> str:
        made = self._sent({"from": sender, "data": "0x" + code.hex(), "gas": hex(10_000_000)})
        assert made["status"] == "0x1"
        return str(made["contractAddress"])

    def message_call(
        self, sender: str, to: str, *, calldata: bytes, value: int = 0, gas: int = 0
    ) -> bytes:
        call = {"from": sender, "to": to, "data": "0x" + calldata.hex(), "value": hex(value)}
        try:
            output = self.node.rpc("eth_call", call, "latest")
        except RuntimeError as fault:
            data = json.loads(str(fault)).get("data") or "0x"
            raise RuntimeError(f"Revert {{ output: {data} }}") from None
        if sender != ZERO:
            assert self._sent(call | {"gas": hex(8_000_000)})["status"] == "0x1"
        return bytes.fromhex(output[2:])


class AnvilMachine(Machine):
    """A chain of anvil's, where every account may send."""

    chain = 31337

    def __init__(self, node: Anvil) -> None:
        self.node = node
        self.evm = _Evm(node)
        self.contracts = {}
        self.gas = 0
        node.rpc("anvil_autoImpersonateAccount", True)

    @property
    def now(self) -> int:  # type: ignore[override]  # asked of the chain
        """The time of the last block."""
        return int(self.node.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    @property
    def number(self) -> int:  # type: ignore[override]  # asked of the chain
        """The number of the last block."""
        return int(self.node.rpc("eth_blockNumber"), 16)

    def fund(self, address: str, amount: int = 1000 * ETHER) -> None:
        """Give an address money."""
        self.evm.set_balance(address, min(amount, 10**6 * ETHER))

    def tick(self, seconds: int) -> None:
        """Let time pass, and mine a block."""
        self.node.rpc("evm_increaseTime", hex(max(seconds, 1)))
        self.node.rpc("evm_mine")
