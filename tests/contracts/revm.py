# SPDX-License-Identifier: Apache-2.0
"""The contracts on an EVM in this process: a call takes microseconds, and time is ours."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyrevm
from coincurve import PrivateKey
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_hash.auto import keccak

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "src" / "tallystick" / "onchain" / "artifacts"

ETHER = 10**18
HOUR = 3600
DAY = 86_400
START = 1_800_000_000
RICH = 10**9 * ETHER
ZERO = "0x" + "00" * 20
BURN = "0x000000000000000000000000000000000000dEaD".lower()

_REVERTED = re.compile(r"output: 0x([0-9a-f]*)")


class Reverted(Exception):
    """A call that the contract refused: the error's name, or the raw output."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Function:
    """One function of an ABI, ready to be called."""

    name: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def abi_type(entry: dict[str, Any]) -> str:
    """Return the type of an ABI entry as signatures spell it."""
    kind: str = entry["type"]
    if kind.startswith("tuple"):
        return "(" + ",".join(map(abi_type, entry["components"])) + ")" + kind[5:]
    return kind


@dataclass
class Interface:
    """What is known of a contract from its artefact."""

    name: str
    code: bytes
    inputs: tuple[str, ...] = ()
    functions: dict[str, Function] = field(default_factory=dict)
    events: dict[bytes, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict)
    errors: dict[bytes, str] = field(default_factory=dict)


def interface(artifact: dict[str, Any]) -> Interface:
    """Read an artefact."""
    found = Interface(artifact["contract"], bytes.fromhex(artifact["bytecode"][2:]))
    for entry in artifact["abi"]:
        inputs = tuple(map(abi_type, entry.get("inputs", ())))
        signature = f"{entry.get('name', '')}({','.join(inputs)})"
        if entry["type"] == "function":
            outputs = tuple(map(abi_type, entry["outputs"]))
            selector = keccak(signature.encode())[:4]
            found.functions[entry["name"]] = Function(entry["name"], selector, inputs, outputs)
        elif entry["type"] == "event":
            found.events[keccak(signature.encode())] = (entry["name"], entry["inputs"])
        elif entry["type"] == "error":
            found.errors[keccak(signature.encode())[:4]] = entry["name"]
        else:
            found.inputs = inputs
    return found


@cache
def committed(name: str) -> Interface:
    """Return a contract as its committed artefact has it."""
    return interface(json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Account:
    """A key and its address."""

    key: PrivateKey
    address: str

    def sign(self, digest: bytes) -> bytes:
        """Return r, s and v over a digest."""
        made = self.key.sign_recoverable(digest, hasher=None)
        return made[:64] + bytes([27 + made[64]])


def account(seed: int | str) -> Account:
    """Return the account of a seed."""
    key = PrivateKey(keccak(f"account {seed}".encode()))
    return Account(key, "0x" + keccak(key.public_key.format(compressed=False)[1:])[12:].hex())


@dataclass(frozen=True)
class Event:
    """One event, decoded."""

    source: str
    name: str
    values: dict[str, Any]


class Machine:
    """An EVM with a clock."""

    chain = 1
    evm: Any

    def __init__(self, code_max: int | None = None) -> None:
        """`code_max` allows contracts that no chain takes: with their switches, some are so."""
        config = pyrevm.CfgEnv(limit_contract_code_size=code_max)
        self.evm = pyrevm.EVM(env=pyrevm.Env(cfg=config), spec_id="CANCUN")
        self.now = START
        self.number = 1000
        self.contracts: dict[str, Interface] = {}
        self.gas = 0
        self.tick(0)

    def tick(self, seconds: int) -> None:
        """Let time pass, and a block for each tick."""
        self.now += seconds
        self.number += 1
        self.evm.set_block_env(
            pyrevm.BlockEnv(number=self.number, timestamp=self.now, gas_limit=10**9)
        )

    def fund(self, address: str, amount: int = RICH) -> None:
        """Give an address money."""
        self.evm.set_balance(address, amount)

    def become(self, address: str, code: bytes, balance: int = 0) -> None:
        """Put code where an account is."""
        info: Any = pyrevm.AccountInfo
        self.evm.insert_account_info(address, info(balance=balance, code=code))

    def deploy(self, kind: Interface, sender: str, *arguments: object) -> Contract:
        """Create a contract."""
        code = kind.code + abi_encode(kind.inputs, arguments)
        address = self.evm.deploy(sender, code).lower()
        self.gas = self.evm.result.gas_used
        self.contracts[address] = kind
        self.listen()
        return Contract(self, kind, address)

    def listen(self) -> None:
        """Called after each call that succeeded; for who wants to hear all events."""

    def events(self) -> list[Event]:
        """Return what the last call told."""
        told = []
        for log in self.evm.result.logs:
            kind = self.contracts[log.address.lower()]
            topics = [bytes.fromhex(topic.removeprefix("0x")) for topic in log.topics]
            name, inputs = kind.events[topics[0]]
            told.append(Event(kind.name, name, _event_values(inputs, topics[1:], log.data[1])))
        return told


def _event_values(inputs: list[dict[str, Any]], topics: list[bytes], data: bytes) -> dict[str, Any]:
    plain = [entry for entry in inputs if not entry["indexed"]]
    values = dict(
        zip(
            (entry["name"] for entry in plain),
            abi_decode([abi_type(entry) for entry in plain], data),
            strict=True,
        )
    )
    marked = [entry for entry in inputs if entry["indexed"]]
    for entry, topic in zip(marked, topics, strict=True):
        values[entry["name"]] = abi_decode([abi_type(entry)], topic)[0]
    return values


class Contract:
    """A contract that stands on a machine."""

    def __init__(self, machine: Machine, kind: Interface, address: str) -> None:
        self.machine = machine
        self.kind = kind
        self.address = address

    def data(self, name: str, *arguments: object) -> bytes:
        """Return the calldata of a call."""
        function = self.kind.functions[name]
        return function.selector + abi_encode(function.inputs, arguments)

    def send(self, sender: str, name: str, *arguments: object, value: int = 0) -> Any:
        """Call a function as a transaction, or raise `Reverted`."""
        return self.raw(sender, self.data(name, *arguments), self.kind.functions[name], value)

    def raw(self, sender: str, data: bytes, function: Function, value: int = 0) -> Any:
        """Call with calldata as it stands."""
        machine = self.machine
        try:
            output = machine.evm.message_call(
                sender, self.address, calldata=data, value=value, gas=30_000_000
            )
        except RuntimeError as fault:
            raise Reverted(self._reason(str(fault))) from None
        finally:
            machine.evm.reset_transient_storage()
        machine.gas = machine.evm.result.gas_used
        machine.listen()
        return _plain(abi_decode(function.outputs, output)) if function.outputs else None

    def _reason(self, text: str) -> str:
        found = _REVERTED.search(text)
        if found is None:
            return text
        output = bytes.fromhex(found[1])
        for kind in self.machine.contracts.values():
            if output in kind.errors:
                return kind.errors[output]
        return output.hex()

    def view(self, name: str, *arguments: object) -> Any:
        """Call a view."""
        return self.send(ZERO, name, *arguments)

    def words(self, name: str, *arguments: int) -> bytes:
        """Call a view with plain words and return what it returns, undecoded: the fast way."""
        data = self.kind.functions[name].selector + word(*arguments)
        output: bytes = self.machine.evm.message_call(ZERO, self.address, calldata=data)
        return output

    def record(self, name: str, *arguments: object) -> dict[str, Any]:
        """Call a view that returns one struct, and name its members."""
        artifact = json.loads((ARTIFACTS / f"{self.kind.name}.json").read_text(encoding="utf-8"))
        entry = next(one for one in artifact["abi"] if one.get("name") == name)
        members = [one["name"] for one in entry["outputs"][0]["components"]]
        return dict(zip(members, self.view(name, *arguments), strict=True))


def word(*values: int) -> bytes:
    """Return numbers as words of 32 bytes."""
    return b"".join(value.to_bytes(32, "big") for value in values)


def _plain(values: Sequence[Any]) -> Any:
    if len(values) == 0:
        return None
    return values[0] if len(values) == 1 else tuple(values)
