# SPDX-License-Identifier: Apache-2.0
"""Each wish is done once, whatever crashes in between, and however many ask at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from tests.chains import ETHER, FAST, SOLVER, signer_of
from tests.curve import CurveKey

from tallystick.durable.journal import Journal
from tallystick.errors import (
    LimitError,
    NodeError,
    RevertError,
    SpendRefused,
    UnminedError,
    WalCorruptError,
)
from tallystick.model.evm_statement import transaction_of
from tallystick.onchain.account import GWEI, Account, Terms, Wish, created_address
from tallystick.onchain.embedded import EmbeddedNode
from tallystick.onchain.node import Fees

TO = CurveKey(0x70).address


@pytest.fixture
def node(tmp_path: Path) -> Iterator[EmbeddedNode]:
    made = EmbeddedNode(tmp_path)
    made.give(SOLVER.address)
    yield made
    made.close()


def gift(name: str = "gift", wei: int = 1) -> Wish:
    return Wish(name=name, to=TO, data=b"", value=wei)


def account_on(node: EmbeddedNode, home: Path, terms: Terms = FAST, **more: Any) -> Account:
    return Account(node, signer_of(SOLVER), home, terms, **more)


def test_once(node: EmbeddedNode, tmp_path: Path) -> None:
    """The same wish again, also from a new process's account, is the same transaction."""
    first = account_on(node, tmp_path).do(gift())
    again = account_on(node, tmp_path).do(gift())
    assert first == again
    assert node.balance(TO) == 1
    other = account_on(node, tmp_path).do(gift("other"))
    assert other.hash != first.hash
    assert node.balance(TO) == 2


def test_once_for_each_contract(node: EmbeddedNode, tmp_path: Path) -> None:
    """Contracts number their disputes from 1: what is done for one of them is not for another."""
    elsewhere = CurveKey(0x71).address
    first = account_on(node, tmp_path).do(gift("answer:1"))
    second = Wish(name="answer:1", to=elsewhere, data=b"", value=1)
    assert account_on(node, tmp_path).do(second).hash != first.hash
    assert node.balance(elsewhere) == 1
    assert account_on(node, tmp_path).do(gift("answer:1")) == first
    assert account_on(node, tmp_path).do(Wish(name="answer:1", to=None, data=b"")).contract
    assert (node.balance(TO), node.balance(elsewhere)) == (1, 1)


def test_a_damaged_journal_says_what_is_given_up(node: EmbeddedNode, tmp_path: Path) -> None:
    """Nothing is sent while it is not known what was; the file that may be moved is named."""
    account_on(node, tmp_path).do(gift())
    (path,) = tmp_path.glob("sent-*.journal")
    path.write_text("garbage\n")
    with pytest.raises(WalCorruptError, match=f"{path}: .*may then be sent once more"):
        account_on(node, tmp_path).do(gift("other"))
    assert node.balance(TO) == 1
    path.rename(tmp_path / "evidence")
    account_on(node, tmp_path).do(gift("other"))
    assert node.balance(TO) == 2


class Crash(BaseException):
    """The process dies."""


@pytest.mark.parametrize("where", ["before sending", "after sending"])
def test_a_crash_around_sending(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The transaction is in the journal: the next try sends that one, and it counts once."""
    send = node.send

    def dying(raw: bytes) -> bool:
        if where == "after sending":
            send(raw)
        raise Crash

    monkeypatch.setattr(node, "send", dying)
    with pytest.raises(Crash):
        account_on(node, tmp_path).do(gift())
    monkeypatch.setattr(node, "send", send)
    assert node.balance(TO) == (1 if where == "after sending" else 0)
    account_on(node, tmp_path).do(gift())
    account_on(node, tmp_path).do(gift("next"))
    assert node.balance(TO) == 2
    assert node.nonce(SOLVER.address) == 2


def test_a_crash_before_the_journal(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent that is not written down."""

    def dying(*_arguments: Any) -> int:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", dying)
        with pytest.raises(Crash):
            account_on(node, tmp_path / "sent").do(gift())
    assert node.nonce(SOLVER.address) == 0
    account_on(node, tmp_path / "sent").do(gift())
    assert node.balance(TO) == 1


def test_what_a_node_forgot_holds_nothing_up(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that was lost by the node is sent again before the next one of the account."""
    with monkeypatch.context() as patch:
        patch.setattr(node, "send", lambda _raw: True)  # taken, and forgotten
        with pytest.raises(UnminedError, match="not final after"):
            account_on(node, tmp_path, Terms(wait_seconds=0.1, poll_seconds=0.02)).do(gift())
    account_on(node, tmp_path).do(gift("next"))
    assert node.balance(TO) == 2


def test_many_at_a_time(node: EmbeddedNode, tmp_path: Path) -> None:
    """Threads with one account, and with one each, draw no nonce twice."""
    shared = account_on(node, tmp_path)
    accounts = [shared, shared, account_on(node, tmp_path), account_on(node, tmp_path)]
    faults: list[BaseException] = []

    def work(account: Account, number: int) -> None:
        try:
            for turn in range(3):
                account.do(gift(f"{number}:{turn}"))
        except BaseException as fault:  # noqa: BLE001  # told below
            faults.append(fault)

    threads = [
        Thread(target=work, args=(account, number)) for number, account in enumerate(accounts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert node.balance(TO) == 12
    assert node.nonce(SOLVER.address) == 12


def test_caps(node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gas over the cap is not bought, and nothing is written down; the fee is held to its own."""
    with pytest.raises(SpendRefused, match="over the cap of 5"):
        account_on(node, tmp_path, Terms(max_cost=5)).do(gift())
    monkeypatch.setattr(node, "fees", lambda: Fees(max_fee=900 * GWEI, priority_fee=300 * GWEI))
    _, fees = account_on(node, tmp_path, Terms(max_fee=200 * GWEI)).price(gift())
    assert fees == Fees(max_fee=200 * GWEI, priority_fee=200 * GWEI)
    assert node.nonce(SOLVER.address) == 0


def test_fees_that_rose(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that fees left behind is replaced at its nonce; only one of the two counts."""
    with monkeypatch.context() as patch:
        patch.setattr(node, "send", lambda _raw: True)
        with pytest.raises(UnminedError):
            account_on(node, tmp_path, Terms(wait_seconds=0.05, poll_seconds=0.01)).do(gift())
    high = Fees(max_fee=40 * GWEI, priority_fee=GWEI)
    monkeypatch.setattr(node, "fees", lambda: high)
    with pytest.raises(SpendRefused, match="fees have risen"):
        account_on(node, tmp_path, Terms(max_fee=2 * GWEI)).do(gift())
    mined = account_on(node, tmp_path).do(gift())
    assert account_on(node, tmp_path).do(gift()) == mined
    assert node.balance(TO) == 1
    assert node.nonce(SOLVER.address) == 1


def test_what_was_replaced_is_not_sent_again(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes refuse the cheaper of two with one nonce: it must not keep the next wish from them."""
    hasty = Terms(wait_seconds=0.01, poll_seconds=0.01)
    raws: list[bytes] = []

    def forget(raw: bytes) -> bool:
        raws.append(raw)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(node, "send", forget)
        for gwei, tip in ((4, 4), (40, 1)):
            fees = Fees(max_fee=gwei * GWEI, priority_fee=tip * GWEI)
            patch.setattr(node, "fees", lambda found=fees: found)
            with pytest.raises(UnminedError):
                account_on(node, tmp_path, hasty).do(gift())
    cheap, dear = raws[0], raws[-1]
    assert cheap != dear
    tips = [transaction_of(one).max_priority_fee_per_gas for one in (dear, cheap)]
    assert tips[0] * 10 >= tips[1] * 11  # geth asks for it
    send, sent = node.send, []

    def take(raw: bytes) -> bool:
        sent.append(raw)
        return send(raw)

    monkeypatch.setattr(node, "send", take)
    account_on(node, tmp_path).do(gift("other"))
    assert sent[0] == dear
    assert cheap not in sent
    assert (node.balance(TO), node.nonce(SOLVER.address)) == (2, 2)


def test_what_is_urgent_is_held_up_by_nothing_cheap(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fees left behind stands before an answer by its number: it is made dearer, too, within
    the caps; for what has time it is sent as it is.
    """
    hasty = Terms(wait_seconds=0.01, poll_seconds=0.01)
    sent: list[bytes] = []

    def forget(raw: bytes) -> bool:
        sent.append(raw)
        return True

    with monkeypatch.context() as patch:
        patch.setattr(node, "send", forget)
        patch.setattr(node, "fees", lambda: Fees(max_fee=4 * GWEI, priority_fee=GWEI))
        with pytest.raises(UnminedError):
            account_on(node, tmp_path, hasty).do(gift())
        cheap = sent[-1]
        patch.setattr(node, "fees", lambda: Fees(max_fee=40 * GWEI, priority_fee=GWEI))
        for wish, max_fee in (("other", 200), ("answer", 4), ("answer", 200)):
            sent.clear()
            urgent = Wish(name=wish, to=TO, data=b"", value=1, is_urgent=wish == "answer")
            terms = msgspec.structs.replace(hasty, max_fee=max_fee * GWEI)
            with pytest.raises((UnminedError, SpendRefused)):
                account_on(node, tmp_path, terms).do(urgent)
            assert (sent[0] == cheap) is (max_fee == 4 or wish == "other")
    dear = transaction_of(sent[0])
    assert dear.max_fee_per_gas == 40 * GWEI
    assert dear == msgspec.structs.replace(
        transaction_of(cheap),
        max_fee_per_gas=dear.max_fee_per_gas,
        max_priority_fee_per_gas=dear.max_priority_fee_per_gas,
    )
    assert dear.max_priority_fee_per_gas * 10 >= 11 * GWEI
    for name in ("gift", "other", "answer"):
        account_on(node, tmp_path).do(gift(name))
    assert (node.balance(TO), node.nonce(SOLVER.address)) == (3, 3)


def test_what_is_urgent_spends_nothing_that_is_not_there(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the account can't pay for the dearer one, no node takes it: the old one goes again."""
    sent: list[bytes] = []
    monkeypatch.setattr(node, "send", sent.append)
    with pytest.raises(UnminedError):
        account_on(node, tmp_path, Terms(wait_seconds=0)).do(gift())
    high = Fees(max_fee=100 * GWEI, priority_fee=GWEI)
    monkeypatch.setattr(node, "fees", lambda: high)
    monkeypatch.setattr(node, "balance", lambda _address: 1000)
    urgent = Wish(name="answer", to=TO, data=b"", value=1, is_urgent=True)
    cheap = sent[0]
    sent.clear()
    with pytest.raises(UnminedError):
        account_on(node, tmp_path, Terms(wait_seconds=0)).do(urgent)
    assert sent[0] == cheap


def test_what_the_contract_refuses(node: EmbeddedNode, tmp_path: Path) -> None:
    """A wish that would fail is not sent; more ether than there is, neither."""
    reverting = Wish(name="x", to=None, data=bytes.fromhex("60006000fd"))
    with pytest.raises(RevertError):
        account_on(node, tmp_path).do(reverting)
    with pytest.raises(NodeError, match="too little ether"):
        account_on(node, tmp_path).do(gift(wei=10**6 * ETHER))
    assert node.nonce(SOLVER.address) == 0


def test_depth(node: EmbeddedNode, tmp_path: Path) -> None:
    """With three confirmations a transaction counts when two blocks are on top of it."""
    waits = iter(range(10))

    def sleep(_seconds: float) -> None:
        next(waits)
        node.advance(12)

    account = account_on(node, tmp_path, Terms(confirmations=3), sleep=sleep)
    mined = account.do(gift())
    assert node.head()[0] == mined.block + 2
    with pytest.raises(LimitError):
        Terms(confirmations=0)


def test_names_for_what_may_be_wished_again(node: EmbeddedNode, tmp_path: Path) -> None:
    """The name is the same until a transaction is in a block."""
    account = account_on(node, tmp_path)
    before = account.fresh("bond")
    assert account.fresh("bond") == before
    account.do(gift())
    assert account.fresh("bond") != before


def test_the_journal_is_private(node: EmbeddedNode, tmp_path: Path) -> None:
    """Signed transactions lie where only their owner reads."""
    account_on(node, tmp_path / "sent").do(gift())
    assert (tmp_path / "sent").stat().st_mode & 0o077 == 0


def test_where_a_contract_stands() -> None:
    """It follows from who made it and when, and is no node's to tell."""
    sender = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")
    assert created_address(sender, 0).hex() == "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert created_address(sender, 1).hex() == "343c43a37d37dff08ae8c4a11544c718abb4fcf8"


def test_a_nonce_that_went_to_another(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second transaction is signed only when no reorganisation can make the first one count."""
    patient = Terms(confirmations=3, wait_seconds=0.05, poll_seconds=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(node, "send", lambda _raw: True)
        with pytest.raises(UnminedError):
            account_on(node, tmp_path, patient).do(gift())
    account_on(node, tmp_path / "other").do(
        gift("other", 2)
    )  # of the same key, with the same nonce
    with pytest.raises(UnminedError):
        account_on(node, tmp_path, patient).do(gift())
    assert node.nonce(SOLVER.address) == 1
    for _ in range(2):
        node.advance(1)
    with pytest.raises(UnminedError):  # signed and mined, and not deep enough yet
        account_on(node, tmp_path, patient).do(gift())
    assert node.nonce(SOLVER.address) == 2


def test_who_pays_is_asked_before_another_transaction(
    node: EmbeddedNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a wish's first transaction nobody is asked; for one more, a refusal has none signed."""
    asked: list[str] = []

    def refuse() -> None:
        asked.append("once more")
        raise SpendRefused("no")

    hasty = Terms(wait_seconds=0)
    with monkeypatch.context() as patch:
        patch.setattr(node, "send", lambda _raw: True)
        for _ in range(2):  # the same transaction, sent again
            with pytest.raises(UnminedError):
                account_on(node, tmp_path, hasty).do(gift(), anew=refuse)
    assert asked == []
    account_on(node, tmp_path / "other").do(gift("other", 2))  # of the same key and nonce
    with pytest.raises(SpendRefused, match="no"):
        account_on(node, tmp_path, hasty).do(gift(), anew=refuse)
    assert (asked, node.nonce(SOLVER.address)) == (["once more"], 1)
    account_on(node, tmp_path).do(gift())
    assert node.balance(TO) == 3
