# SPDX-License-Identifier: Apache-2.0
"""What all verbs of `tally hub` take, and the chain that they open with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

from tallystick.cli.hub_refusals import MEANING
from tallystick.cli.output import Exit, Stop, complain, error_is_terminal, say
from tallystick.config import read, read_number
from tallystick.errors import (
    NodeError,
    PostingError,
    RevertError,
    SpendRefused,
    UnminedError,
    WalLockedError,
)

Verb = TypeVar("Verb", bound=Callable[..., Any])

_HOME: Final = "onchain"
_CHAIN_ID: Final = click.IntRange(1, (1 << 64) - 1)
# A solver's number counts registrations: more digits than these are an id, or a typing error.
_NUMBER_DIGITS_MAX: Final = 20
# Where the source's own contracts are. That build is older than its source.
SEPOLIA: Final = {
    "SolverRegistry": "0xB6ab964832808E49635fF82D1996D6a888ecB745",
    "IntentReceiptHub": "0xD66A1e880AA3939CA066a9EA1dD37ad3d01D977c",
    "DisputeModule": "0x144DfEcB57B08471e2A75E78fc0d2A74A89DB79D",
}
SEPOLIA_CHAIN: Final = 11155111


def reading(verb: Verb) -> Verb:
    """Add the options of a verb that looks at a chain."""
    for option in (
        click.option(
            "--contracts", metavar="FILE", help="Where the contracts are; as `deploy` wrote it."
        ),
        click.option(
            "--chain-id",
            type=_CHAIN_ID,
            metavar="N",
            help="The number that the chain must have; a node that names another is refused.",
        ),
        click.option("--home", metavar="DIR", help="Where state is kept [onchain]."),
        click.option("--rpc", metavar="URL|embedded", help="The node, or the embedded chain."),
    ):
        verb = option(verb)
    return verb


def sending(verb: Verb) -> Verb:
    """Add the options of a verb that sends a transaction."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing."),
        click.option(
            "--confirmations",
            type=click.IntRange(1, 1000),
            default=1,
            metavar="N",
            help="Blocks after which a transaction counts [1].",
        ),
        click.option("--max-cost", metavar="AMOUNT", help="Cap on all of the gas [0.5 ether]."),
        click.option("--max-fee", metavar="AMOUNT", help="Cap on one unit of gas [200 gwei]."),
        click.option("--signer", metavar="KEY", help="Who sends: a keystore file or a URI."),
    ):
        verb = option(verb)
    return reading(verb)


class Session:
    """A chain that is open, and what is needed to act on it."""

    def __init__(self, node: Any, options: dict[str, Any], home: str) -> None:
        self.node = node
        self.home = home
        self.options = options
        self.is_dry = bool(options.get("dry_run"))
        self._account: Any = None

    @property
    def account(self) -> Any:
        """The account that sends; on the embedded chain it is given ether first."""
        if self._account is None:
            from tallystick.cli.signers import named_evm_signer
            from tallystick.onchain.account import Account
            from tallystick.onchain.embedded import EmbeddedNode

            signer = named_evm_signer(signer_text(self.options))
            is_embedded = isinstance(self.node, EmbeddedNode)
            if is_embedded and self.node.balance(signer.get_address()) < 10**19:
                self.node.give(signer.get_address())
            terms = self._terms(is_embedded)
            self._account = Account(self.node, signer, self.home, terms, sleep=Patience())
        return self._account

    @property
    def contracts(self) -> Any:
        """The contracts on this chain."""
        from tallystick.onchain.contracts import Contracts
        from tallystick.onchain.deployment import own_deployment, read_deployment

        path = self.options.get("contracts")
        if path is None:
            return Contracts(self.node, own_deployment(self.home, self.node))
        return Contracts(self.node, read_deployment(path))

    def do(self, wish: Any, done: str) -> Any:
        """Do a wish, or say with --dry-run what it would be; return where it was mined, or None."""
        from tallystick.onchain.amount import shown_amount

        if not self.is_dry:
            mined = self.account.do(wish)
            say(f"{done}  (transaction 0x{mined.hash.hex()}, {mined.gas} gas)")
            return mined
        # A node that was asked for the price of such a call could send it in our place.
        gas, fees = (0, None) if wish.is_open else self.account.price(wish)
        cost = 0 if fees is None else gas * fees.max_fee
        needed = wish.value + cost
        has = self.node.balance(self.account.address)
        say(f"would send {wish.name}")
        say(f"  to     {wish.to or 'a new contract'}")
        say(f"  value  {shown_amount(wish.value)}")
        if wish.is_open:
            say("  gas    not asked for: anyone who sees the call can send it")
        else:
            say(f"  gas    at most {gas}, for {shown_amount(cost)} or less")
        if has < needed:
            say(f"  short  {self.account.address} has {shown_amount(has)}")
        return None

    def _terms(self, is_embedded: bool) -> Any:
        from tallystick.onchain.account import Terms
        from tallystick.onchain.amount import parse_amount

        caps = {
            name: parse_amount(self.options[name])
            for name in ("max_fee", "max_cost")
            if self.options.get(name)
        }
        # Nobody but us makes blocks on the embedded chain: there is nothing to wait for.
        confirmations = 1 if is_embedded else self.options.get("confirmations", 1)
        return Terms(confirmations=confirmations, **caps)


class Patience:
    """Sleeps while a chain takes its time, and says so once to who looks on."""

    def __init__(self) -> None:
        self._is_told = not error_is_terminal()

    def __call__(self, seconds: float) -> None:
        """Sleep."""
        if not self._is_told:
            complain("waiting for the chain; after Ctrl-C the same command goes on waiting")
            self._is_told = True
        time.sleep(seconds)


def signer_text(options: dict[str, Any]) -> str:
    """Return what names the signer, or stop."""
    text = options.get("signer") or read("TALLY_EVM_SIGNER")
    if not text:
        raise Stop(Exit.USAGE, "who sends? Give --signer, or set TALLY_EVM_SIGNER")
    return str(text)


@contextmanager
def session(options: dict[str, Any]) -> Iterator[Session]:
    """Yield the chain that the options name; faults end the command with their exit code."""
    url = options.get("rpc") or read("TALLY_RPC")
    if not url:
        raise Stop(Exit.USAGE, "which chain? Give --rpc URL or --rpc embedded, or set TALLY_RPC")
    home = options.get("home") or read("TALLY_ONCHAIN_HOME") or _HOME
    pinned = options.get("chain_id") or read_number("TALLY_EVM_CHAIN_ID")
    with exits():
        node = _opened(url, home)
        node.pinned = pinned
        try:
            yield Session(node, options, home)
        finally:
            if url == "embedded":
                node.close()


@contextmanager
def exits() -> Iterator[None]:
    """Give faults on chain their exit codes: 1 refused, 2 usage, 3 could not be done now."""
    try:
        yield
    except RevertError as fault:
        meaning = MEANING.get(fault.name or "")
        raise Stop(Exit.REFUSED, f"{fault}: {meaning}" if meaning else str(fault)) from None
    except SpendRefused as fault:
        raise Stop(Exit.REFUSED, str(fault)) from None
    except WalLockedError as fault:
        raise Stop(Exit.UNCHECKED, f"{fault}; try again when it has ended") from None
    except (UnminedError, NodeError) as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
    except PostingError as fault:
        raise Stop(Exit.USAGE, str(fault)) from None


def _opened(url: str, home: str) -> Any:
    if url == "embedded":
        from tallystick.durable.file import make_directory
        from tallystick.onchain.embedded import EmbeddedNode

        make_directory(home, 0o700)
        return EmbeddedNode(os.fspath(home))
    from tallystick.onchain.node import open_node

    return open_node(url)


def word(text: str, name: str, *, or_else: str = "") -> bytes:
    """Return the 32 bytes of an identifier, given as hexadecimal digits."""
    digits = text.removeprefix("0x")
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        found = b""
    if len(found) != 32 or not digits.isascii() or len(digits) != 64:
        raise click.BadParameter(f"{name} is {or_else}0x and 64 hexadecimal digits.")
    return found


def address(text: str) -> str:
    """Return an address with its checksum; a typing error ends the command."""
    from tallystick.crypto.secp256k1 import checksum_address, read_address
    from tallystick.errors import KeyFormatError

    try:
        return checksum_address(read_address(text))
    except KeyFormatError as fault:
        raise Stop(Exit.USAGE, f"{text[:64]}: {fault}") from None


def solver_word(text: str) -> bytes:
    """Return a solver's id, given as such or as the number that it is."""
    if text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS_MAX:
        return int(text).to_bytes(32, "big")
    return word(text, "a solver's id", or_else="a number, or ")


def own_solver(opened: Session) -> bytes:
    """Return the id of the solver for whom the signer speaks, or stop."""
    found: bytes | None = opened.contracts.solver_of(opened.account.address)
    if found is None:
        raise Stop(
            Exit.USAGE,
            f"{opened.account.address} is no solver's operator; `tally hub register` makes it one",
        )
    return found
