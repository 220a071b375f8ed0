# SPDX-License-Identifier: Apache-2.0
"""A solver's questions are answered out of the bundles that it keeps, wherever they lie."""

from __future__ import annotations

from pathlib import Path

from tests.chains import CHALLENGER, SOLVER, embedded
from tests.posts import committed, make_bundle

from tallystick.onchain import challenging
from tallystick.watch.answering import answer_questions, path_of


def test_questions_are_answered(tmp_path: Path) -> None:
    """Entry and manifest, once each; strange files are passed over."""
    path, made = make_bundle(tmp_path / "runs")
    (tmp_path / "runs" / "broken.tally").write_bytes(b"x")
    digest = bytes.fromhex(made.manifest_sha256)
    assert path_of(str(tmp_path), digest) == str(path)
    assert path_of(str(tmp_path), b"\1" * 32) is None
    with embedded(tmp_path / "chain") as chain:
        posted = chain.contracts.posted(chain.post(committed(chain, made)))
        for index in (0, None):
            wish = challenging.question(chain.contracts, posted, index)
            chain.account(CHALLENGER).do(wish)
        for expected in (2, 0):
            told: list[str] = []
            answer_questions(
                chain.contracts,
                chain.account(SOLVER),
                chain.solver_id,
                str(tmp_path),
                lambda _question, words, into=told: into.append(words),  # type: ignore[misc]
            )
            assert len(told) == expected
            assert all(one.startswith("answered in 0x") for one in told)
