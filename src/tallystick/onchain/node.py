# SPDX-License-Identifier: Apache-2.0
"""One node of a chain: what we ask of it, and what its answers mean.

A node is not believed where it can be checked, and its words are not passed on: an RPC address
often holds an access key, and errors quote addresses.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from tallystick.errors import (
    MissingExtraError,
    NodeError,
    PostingError,
    RevertError,
    how_to_install,
)
from tallystick.limits import LOG_BLOCKS_MAX, SEARCHED_BLOCKS_MAX, URL_CHARS_MAX
from tallystick.onchain.artifact import error_names
from tallystick.onchain.transport import Transport, provider

Answer = TypeVar("Answer")

# Classes whose errors say "later"; by name, in an exception's ancestry.
_TRANSIENT: Final = frozenset(
    {
        "ConnectionError",
        "HTTPError",
        "ProviderConnectionError",
        "ReadTimeout",
        "Timeout",
        "TimeExhausted",
        "TooManyRequests",
    }
)
# A selector as Python shows bytes; whatever is longer is no error of ours.
_SHOWN_CHARS_MAX: Final = 64

# What nodes say where value and fees are more than the account has.
_POOR: Final = ("insufficient funds", "does not have enough", "cannot afford")
# What nodes say when they have the transaction already, or its nonce.
_KNOWN: Final = ("already known", "already imported", "known transaction")
_SPENT: Final = ("nonce too low", "nonce is too low", "invalid transaction nonce")
# What nodes say when a dearer one with this nonce waits: ours, or another program's.
_HELD: Final = ("replacement transaction underpriced", "could not replace existing tx")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a contract told in a block."""

    block: int
    topics: tuple[bytes, ...]
    data: bytes


class Mined(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that is in a block: where, and whether it did what it should."""

    hash: bytes
    block: int
    block_hash: bytes
    ok: bool
    gas: int
    events: tuple[Event, ...]  # in their order
    contract: str = ""  # that it made


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction offers for each unit of gas, in wei."""

    max_fee: int
    priority_fee: int


class Node:
    """Asks a node through web3; every failure is one of our errors."""

    def __init__(self, web3: Any, name: str) -> None:
        """`name` stands in errors in place of the node's address."""
        self.web3 = web3
        self.name = name
        self._chain_id: int | None = None
        # What the number must be. Without it, what is signed counts on the chain that a node names.
        self.pinned: int | None = None

    @property
    def chain_id(self) -> int:
        """The chain's number, asked for once; raise PostingError where it is not the pinned one."""
        if self._chain_id is None:
            found = self.ask("chain id", lambda: _number(self.web3.eth.chain_id))
            if self.pinned not in (None, found):
                raise PostingError(f"{self.name} is on chain {found}, and not on {self.pinned}")
            self._chain_id = found
        return self._chain_id

    def ask(self, wish: str, request: Callable[[], Answer]) -> Answer:
        """Return what `request` returns, or raise a NodeError in our words."""
        fault: NodeError
        try:
            return request()
        except RevertError:
            raise
        except NodeError as error:
            fault = NodeError(
                f"{self.name} gave no {wish}: {error}", is_transient=error.is_transient
            )
        except Exception as error:  # noqa: BLE001  # web3 and its providers raise anything
            fault = _fault_of(error, f"{self.name} gave no {wish}")
        raise fault

    def head(self) -> tuple[int, int]:
        """Return number and time of the newest block."""

        def request() -> tuple[int, int]:
            block = self.web3.eth.get_block("latest")
            return _number(block["number"]), _number(block["timestamp"])

        return self.ask("block", request)

    def block_hash(self, number: int) -> bytes | None:
        """Return the hash of the block that has this number now, if there is one."""
        try:
            return self.ask("block", lambda: bytes(self.web3.eth.get_block(number)["hash"]))
        except NodeError as error:
            if error.is_transient:
                raise
            return None

    def balance(self, address: str) -> int:
        """Return an account's wei."""
        return self.ask("balance", lambda: _number(self.web3.eth.get_balance(address)))

    def nonce(self, address: str, block: int | None = None) -> int:
        """Return how many transactions of an account are in blocks, up to one or all."""
        place = "latest" if block is None else block
        return self.ask(
            "nonce", lambda: _number(self.web3.eth.get_transaction_count(address, place))
        )

    def has_code(self, address: str) -> bool:
        """Whether a contract stands at an address."""
        return bool(self.ask("code", lambda: self.web3.eth.get_code(address)))

    def fees(self) -> Fees:
        """Return what gets a transaction into one of the next blocks: twice the base fee."""

        def request() -> int:
            return _number(self.web3.eth.get_block("latest").get("baseFeePerGas", 0))

        base = self.ask("block", request)
        try:
            tip = self.ask("fee", lambda: _number(self.web3.eth.max_priority_fee))
        except NodeError:
            tip = 1_000_000_000  # a node without eth_maxPriorityFeePerGas
        return Fees(max_fee=2 * base + tip, priority_fee=tip)

    def call(self, transaction: Mapping[str, Any]) -> bytes:
        """Return what a call would return now; raise RevertError where it is refused."""
        return self.ask("answer", lambda: bytes(self.web3.eth.call(dict(transaction))))

    def gas(self, transaction: Mapping[str, Any]) -> int:
        """Return how much gas a transaction takes; raise RevertError where it is refused."""
        return self.ask("estimate", lambda: _number(self.web3.eth.estimate_gas(dict(transaction))))

    def send(self, raw: bytes) -> bool:
        """Hand a signed transaction in; False where its nonce is spent, or another's that waits."""
        try:
            self.web3.eth.send_raw_transaction(raw)
        except NodeError as error:
            why = f"{self.name} did not take the transaction: {error}"
            fault = NodeError(why, is_transient=error.is_transient)
        except Exception as error:  # noqa: BLE001  # see `ask`
            said = str(error).lower()
            if any(words in said for words in _KNOWN):
                return True
            if any(words in said for words in _SPENT + _HELD):
                return False
            fault = _fault_of(error, f"{self.name} did not take the transaction")
        else:
            return True
        raise fault

    def mined(self, transaction_hash: bytes) -> Mined | None:
        """Return where a transaction was mined, or None while it was not."""

        def request() -> Mined | None:
            not_found = import_module("web3.exceptions").TransactionNotFound
            try:
                found = self.web3.eth.get_transaction_receipt(transaction_hash)
            except not_found:
                return None
            if found is None or found.get("blockNumber") is None:
                return None
            return Mined(
                hash=transaction_hash,
                block=_number(found["blockNumber"]),
                block_hash=bytes(found["blockHash"]),
                ok=_number(found["status"]) == 1,
                gas=_number(found["gasUsed"]),
                events=tuple(map(_event, found["logs"])),
            )

        return self.ask("transaction receipt", request)

    def logs(
        self, address: str, topics: list[Any], start: int, stop: int | None = None
    ) -> Iterator[Event]:
        """Yield events of a contract, oldest first, in as many questions as nodes allow."""
        end = self.head()[0] if stop is None else stop
        if end - start >= SEARCHED_BLOCKS_MAX:
            raise NodeError(
                f"{self.name} tells of block {end}: a search from {start} goes through "
                f"{SEARCHED_BLOCKS_MAX} blocks at most"
            )
        for begin in range(start, end + 1, LOG_BLOCKS_MAX):
            question = {
                "address": address,
                "topics": topics,
                "fromBlock": begin,
                "toBlock": min(begin + LOG_BLOCKS_MAX - 1, end),
            }
            yield from self._events(question)

    def _events(self, question: dict[str, Any]) -> list[Event]:
        def request() -> list[Event]:
            return [_event(one) for one in self.web3.eth.get_logs(question)]

        return self.ask("events", request)


def _event(found: Mapping[str, Any]) -> Event:
    return Event(
        block=_number(found["blockNumber"]),
        topics=tuple(bytes(word) for word in found["topics"]),
        data=bytes(found["data"]),
    )


def _number(found: Any) -> int:
    """Return a number that a node gave, which is none below zero."""
    number = int(found)
    if number < 0:
        raise ValueError(number)
    return number


def open_node(url: str) -> Node:
    """Return the node at an http(s) address; nothing is asked yet."""
    parts = _parts(url)
    if parts is None:
        raise PostingError("the node's address is none: wanted is http://… or https://…")
    web3 = web3_module()
    return Node(web3.Web3(provider(Transport(parts))), f"the node at {parts.hostname}")


def _parts(url: str) -> SplitResult | None:
    """Return the parts of an http(s) address in plain text, or None."""
    if len(url) > URL_CHARS_MAX or not (url.isascii() and url.isprintable()) or " " in url:
        return None
    try:
        parts = urlsplit(url)
        is_whole = parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_whole and parts.scheme in ("http", "https") else None


def web3_module() -> Any:
    """Return web3, or say which extra brings it."""
    # In this order: who finds that nobody has begun to import it has read a limit not yet raised.
    frames = sys.getrecursionlimit()
    is_first = "web3" not in sys.modules
    try:
        return import_module("web3")  # a second; only commands on chain need it
    except ImportError:
        raise MissingExtraError(f"web3 is not installed; {how_to_install('onchain')}") from None
    finally:
        # It has py_ecc ask for a hundred times as many. The answer of a service that signs is read
        # by its vendor's parser, where with so many, deep input would end the process.
        if is_first:
            sys.setrecursionlimit(frames)


def _fault_of(error: Exception, wish: str) -> NodeError:
    name = revert_name(error)
    if name is not None:
        refusal = RevertError(f"the contract refuses: {name or 'without a reason'}")
        refusal.name = name
        return refusal
    kinds = {kind.__name__ for kind in type(error).__mro__}
    transient = bool(kinds & _TRANSIENT)
    why = "it can't be reached or is busy" if transient else type(error).__name__
    said = str(error).lower()
    if any(words in said for words in _POOR):
        why = "the account has too little ether for value and fees"
    return NodeError(f"{wish}: {why}", is_transient=transient)


def revert_name(error: Exception) -> str | None:
    """Return the contract's error behind an exception: empty if unknown, None if no revert."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if not kinds & {"ContractLogicError", "TransactionFailed", "Revert"}:
        said = str(error).lower()
        if "revert" not in said:
            return None
    for found in (getattr(error, "data", None), *error.args):
        data = _bytes_in(found)
        if data is not None and data[:4] in error_names():
            return error_names()[data[:4]]
    return ""


def _bytes_shown(text: str) -> bytes | None:
    from ast import literal_eval

    begin = text.find("b'")
    try:
        found = literal_eval(text[begin : text.rindex("'") + 1][:_SHOWN_CHARS_MAX])
    except (ValueError, SyntaxError):
        return None
    return found if isinstance(found, bytes) else None


def _bytes_in(found: object) -> bytes | None:
    if isinstance(found, bytes):
        return found
    if isinstance(found, Mapping):
        inner = found.get("data")
        return None if inner is found else _bytes_in(inner)
    if isinstance(found, str) and "b'" in found:  # eth-tester: execution reverted: b'\\x03…'
        return _bytes_shown(found)
    if isinstance(found, str):
        at = found.find("0x")
        digits = found[at + 2 : at + 10] if at >= 0 else ""
        try:
            return bytes.fromhex(digits) if len(digits) == 8 else None
        except ValueError:
            return None
    return None
