# SPDX-License-Identifier: Apache-2.0
"""The same contracts on py-evm behind eth-tester: a second EVM's opinion, and true gas.

It answers to the calls of the EVM in `revm.py`, so that worlds, tests and helpers run on either.
"""

from __future__ import annotations

from ast import literal_eval
from typing import Any

from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from tests.contracts.revm import ETHER, ZERO, Account, Machine

_GAS = 8_000_000


class _Result:
    gas_used = 0
    logs: tuple[Any, ...] = ()


class _Evm:
    """What `Machine` and `Contract` ask of an EVM."""

    def __init__(self) -> None:
        parameters = PyEVMBackend.generate_genesis_params(overrides={"gas_limit": 30_000_000})
        self.tester = EthereumTester(PyEVMBackend(genesis_parameters=parameters))
        self.rich = self.tester.get_accounts()[0]
        self.result = _Result()

    def get_balance(self, address: str) -> int:
        """Return a balance."""
        return int(self.tester.get_balance(address))

    def set_balance(self, address: str, amount: int) -> None:
        """Give somebody a thousand ether, whatever was asked."""
        self._sent({"from": self.rich, "to": address, "value": 1000 * ETHER, "gas": 21_000})

    def reset_transient_storage(self) -> None:
        """Nothing to do: each transaction has its own."""

    def _sent(self, transaction: dict[str, Any]) -> dict[str, Any]:
        fees = {"max_fee_per_gas": 10**10, "max_priority_fee_per_gas": 1}
        receipt: dict[str, Any] = self.tester.get_transaction_receipt(
            self.tester.send_transaction(transaction | fees)
        )
        self.result.gas_used = receipt["gas_used"]
        return receipt

    def deploy(self, sender: str, code: bytes) -> str:
        """Create a contract."""
        made = self._sent({"from": sender, "to": "", "data": "0x" + code.hex(), "gas": _GAS})
        assert made["status"] == 1
        return str(made["contract_address"])

    def message_call(
        self, sender: str, to: str, *, calldata: bytes, value: int = 0, gas: int = _GAS
    ) -> bytes:
        """Call, and unless nobody calls, send too."""
        call = {"from": sender, "to": to, "data": "0x" + calldata.hex(), "gas": min(gas, _GAS)}
        if sender == ZERO:
            call["from"] = self.rich
        if value:
            call["value"] = value
        try:
            output = self.tester.call(call)
            if sender != ZERO:
                assert self._sent(call)["status"] == 1
        except TransactionFailed as fault:
            raise RuntimeError(f"Revert {{ output: 0x{_output(fault).hex()} }}") from None
        return bytes.fromhex(output.removeprefix("0x"))


def _output(fault: TransactionFailed) -> bytes:
    """Return what a call reverted with; py-evm tells it as Python spells bytes."""
    text = str(fault.args[0])
    return bytes(literal_eval(text)) if text.startswith(("b'", 'b"')) else b""


class SecondMachine(Machine):
    """A chain of eth-tester's."""

    chain = 131277322940537

    def __init__(self) -> None:
        self.evm = _Evm()
        self.contracts = {}
        self.gas = 0

    @property
    def now(self) -> int:  # type: ignore[override]  # asked of the chain
        """The time that the next block will have, at least."""
        return int(self.evm.tester.get_block_by_number("pending")["timestamp"])

    @property
    def number(self) -> int:  # type: ignore[override]  # asked of the chain
        """The number of the last block."""
        return int(self.evm.tester.get_block_by_number("latest")["number"])

    def tick(self, seconds: int) -> None:
        """Let time pass."""
        self.evm.tester.time_travel(self.now + max(seconds, 1))
        self.evm.tester.mine_block()

    def know(self, *people: Account) -> None:
        """Let the tester sign for somebody."""
        for one in people:
            self.evm.tester.add_account("0x" + one.key.secret.hex())
