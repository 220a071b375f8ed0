# SPDX-License-Identifier: Apache-2.0
"""The watcher finds what is wrong, acts only as its policy says, and forgets nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.chains import CHALLENGER, ETHER, REQUESTER, SOLVER, Chain, ask, embedded
from tests.posts import committed, make_bundle

from tallystick.errors import PostingError
from tallystick.onchain.contracts import Posted, PostStatus
from tallystick.onchain.solving import Offer
from tallystick.watch.answering import answer_questions
from tallystick.watch.hub import PostWatcher, Sighting, WatchPolicy

ACTIVE = WatchPolicy(prove=True, ask=True, spend_max=ETHER)


class Bundles:
    """Bundles by evidence hash; what is not there can't be had."""

    def __init__(self) -> None:
        self.paths: dict[bytes, Path] = {}

    @contextmanager
    def __call__(self, posted: Posted, /) -> Iterator[BinaryIO]:
        path = self.paths.get(posted.commitment.evidence_hash)
        if path is None:
            raise PostingError("nothing is there")
        with path.open("rb") as stream:
            yield stream


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


def look(
    chain: Chain, bundles: Bundles, policy: WatchPolicy | None = None
) -> dict[bytes, Sighting]:
    """Make a watcher as a new process would, and let it look once."""
    told: dict[bytes, Sighting] = {}
    watcher = PostWatcher(
        chain.contracts,
        chain.home / "watch",
        bundles,
        policy,
        account=chain.account(CHALLENGER) if policy else None,
    )
    watcher.round(lambda one: told.update({one.receipt_id: one}))
    assert watcher.spent <= (policy.spend_max if policy else 0)
    return told


def test_a_watchers_day(chain: Chain, tmp_path: Path) -> None:
    """An honest post, a lie, a replay and one without a bundle: told of, then acted on, once."""
    bundles = Bundles()
    path, made = make_bundle(tmp_path)
    bundles.paths[bytes.fromhex(made.manifest_sha256)] = path
    other_path, other = make_bundle(tmp_path, "other", run_id="1" * 64)
    bundles.paths[bytes.fromhex(other.manifest_sha256)] = other_path
    honest = chain.post(committed(chain, made))
    replayed = chain.post(committed(chain, made, intent_hash=b"\7" * 32))
    lie = chain.post(
        committed(chain, other, intent_hash=b"\6" * 32), Offer(requester=REQUESTER.address)
    )
    missing = chain.post(chain.commitment("missing"))

    told = look(chain, bundles)
    assert told[honest].verdict.startswith("unchecked: EVIDENCE_RECEIPTS_ABSENT")
    assert told[honest].action == ""
    assert told[replayed].action == told[lie].action == "would prove it"
    assert told[missing].action == "waiting for it"
    assert chain.contracts.post(lie).status is PostStatus.PENDING

    capped = look(chain, bundles, WatchPolicy(prove=True, spend_max=1))
    assert capped[lie].action.startswith("over the cap")

    acted = look(chain, bundles, ACTIVE)
    assert acted[lie].action.startswith("sent in 0x")
    assert chain.contracts.post(lie).status is PostStatus.SLASHED
    assert chain.contracts.post(replayed).status is PostStatus.SLASHED
    assert chain.contracts.post(honest).status is PostStatus.PENDING
    assert honest not in acted  # told of once

    chain.pass_time(3000)
    assert look(chain, bundles, ACTIVE)[missing].action.startswith("sent in 0x")
    (question,) = chain.contracts.questions(missing)
    assert question.challenger == CHALLENGER.address
    assert look(chain, bundles, ACTIVE).get(missing) is None  # asked once

    answers: list[str] = []
    solver = chain.account(SOLVER)
    folder = str(tmp_path)
    answer_questions(
        chain.contracts, solver, chain.solver_id, folder, lambda _one, told: answers.append(told)
    )
    assert answers == ["no bundle here has that manifest"]


def test_a_reorganisation_is_walked_again(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the cursor's block is another one now, posts behind it are found again."""
    bundles = Bundles()
    first = chain.post(chain.commitment("first"))
    assert first in look(chain, bundles)
    real = chain.node.block_hash
    gone = chain.node.head()[0]
    monkeypatch.setattr(
        chain.node, "block_hash", lambda number: b"\1" * 32 if number == gone else real(number)
    )
    second = chain.post(chain.commitment("second"))
    told = look(chain, bundles)
    assert {first, second} <= set(told)
    assert ask(chain.node, "eth_blockNumber") is not None


def test_a_cursor_of_other_contracts(chain: Chain, tmp_path: Path) -> None:
    """A damaged cursor is refused, not begun anew: something may have been spent."""
    look(chain, Bundles())
    (path,) = (chain.home / "watch").glob("watch-*.json")
    path.write_text("{")
    with pytest.raises(PostingError, match="holds no cursor"):
        look(chain, Bundles())
