# SPDX-License-Identifier: Apache-2.0
"""A solver's life on chain: registered, bonded, posted, asked, answered, final, paid out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chains import CHALLENGER, ETHER, REQUESTER, SOLVER, Chain, embedded
from tests.posts import committed, make_bundle

from tallystick.errors import PostingError, RevertError
from tallystick.model.artifact import encode_entry
from tallystick.onchain import challenging, solving
from tallystick.onchain.account import Wish
from tallystick.onchain.artifact import REGISTRY
from tallystick.onchain.contracts import PostStatus


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


def test_from_post_to_final(chain: Chain, tmp_path: Path) -> None:
    """Asked for an entry, for one beyond the last, and for the manifest; answered; then final."""
    _, made = make_bundle(tmp_path)
    entries = [encode_entry(one) for one in made.manifest.artifacts or ()]
    receipt_id = chain.post(committed(chain, made))
    contracts, challenger = chain.contracts, chain.account(CHALLENGER)
    solver = chain.account(SOLVER)
    posted = contracts.posted(receipt_id)
    for index in (1, len(entries), None):
        challenger.do(challenging.question(contracts, posted, index))
    questions = contracts.questions(receipt_id)
    assert [one.challenger for one in questions] == [CHALLENGER.address] * 3
    canonical = (tmp_path / "run/evidence/manifest.json").read_bytes().removesuffix(b"\n")
    for question in questions[:2]:
        assert contracts.is_open(question.dispute_id)
        solver.do(
            solving.entry_answer(contracts, question.dispute_id, question.index, posted, entries)
        )
    solver.do(solving.manifest_answer(contracts, questions[2].dispute_id, posted, canonical))
    assert not any(contracts.is_open(one.dispute_id) for one in questions)
    with pytest.raises(RevertError, match="ChallengeWindowActive"):
        solver.do(solving.finalization(contracts, receipt_id))
    chain.pass_time(3700)
    solver.do(solving.finalization(contracts, receipt_id))
    assert contracts.post(receipt_id).status is PostStatus.FINALIZED
    claimable = contracts.read(REGISTRY, "claimable", SOLVER.address)
    assert claimable == 3 * ETHER // 200
    before = chain.node.balance(SOLVER.address)
    challenger.do(solving.payout(contracts, SOLVER.address, challenger.fresh("claim")))
    assert chain.node.balance(SOLVER.address) == before + claimable


def test_answers_from_another_bundle(chain: Chain, tmp_path: Path) -> None:
    """They are refused here, before gas is spent."""
    _, made = make_bundle(tmp_path)
    posted = chain.contracts.posted(chain.post(committed(chain, made)))
    with pytest.raises(PostingError, match="not those that the post commits to"):
        solving.entry_answer(chain.contracts, 1, 0, posted, [b"{}"])
    with pytest.raises(PostingError, match="not the one that the post commits to"):
        solving.manifest_answer(chain.contracts, 1, posted, b"{}")


def test_offers_that_make_no_sense(chain: Chain) -> None:
    """A location without a requester is signed by nobody; nobody is no requester."""
    signer = chain.account(SOLVER).signer
    for offer in (
        solving.Offer(location="https://e.example"),
        solving.Offer(requester="0x" + "00" * 20),
    ):
        with pytest.raises(PostingError):
            solving.posting(chain.contracts, signer, chain.commitment(), offer)


def test_a_typed_post_is_relayed(chain: Chain) -> None:
    """Anyone may send what the solver signed."""
    signer = chain.account(SOLVER).signer
    offer = solving.Offer(requester=REQUESTER.address, location="https://e.example/b")
    receipt_id, wish = solving.posting(chain.contracts, signer, chain.commitment(), offer)
    chain.account(CHALLENGER).do(wish)
    assert chain.contracts.post(receipt_id).typed


def test_one_post_for_an_intent(chain: Chain) -> None:
    """A second post for the same intent is refused by the contract, and not sent."""
    chain.post(chain.commitment("same"))
    other = chain.commitment("same", evidence_hash=b"\5" * 32)
    _, wish = solving.posting(chain.contracts, chain.account(SOLVER).signer, other, solving.Offer())
    fresh = Wish(name="another wish", to=wish.to, data=wish.data)
    with pytest.raises(RevertError, match="ReceiptAlreadyExists"):
        chain.account(SOLVER).do(fresh)


def test_out_of_the_bond(chain: Chain) -> None:
    """Half of it is asked for, taken out a week later, and paid."""
    contracts, account = chain.contracts, chain.account(SOLVER)
    account.do(solving.withdrawal(contracts, chain.solver_id, ETHER // 2, account.fresh("ask")))
    with pytest.raises(RevertError, match="WithdrawalCooldownActive"):
        account.do(solving.withdrawal(contracts, chain.solver_id, None, account.fresh("take")))
    chain.pass_time(8 * 86400)
    account.do(solving.withdrawal(contracts, chain.solver_id, None, account.fresh("take")))
    assert contracts.solver(chain.solver_id).bond == ETHER // 2
    assert contracts.read(REGISTRY, "claimable", SOLVER.address) == ETHER // 2
