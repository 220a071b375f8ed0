# SPDX-License-Identifier: Apache-2.0
"""An account that sends transactions: each wish once, whatever crashes in between.

A wish has a name (`answer:1`) and a contract that it is for: others on the chain have a dispute 1,
too. Its transaction is signed, written to a journal and synced before a node sees it. Who asks for
the same wish again gets the same transaction: sent once more if the node forgot it, waited for if
it is under way, told of if it is done. A second one is signed for a wish only when the first can
never count any more: its nonce went to another, or it failed.

One process at a time draws a nonce for an account, under the journal's lock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Final

import msgspec

from tallystick.crypto.keccak import keccak256
from tallystick.crypto.rlp import rlp_encode
from tallystick.crypto.secp256k1 import checksum_address, read_address
from tallystick.durable.file import make_directory
from tallystick.durable.journal import Journal
from tallystick.errors import (
    LimitError,
    RevertError,
    SpendRefused,
    UnminedError,
    WalCorruptError,
    WalLockedError,
)
from tallystick.limits import CONFIRMATIONS_MAX, SENT_BYTES_MAX
from tallystick.model.evm_statement import Transaction, transaction_of
from tallystick.onchain.amount import shown_amount
from tallystick.onchain.node import Fees, Mined, Node
from tallystick.ports import EvmSigner

GWEI: Final = 10**9
# Added to what a node estimates: between estimate and block, storage may have changed.
_GAS_MARGIN_PERCENT: Final = 25
_LOCK_PAUSE_SECONDS: Final = 0.05


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction may cost, its value aside, and how long it is waited for."""

    max_fee: int = 200 * GWEI  # wei for a unit of gas
    max_cost: int = 5 * 10**17  # wei for all of its gas
    confirmations: int = 1
    wait_seconds: float = 180.0
    poll_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse waiting without an end."""
        if not 1 <= self.confirmations <= CONFIRMATIONS_MAX:
            raise LimitError(f"confirmations: {self.confirmations} is not 1 to {CONFIRMATIONS_MAX}")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done once for a contract: its name, and the call that does it."""

    name: str
    to: str | None
    data: bytes
    value: int = 0
    # Whoever sees the call can send it: what it needs is a signature in it, and not who sends it.
    is_open: bool = False
    # It is lost if it comes late: what stands before it must not hold it up.
    is_urgent: bool = False


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as the journal keeps it, before any node has seen it."""

    wish: str
    nonce: int
    max_fee: int
    raw: bytes
    hash: bytes

    def is_of(self, wish: Wish) -> bool:
        """Whether it is a wish's: other contracts on the chain have wishes of the same name."""
        if self.wish != wish.name:
            return False
        to = transaction_of(self.raw).to
        return to == (None if wish.to is None else checksum_address(read_address(wish.to)))


def _is_left_behind(sent: Sent, fees: Fees) -> bool:
    """Whether no block has room for it any more: the base fee, offered twice, is above its own."""
    return fees.max_fee - fees.priority_fee > 2 * sent.max_fee


def _replacing(sent: Sent, fees: Fees) -> Fees:
    """Return fees for which nodes replace: an eighth more, of the one and of the other."""
    tip = transaction_of(sent.raw).max_priority_fee_per_gas
    least, tip = (one * 9 // 8 + 1 for one in (sent.max_fee, tip))
    return Fees(max_fee=max(fees.max_fee, least), priority_fee=max(fees.priority_fee, tip))


def created_address(sender: bytes, nonce: int) -> bytes:
    """Return where the contract stands that a transaction of an account makes."""
    return keccak256(rlp_encode([sender, nonce]))[12:]


class Account:
    """Sends transactions of one key on one chain, safely from many threads and processes."""

    def __init__(
        self,
        node: Node,
        signer: EvmSigner,
        directory: str | os.PathLike[str],
        terms: Terms | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """The journal lies in `directory`, one for each chain and address."""
        self.node = node
        self.signer = signer
        self.terms = terms or Terms()
        self.address = signer.get_address()
        self._sleep = sleep
        self._clock = clock
        self._lock = Lock()
        make_directory(directory, 0o700)
        name = f"sent-{node.chain_id}-{self.address[2:].lower()}.journal"
        self._path = os.path.join(directory, name)

    def fresh(self, name: str) -> str:
        """Return a wish's name that is another once the account's next transaction is in a block.

        For what may be wished for again: while it is under way, asking again is the same wish.
        """
        return f"{name}:{self.node.nonce(self.address)}"

    def price(self, wish: Wish) -> tuple[int, Fees]:
        """Return gas and fees of a wish, or raise: refused by the contract, or over a cap."""
        gas = self.node.gas(self._call_of(wish))
        gas += gas * _GAS_MARGIN_PERCENT // 100
        fees = self._capped(self.node.fees())
        cost = gas * fees.max_fee
        if cost > self.terms.max_cost:
            raise SpendRefused(
                f"the gas of {wish.name} may cost {shown_amount(cost)}, "
                f"over the cap of {shown_amount(self.terms.max_cost)}"
            )
        return gas, fees

    def _capped(self, fees: Fees) -> Fees:
        most = self.terms.max_fee
        if fees.max_fee <= most:
            return fees
        return Fees(max_fee=most, priority_fee=min(fees.priority_fee, most))

    def do(
        self,
        wish: Wish,
        quote: tuple[int, Fees] | None = None,
        *,
        anew: Callable[[], None] = lambda: None,
    ) -> Mined:
        """Do a wish and wait until it is final; raise UnminedError where that takes too long.

        With a `quote`, which `price` gave, what is signed now costs no more than that. `anew` is
        called, and may refuse, before another transaction is signed for a wish that had one: a node
        that lied of the first may have both mined.
        """
        with self._lock:
            sent = self._sent(wish, quote, anew)
        mined = self._wait(sent)
        if not mined.ok:
            raise RevertError(f"{wish.name} was mined and failed: 0x{mined.hash.hex()}")
        if wish.to is not None:
            return mined
        # Not the address that a node tells: whose contract stood there, one's bond would go to.
        made = created_address(read_address(self.address), sent[-1].nonce)
        return msgspec.structs.replace(mined, contract=checksum_address(made))

    def _sent(
        self, wish: Wish, quote: tuple[int, Fees] | None, anew: Callable[[], None]
    ) -> tuple[Sent, ...]:
        """Return the transactions of a wish of which one can count: old ones, or one signed now."""
        journal = self._open()
        try:
            items = [msgspec.msgpack.decode(journal.read(one), type=Sent) for one in journal.found]
            following = self.node.nonce(self.address)
            earlier = tuple(one for one in items if one.is_of(wish))
            if earlier:
                latest = tuple(one for one in earlier if one.nonce == earlier[-1].nonce)
                done = self._done(latest)
                if done is None and latest[-1].nonce >= following:
                    before = (one for one in items if following <= one.nonce < latest[-1].nonce)
                    if wish.is_urgent:
                        self._hand_in_again(journal, before, is_urgent=True)
                    return latest + self._dearer(journal, wish, latest[-1], quote)
                if not self._never_counts(latest[-1].nonce, done):
                    return latest
                # It failed, or its nonce went to another transaction, for good.
            under_way = [one for one in items if one.nonce >= following]
            self._hand_in_again(journal, under_way, is_urgent=wish.is_urgent)
            taken = {one.nonce for one in under_way}
            while following in taken:
                following += 1
            gas, fees = quote or self.price(wish)
            if earlier:
                anew()
            return (self._signed(journal, wish, following, gas, fees),)
        finally:
            journal.close()

    def _hand_in_again(self, journal: Journal, sent: Iterable[Sent], *, is_urgent: bool) -> None:
        """Send what waits once more: what a node forgot would hold up all that comes after it.

        Of those with one nonce the last is the dearest: where that one waits, others are refused.
        """
        fees = self.node.fees() if is_urgent else None
        for one in {one.nonce: one for one in sent}.values():
            if fees is None or not self._raised(journal, one, fees):
                self.node.send(one.raw)

    def _raised(self, journal: Journal, sent: Sent, fees: Fees) -> bool:
        """Put a dearer one in the place of what fees have left behind, if the caps allow that."""
        if not _is_left_behind(sent, fees):
            return False
        transaction = transaction_of(sent.raw)
        offered = _replacing(sent, self._capped(fees))
        cost = transaction.gas * offered.max_fee
        if offered.max_fee > self.terms.max_fee or cost > self.terms.max_cost:
            return False
        if self.node.balance(self.address) < transaction.value + cost:
            return False  # no node takes it, and the old one may have its day yet
        self._handed_in(
            journal,
            sent.wish,
            msgspec.structs.replace(
                transaction,
                max_fee_per_gas=offered.max_fee,
                max_priority_fee_per_gas=offered.priority_fee,
            ),
        )
        return True

    def _never_counts(self, nonce: int, done: Mined | None) -> bool:
        """Whether nothing signed for a nonce can count any more, reorganisations included."""
        if done is not None and done.ok:
            return False
        if self.terms.confirmations == 1:
            return True
        final = self.node.head()[0] - self.terms.confirmations + 1
        if done is not None:
            return done.block <= final
        return final >= 0 and self.node.nonce(self.address, final) > nonce

    def _done(self, sent: tuple[Sent, ...]) -> Mined | None:
        found = (self.node.mined(one.hash) for one in sent)
        return next((one for one in found if one is not None), None)

    def _dearer(
        self, journal: Journal, wish: Wish, sent: Sent, quote: tuple[int, Fees] | None
    ) -> tuple[Sent, ...]:
        """Send a transaction again, or one in its place where fees have risen above its own."""
        fees = self.node.fees()
        if not _is_left_behind(sent, fees):
            self.node.send(sent.raw)
            return ()
        gas, offered = quote or self.price(wish)
        dearer = _replacing(sent, offered)
        if dearer.max_fee > offered.max_fee:
            raise SpendRefused(f"{wish.name} waits: fees have risen above the cap")
        return (self._signed(journal, wish, sent.nonce, gas, dearer),)

    def _signed(self, journal: Journal, wish: Wish, nonce: int, gas: int, fees: Fees) -> Sent:
        transaction = Transaction(
            chain_id=self.node.chain_id,
            nonce=nonce,
            gas=gas,
            max_fee_per_gas=fees.max_fee,
            max_priority_fee_per_gas=fees.priority_fee,
            to=wish.to,
            value=wish.value,
            data=wish.data,
        )
        return self._handed_in(journal, wish.name, transaction)

    def _handed_in(self, journal: Journal, name: str, transaction: Transaction) -> Sent:
        """Sign, write down, and only then hand in: all while the lock on the nonces is held."""
        raw = transaction.signed(self.signer.sign(transaction))
        sent = Sent(
            wish=name,
            nonce=transaction.nonce,
            max_fee=transaction.max_fee_per_gas,
            raw=raw,
            hash=keccak256(raw),
        )
        journal.append(msgspec.msgpack.encode(sent))
        self.node.send(raw)
        return sent

    def _wait(self, sent: tuple[Sent, ...]) -> Mined:
        """Return where a transaction lies, once it lies deep enough in the chain that counts."""
        deadline = self._clock() + self.terms.wait_seconds
        while True:
            mined = self._done(sent)
            if mined is None:
                self.node.send(sent[-1].raw)  # a node may forget; a reorganisation takes back
                mined = self._done(sent)
            if mined is not None:
                depth = self.node.head()[0] - mined.block + 1
                is_canonical = self.node.block_hash(mined.block) == mined.block_hash
                if depth >= self.terms.confirmations and is_canonical:
                    return mined
            if self._clock() >= deadline:
                raise UnminedError(
                    f"transaction 0x{sent[-1].hash.hex()} is not final after "
                    f"{self.terms.wait_seconds:g} s; the same command goes on waiting",
                    is_transient=True,
                )
            self._sleep(self.terms.poll_seconds)

    def _call_of(self, wish: Wish) -> dict[str, Any]:
        call: dict[str, Any] = {"from": self.address, "value": wish.value, "data": wish.data}
        return call if wish.to is None else call | {"to": wish.to}

    def _open(self) -> Journal:
        deadline = self._clock() + self.terms.wait_seconds
        while True:
            try:
                return Journal(self._path, bytes_max=SENT_BYTES_MAX)
            except WalCorruptError as error:
                raise WalCorruptError(
                    f"{error}. It says which transactions were sent: look at {self.address} on "
                    "the chain until nothing waits there, then move the file away and keep it. "
                    "What was sent before may then be sent once more"
                ) from error
            except WalLockedError:
                if self._clock() >= deadline:
                    raise
                self._sleep(_LOCK_PAUSE_SECONDS)
