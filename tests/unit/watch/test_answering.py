# SPDX-License-Identifier: Apache-2.0
"""A solver's questions are answered out of the bundles that it keeps, wherever they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chains import CHALLENGER, REQUESTER, SOLVER, Chain, embedded
from tests.hostile_posts import post_at
from tests.posts import committed, make_bundle

from tallystick.errors import NodeError
from tallystick.onchain import challenging
from tallystick.onchain.contracts import Contracts, Posted
from tallystick.onchain.deployment import deploy
from tallystick.watch.answering import answer_questions, path_of


def answered(chain: Chain, folder: Path) -> list[str]:
    """Answer a solver's questions once; return what was told of them."""
    told: list[str] = []
    answer_questions(
        chain.contracts,
        chain.account(SOLVER),
        chain.solver_id,
        str(folder),
        lambda _question, words: told.append(words),
    )
    return told


def test_questions_are_answered(tmp_path: Path) -> None:
    """Entry and manifest, once each; strange files are passed over."""
    path, made = make_bundle(tmp_path / "runs")
    (tmp_path / "runs" / "broken.tally").write_bytes(b"x")
    digest = bytes.fromhex(made.manifest_sha256)
    assert path_of(str(tmp_path), digest) == str(path)
    assert path_of(str(tmp_path), b"\1" * 32) is None
    with embedded(tmp_path / "chain") as chain:
        # A question that nobody can answer, about a post that is hard to read, comes first.
        strange = chain.contracts.posted(post_at(chain, chain.commitment("strange")))
        chain.account(CHALLENGER).do(challenging.question(chain.contracts, strange, None))
        posted = chain.contracts.posted(chain.post(committed(chain, made)))
        for index in (0, None):
            wish = challenging.question(chain.contracts, posted, index)
            chain.account(CHALLENGER).do(wish)
        for expected in (3, 1):
            told = answered(chain, tmp_path)
            assert len(told) == expected
            assert told.pop(0) == "no bundle here has that manifest"
            assert all(one.startswith("answered in 0x") for one in told)


def test_a_question_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with one question, it is told, and the others are answered."""
    _, made = make_bundle(tmp_path / "runs")
    with embedded(tmp_path / "chain") as chain:
        broken = chain.contracts.posted(chain.post(chain.commitment("broken")))
        posted = chain.contracts.posted(chain.post(committed(chain, made)))
        for one in (broken, posted):
            wish = challenging.question(chain.contracts, one, None)
            chain.account(CHALLENGER).do(wish)
        real = Contracts.posted

        def read(self: Contracts, receipt_id: bytes) -> Posted:
            if receipt_id == broken.receipt_id:
                raise NodeError("another form")
            return real(self, receipt_id)

        monkeypatch.setattr(Contracts, "posted", read)
        told = answered(chain, tmp_path)
        assert told[0] == "failed: another form"
        assert told[1].startswith("answered in 0x")


def test_two_deployments_on_one_chain(tmp_path: Path) -> None:
    """Both have a solver 1, this intent and a dispute 1: each is posted to, asked and answered."""
    _, made = make_bundle(tmp_path / "runs")
    with embedded(tmp_path / "chain") as first:
        owner = first.account(CHALLENGER)
        at = deploy(owner, REQUESTER.address, lambda _told: None)
        second = Chain(first.node, first.home, at, first.accounts)
        second.register()
        for chain in (first, second):
            posted = chain.contracts.posted(chain.post(committed(chain, made)))
            wish = challenging.question(chain.contracts, posted, None)
            chain.account(CHALLENGER).do(wish)
            told = answered(chain, tmp_path)
            assert told[0].startswith("answered in 0x")
            assert not chain.contracts.is_open(1)
