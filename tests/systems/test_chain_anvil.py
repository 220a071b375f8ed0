# SPDX-License-Identifier: Apache-2.0
"""On a real node: anvil over JSON-RPC, with its own mempool, mining, time and reorganisations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from tests.anvil import MISSING, binary, running
from tests.chains import CHALLENGER, SOLVER, Chain, ask, signer_of, with_contracts
from tests.posts import committed, make_bundle

from tallystick.errors import RevertError, UnminedError
from tallystick.onchain import challenging, solving
from tallystick.onchain.account import Account, Terms, Wish
from tallystick.onchain.contracts import PostStatus
from tallystick.onchain.node import Node, open_node

pytestmark = pytest.mark.skipif(binary() is None, reason=MISSING)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """A fresh chain of anvil's."""
    with running() as found:
        yield open_node(found.url)


@pytest.fixture(scope="module")
def chain(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    made = with_contracts(node, tmp_path_factory.mktemp("anvil"))
    made.register()
    return made


def test_a_reorganisation(chain: Chain, tmp_path: Path) -> None:
    """A post whose block is taken back is sent again by who waits for depth, and counts once."""
    terms = Terms(confirmations=3, poll_seconds=0.05, wait_seconds=30)
    before = ask(chain.node, "evm_snapshot")
    turns: list[int] = []

    def sleep(seconds: float) -> None:
        turns.append(1)
        if len(turns) == 2:
            assert ask(chain.node, "evm_revert", before) is True
        ask(chain.node, "evm_mine")
        time.sleep(seconds)

    account = Account(chain.node, signer_of(SOLVER), tmp_path, terms, sleep=sleep)
    commitment = chain.commitment("reorganised")
    receipt_id, wish = solving.posting(chain.contracts, account.signer, commitment, solving.Offer())
    mined = account.do(wish)
    assert len(turns) > 2
    assert chain.node.block_hash(mined.block) == mined.block_hash
    assert chain.contracts.posted_for(chain.solver_id, commitment.intent_hash) == receipt_id
    assert chain.contracts.posted(receipt_id).commitment == commitment


def test_an_honest_and_a_cheating_post(chain: Chain, tmp_path: Path) -> None:
    """Posted, asked, answered and final; and a post that contradicts its manifest, slashed."""
    _, made = make_bundle(tmp_path)
    canonical = (tmp_path / "run/evidence/manifest.json").read_bytes().removesuffix(b"\n")
    contracts, challenger = chain.contracts, chain.account(CHALLENGER)
    posted = contracts.posted(chain.post(committed(chain, made)))
    challenger.do(challenging.question(contracts, posted, None))
    (question,) = contracts.questions(posted.receipt_id)
    answer = solving.manifest_answer(contracts, question.dispute_id, posted, canonical)
    chain.account(SOLVER).do(answer)
    with pytest.raises(RevertError, match="ChallengeWindowActive"):
        challenger.do(solving.finalization(contracts, posted.receipt_id))
    lie = contracts.posted(chain.post(committed(chain, made, intent_hash=b"\7" * 32)))
    challenger.do(challenging.manifest_mismatch(contracts, lie, canonical, "intent"))
    assert contracts.post(lie.receipt_id).status is PostStatus.SLASHED
    chain.pass_time(3700)
    challenger.do(solving.finalization(contracts, posted.receipt_id))
    assert contracts.post(posted.receipt_id).status is PostStatus.FINALIZED


def test_a_transaction_that_nobody_mines(chain: Chain, tmp_path: Path) -> None:
    """It stays one wish: the same command again waits for it, and fees that rise replace it."""
    account = Account(
        chain.node, signer_of(CHALLENGER), tmp_path, Terms(wait_seconds=0.3, poll_seconds=0.05)
    )
    gift = Wish(name="gift", to=SOLVER.address, data=b"", value=1)
    before = chain.node.nonce(account.address)
    ask(chain.node, "evm_setAutomine", False)
    try:
        for _ in range(2):
            with pytest.raises(UnminedError):
                account.do(gift)
        ask(chain.node, "anvil_setNextBlockBaseFeePerGas", hex(10**9))
    finally:
        ask(chain.node, "evm_setAutomine", True)
        ask(chain.node, "evm_mine")
    assert account.do(gift).ok
    assert chain.node.nonce(account.address) == before + 1


def test_one_that_was_replaced_holds_nobody_up(chain: Chain, tmp_path: Path) -> None:
    """While a dearer transaction waits with its nonce, the next wish is sent all the same."""
    account = Account(
        chain.node, signer_of(CHALLENGER), tmp_path, Terms(wait_seconds=0.3, poll_seconds=0.05)
    )
    before = chain.node.nonce(account.address)
    gifts = [Wish(name=name, to=SOLVER.address, data=b"", value=1) for name in ("one", "other")]
    ask(chain.node, "evm_setAutomine", False)
    try:
        with pytest.raises(UnminedError):
            account.do(gifts[0])
        ask(chain.node, "anvil_setNextBlockBaseFeePerGas", hex(20 * 10**9))
        ask(chain.node, "evm_mine")
        for gift in gifts:
            with pytest.raises(UnminedError):
                account.do(gift)
        ask(chain.node, "anvil_setNextBlockBaseFeePerGas", hex(10**9))
    finally:
        ask(chain.node, "evm_setAutomine", True)
        ask(chain.node, "evm_mine")
    assert all(account.do(gift).ok for gift in gifts)
    assert chain.node.nonce(account.address) == before + 2


def test_many_at_a_time(chain: Chain, tmp_path: Path) -> None:
    """Threads with accounts of their own draw no nonce twice."""
    before = chain.node.nonce(SOLVER.address)
    faults: list[BaseException] = []

    def work(number: int) -> None:
        account = Account(chain.node, signer_of(SOLVER), tmp_path, Terms(poll_seconds=0.05))
        try:
            for turn in range(3):
                account.do(Wish(name=f"{number}:{turn}", to=CHALLENGER.address, data=b"", value=1))
        except BaseException as fault:  # noqa: BLE001  # told below
            faults.append(fault)

    threads = [Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert chain.node.nonce(SOLVER.address) == before + 12
