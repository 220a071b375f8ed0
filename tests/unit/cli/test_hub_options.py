# SPDX-License-Identifier: Apache-2.0
"""What all verbs of `tally hub` share; tests/sessions/hub.txt shows them at work."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import click
import pytest
from tests.chains import REQUESTER, SOLVER, embedded, signer_of
from tests.command import tally

from tallystick.cli.hub_options import Patience, Session, address, exits, solver_word, word
from tallystick.cli.output import Exit, Stop
from tallystick.errors import (
    NodeError,
    PostingError,
    RevertError,
    SpendRefused,
    UnminedError,
    WalLockedError,
    how_to_install,
)
from tallystick.onchain.signed_post import relaying, sign_post
from tallystick.onchain.solving import Offer, posting, registration


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (RevertError("x"), Exit.REFUSED),
        (SpendRefused("x"), Exit.REFUSED),
        (UnminedError("x"), Exit.UNCHECKED),
        (NodeError("x", is_transient=True), Exit.UNCHECKED),
        (WalLockedError("x"), Exit.UNCHECKED),
        (PostingError("x"), Exit.USAGE),
    ],
)
def test_faults_have_exit_codes(fault: Exception, code: Exit) -> None:
    """Refused by a contract or a cap: 1. Wrong usage: 2. Not possible now: 3."""
    with pytest.raises(Stop) as caught, exits():
        raise fault
    assert caught.value.code is code


def test_refusals_have_words() -> None:
    """The contract's own name stays, what it means follows; without a name it is told as it is."""
    for name, words in (("NotOwner", "NotOwner: that is for the owner"), ("", "refuses: x")):
        fault = RevertError(f"the contract refuses: {name or 'x'}")
        fault.name = name
        with pytest.raises(Stop, match=words), exits():
            raise fault


def test_a_dry_run_hands_nothing_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What anyone may send is shown to no node before it is sent; the rest has a price."""
    seen: list[object] = []
    with embedded(tmp_path) as chain:
        opened = Session(chain.node, {"dry_run": True}, str(tmp_path))
        opened._account = account = chain.account(SOLVER)
        ask = chain.node.gas

        def gas(call: object) -> int:
            seen.append(call)
            return ask(call)  # type: ignore[arg-type]

        monkeypatch.setattr(chain.node, "gas", gas)
        offer = Offer(requester=REQUESTER.address)
        signed = sign_post(chain.contracts, account.signer, chain.commitment("two"), offer)
        for wish in (
            posting(chain.contracts, account.signer, chain.commitment(), offer)[1],
            relaying(chain.contracts, signed)[1],
            registration(chain.contracts, signer_of(REQUESTER), bytes(32)),
            posting(chain.contracts, account.signer, chain.commitment(), Offer())[1],
        ):
            opened.do(wish, "done")
    assert len(seen) == 1
    told = capsys.readouterr().out
    assert told.count("not asked for: anyone who sees the call can send it") == 3
    assert "at most" in told


class Terminal(StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_waiting_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, and not into a file."""
    for stream, times in ((Terminal(), 1), (StringIO(), 0)):
        monkeypatch.setattr("sys.stderr", stream)
        wait = Patience()
        wait(0)
        wait(0)
        assert stream.getvalue().count("waiting for the chain") == times


@pytest.mark.parametrize(
    "text", ["", "0x", "0x" + "1" * 63, "g" * 64, "0x" + "1" * 65, " " + "1" * 63]
)
def test_identifiers_that_are_none(text: str) -> None:
    """32 bytes in hexadecimal digits."""
    assert word("0x" + "1f" * 32, "an id") == word("1f" * 32, "an id") == b"\x1f" * 32
    with pytest.raises(click.BadParameter, match="an id is 0x"):
        word(text, "an id")


def test_a_solver_is_a_number() -> None:
    """As reports name it, or with all of its digits; anything else is told what is wanted."""
    assert solver_word("1") == solver_word("0x" + "0" * 63 + "1") == bytes(31) + b"\1"
    for text in ("", "-1", "٣", "0x1", "1" * 21):
        with pytest.raises(click.BadParameter, match="a number, or 0x and 64"):
            solver_word(text)


def test_addresses() -> None:
    """Written with their checksum; a typing error ends the command."""
    good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert address(good.lower()) == good
    with pytest.raises(Stop, match="typing error"):
        address("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed")


@pytest.mark.parametrize("rpc", ["embedded", "http://127.0.0.1:9"])
def test_a_missing_extra_refuses_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, rpc: str
) -> None:
    """Nobody was asked: that ends with 3, and says what to install."""
    for name in ("eth_tester", "web3"):
        monkeypatch.setitem(sys.modules, name, None)
    answer = tally("hub", "show", "--rpc", rpc)
    assert (answer.code, answer.out) == (3, "")
    assert how_to_install("onchain") in answer.err
