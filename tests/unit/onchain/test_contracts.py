# SPDX-License-Identifier: Apache-2.0
"""What is read from the contracts is what was put there, and a lying node is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.chains import CHALLENGER, ETHER, REQUESTER, SOLVER, Chain, embedded

from tallystick.errors import PostingError, RevertError
from tallystick.onchain import challenging
from tallystick.onchain.artifact import RECEIPTS
from tallystick.onchain.codec import topic
from tallystick.onchain.contracts import Contracts, PostStatus, SolverStatus
from tallystick.onchain.solving import Offer


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with embedded(tmp_path_factory.mktemp("chain")) as made:
        yield made


def test_a_solver(chain: Chain) -> None:
    """Its operator, status and bond; who is none has no id."""
    solver = chain.contracts.solver(chain.solver_id)
    assert solver.operator == SOLVER.address
    assert solver.status is SolverStatus.ACTIVE
    assert solver.bond == ETHER
    assert chain.contracts.solver_of(REQUESTER.address) is None


def test_posts_of_both_forms(chain: Chain) -> None:
    """Members are rebuilt from events, and are those that were posted."""
    plain = chain.commitment("plain")
    receipt_id = chain.post(plain)
    posted, state = chain.contracts.posted(receipt_id), chain.contracts.post(receipt_id)
    assert posted.commitment == plain
    assert not posted.typed
    assert (state.status, state.typed, state.solver_id) == (
        PostStatus.PENDING,
        False,
        chain.solver_id,
    )
    assert state.deadline - state.posted_at == 3600
    typed = chain.commitment("typed")
    offer = Offer(requester=REQUESTER.address, location="https://e.example/1", volume=ETHER)
    other = chain.post(typed, offer)
    found = chain.contracts.posted(other)
    assert found.commitment == typed
    assert found.terms.requester == REQUESTER.address
    assert found.location == "https://e.example/1"
    assert chain.contracts.post(other).declared_volume == ETHER
    assert chain.contracts.posted_for(chain.solver_id, typed.intent_hash) == other
    start = chain.deployment.first_block
    assert [one for _, one in chain.contracts.posts(start, chain.node.head()[0])][-2:] == [
        receipt_id,
        other,
    ]


def test_posts_that_are_not_there(chain: Chain) -> None:
    """A strange id is refused by name."""
    with pytest.raises(PostingError, match="no post 0x0707"):
        chain.contracts.posted(b"\7" * 32)
    with pytest.raises(RevertError, match="ReceiptNotFound"):
        chain.contracts.post(b"\7" * 32)
    assert chain.contracts.posted_for(chain.solver_id, b"\7" * 32) is None


class Liar:
    """A node that changes one word of an event."""

    def __init__(self, chain: Chain) -> None:
        self._node = chain.node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def logs(self, address: str, topics: list[Any], *blocks: Any) -> Iterator[Any]:
        for log in self._node.logs(address, topics, *blocks):
            data = bytearray(log.data)
            if topics[0] == topic(RECEIPTS, "ReceiptRecorded"):
                data[-1] ^= 1
            yield msgspec.structs.replace(log, data=bytes(data))


def test_a_node_that_lies_about_a_post(chain: Chain) -> None:
    """Members that do not make the post's id are not taken for the post's."""
    receipt_id = chain.post(chain.commitment("lie"))
    liar: Any = Liar(chain)
    with pytest.raises(PostingError, match="not those of that post"):
        Contracts(liar, chain.deployment).posted(receipt_id)


def test_another_chain(chain: Chain, tmp_path: Path) -> None:
    """Addresses of one chain mean nothing on another."""
    elsewhere = msgspec.structs.replace(chain.deployment, chain_id=1)
    with pytest.raises(PostingError, match="the contracts are on 1"):
        Contracts(chain.node, elsewhere)


def test_questions_of_one_asker(chain: Chain) -> None:
    """Only who asked it finds a question, in its blocks; and it has ended once a block says so."""
    contracts, me = chain.contracts, CHALLENGER.address
    posted = contracts.posted(chain.post(chain.commitment("asked")))
    for key, index in ((CHALLENGER, 3), (REQUESTER, 4)):
        chain.account(key).do(challenging.question(contracts, posted, index))
    first, head = chain.deployment.first_block, chain.node.head()[0]
    (mine,) = contracts.asked_by(me, first, head)
    assert (mine.index, mine.challenger, mine.receipt_id) == (3, me, posted.receipt_id)
    assert contracts.asked_by(me, first, mine.block - 1) == []
    assert contracts.asked_by(SOLVER.address, first, head) == []
    chain.pass_time(24 * 3600 + 60)
    mined = chain.account(SOLVER).do(challenging.resolution(contracts, mine.dispute_id))
    assert not contracts.has_ended(mine, mined.block - 1)
    assert contracts.has_ended(mine, mined.block)
    assert not contracts.is_open(mine.dispute_id)


def test_a_node_that_tells_of_others_questions(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a node gives in answer is looked through again."""
    logs = chain.node.logs
    monkeypatch.setattr(
        chain.node, "logs", lambda place, topics, *blocks: logs(place, topics[:1], *blocks)
    )
    head = chain.node.head()[0]
    assert len(chain.contracts.questions()) == 2
    assert len(chain.contracts.asked_by(CHALLENGER.address, 0, head)) == 1
