# SPDX-License-Identifier: Apache-2.0
"""A chain inside this process, for trying out and for tests: py-evm, its state kept in a journal.

Each change of the state is appended to `chain.journal` before its transaction is answered, so the
chain is there again for the next command. One process has it at a time. Blocks are made when there
is a transaction. Time is the clock's, plus what `advance` added: an hour passes in an instant.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from threading import RLock
from typing import Any, Final

from tallystick.durable.journal import Journal
from tallystick.errors import MissingExtraError, NodeError, WalCorruptError, how_to_install
from tallystick.limits import EMBEDDED_BYTES_MAX
from tallystick.onchain.node import Node, web3_module

EMBEDDED: Final = "embedded"
# What a new account is given where nobody sells ether.
GIFT: Final = 100 * 10**18
# Methods after which there may be a new block.
_CHANGING: Final = ("eth_sendRawTransaction", "eth_sendTransaction", "evm_mine")

# By what part an estimate that is not enough grows.
_GAS_STEP: Final = 32

_DELETED: Final = 0xFFFFFFFF
_OFFSET_KEY: Final = b"tallystick:offset"


class EmbeddedNode(Node):
    """A node on a chain of its own; `close` lets go of it."""

    def __init__(
        self, directory: str | os.PathLike[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the chain of a directory, or begin one."""
        self._clock = clock
        self._lock = RLock()
        path = os.path.join(directory, "chain.journal")
        try:
            self._journal = Journal(path, bytes_max=EMBEDDED_BYTES_MAX)
        except WalCorruptError as error:
            raise WalCorruptError(f"{error}. Move it away to begin another chain") from error
        try:
            self._begin()
        except BaseException:
            self._journal.close()
            raise

    def _begin(self) -> None:
        stored = _stored(self._journal)
        self._offset = int.from_bytes(stored.pop(_OFFSET_KEY, b""), "big")
        self._database, self._backend, tester = _machine(stored)
        web3 = web3_module()
        provider = self._provider(tester)
        super().__init__(web3.Web3(provider), "the embedded chain")
        self._giver: str = self.web3.eth.accounts[0]
        self._keep()
        if self._now() > self._backend.chain.get_canonical_head().timestamp:
            self._mine_at(self._now())

    def advance(self, seconds: int) -> int:
        """Let time pass; return the chain's new time.

        Blocks of one second are a second apart: the chain may be ahead of the clock, and what
        passes is counted from there.
        """
        with self._lock:
            ahead = self._backend.chain.get_canonical_head().timestamp - self._now()
            self._offset += max(ahead, 0) + seconds
            self._database.written[_OFFSET_KEY] = self._offset.to_bytes(8, "big")
            self._mine_at(self._now())
            return self.head()[1]

    def give(self, address: str, wei: int = GIFT) -> None:
        """Give ether to an account, as nobody does on a real chain."""
        self.ask(
            "gift",
            lambda: self.web3.eth.send_transaction(
                {"from": self._giver, "to": address, "value": wei}
            ),
        )

    def call(self, transaction: Mapping[str, Any]) -> bytes:
        """Return what a call would return; it needs a sender who could pay for it."""
        return super().call({"from": self._giver, **transaction})

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()

    def _now(self) -> int:
        return int(self._clock()) + self._offset

    def _provider(self, tester: Any) -> Any:
        node = self
        base = import_module("web3.providers.eth_tester").EthereumTesterProvider

        class Provider(base):  # type: ignore[misc, valid-type]  # loaded late, see above
            def make_request(self, method: Any, params: Any) -> Any:
                with node._lock:
                    if method in _CHANGING:
                        node._set_clock()
                    answer = super().make_request(method, params)
                    if method in _CHANGING:
                        node._keep()
                    return answer

        return Provider(tester)

    def _set_clock(self) -> None:
        chain = self._backend.chain
        parent = chain.get_canonical_head().timestamp
        chain.header = chain.header.copy(timestamp=max(self._now(), parent + 1))

    def _mine_at(self, moment: int) -> None:
        chain = self._backend.chain
        parent = chain.get_canonical_head().timestamp
        chain.header = chain.header.copy(timestamp=max(moment, parent + 1))
        self._backend.mine_blocks()
        self._keep()

    def _keep(self) -> None:
        written, self._database.written = self._database.written, {}
        if written:
            self._journal.append(_packed(written))


def _machine(stored: dict[bytes, bytes]) -> tuple[Any, Any, Any]:
    frames = sys.getrecursionlimit()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages that py-evm loads
            tester_module = import_module("eth_tester")
            pyevm = import_module("eth_tester.backends.pyevm.main")
            memory = import_module("eth.db.backends.memory")
            atomic = import_module("eth.db.atomic")
    except ImportError:
        raise MissingExtraError(
            f"the embedded chain is not installed; {how_to_install('onchain')}"
        ) from None
    finally:
        # py-evm asks for a hundred times as many; our contracts call few levels deep, and with so
        # many, deep input would end the process.
        sys.setrecursionlimit(frames)

    class Kept(memory.MemoryDB):  # type: ignore[misc, name-defined]  # loaded late
        """A database in memory that knows what was written since it was asked last."""

        def __init__(self, content: dict[bytes, bytes]) -> None:
            super().__init__(content)
            self.written: dict[bytes, bytes | None] = {}

        def __setitem__(self, key: bytes, value: bytes) -> None:
            super().__setitem__(key, value)
            self.written[bytes(key)] = bytes(value)

        def __delitem__(self, key: bytes) -> None:
            super().__delitem__(key)
            self.written[bytes(key)] = None

    database = Kept(stored)
    # One account, which gives ether away: deriving a key takes milliseconds.
    state = pyevm.PyEVMBackend.generate_genesis_state(num_accounts=1)
    backend = pyevm.PyEVMBackend(genesis_state=state)
    kind = type(backend.chain)
    if stored:
        backend.chain = kind(atomic.AtomicDB(database))
    else:
        params = pyevm.get_default_genesis_params()
        backend.chain = kind.from_genesis(atomic.AtomicDB(database), params, state)
    backend.chain.gas_estimator = _estimated
    return database, backend, tester_module.EthereumTester(backend)


def _estimated(state: Any, transaction: Any) -> int:
    """Return gas that is enough, by two runs; py-evm's own search takes a dozen.

    A call gives at most 63 of 64 parts of its gas on, and a refund comes after the end: what was
    used is not always enough, a bit more is.
    """
    spoof = import_module("eth.vm.spoof").SpoofTransaction

    def run(gas: int) -> Any:
        before = state.snapshot()
        try:
            return state.apply_transaction(spoof(transaction, gas=gas, gas_price=0))
        finally:
            state.revert(before)

    most: int = state.gas_limit
    done = run(most)
    done.raise_if_error()
    gas: int = transaction.intrinsic_gas + done.get_gas_used() + done.data_floor_gas
    while gas < most and run(gas).is_error:
        gas += gas // _GAS_STEP
    return min(gas, most)


def _packed(written: dict[bytes, bytes | None]) -> bytes:
    parts = bytearray()
    for key, value in written.items():
        size = _DELETED if value is None else len(value)
        parts += len(key).to_bytes(4, "big") + size.to_bytes(4, "big") + key + (value or b"")
    return bytes(parts)


def _unpacked(data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    at = 0
    while at < len(data):
        length, size = (int.from_bytes(data[at + n : at + n + 4], "big") for n in (0, 4))
        key = data[at + 8 : at + 8 + length]
        at += 8 + length
        if size == _DELETED:
            yield key, None
        else:
            yield key, data[at : at + size]
            at += size
    if at != len(data):
        raise NodeError("the embedded chain's journal holds something else")


def _stored(journal: Journal) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for item in journal.found:
        for key, value in _unpacked(journal.read(item)):
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
    return found
