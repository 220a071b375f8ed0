# SPDX-License-Identifier: Apache-2.0
"""A post's bundle is verified in full, and what is refused without a ground is only told of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from tests import material
from tests.chains import CHALLENGER, ETHER, REQUESTER, SOLVER, Chain, embedded, signer_of
from tests.solving import body, solver

from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import read_head
from tallystick.model.post import commitment_of
from tallystick.onchain.contracts import Posted, PostStatus
from tallystick.solver.run import run_intent
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of
from tallystick.watch.hub import PostWatcher, Sighting, WatchPolicy
from tallystick.watch.post_evidence import SOUND, Beliefs, judge_evidence

KNOWN = Beliefs(signers=Signers(trust=trust_of(material.PUBLIC)))
ACTIVE = WatchPolicy(prove=True, ask=True, spend_max=ETHER)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = solver(tmp_path_factory.mktemp("run"), evm_signer=signer_of(SOLVER))
    return Path(run_intent(made, body()).bundle)


def _judged(path: Path, operator: str, beliefs: Beliefs) -> str:
    with path.open("rb") as stream:
        return judge_evidence(stream, operator, beliefs)


def test_the_operators_signature_counts_by_itself(bundle: Path) -> None:
    """With the key of the receipts a bundle is sound; without it they can't be checked."""
    assert _judged(bundle, SOLVER.address, KNOWN) == SOUND
    assert _judged(bundle, SOLVER.address, Beliefs()).startswith("unchecked: KEY_MISSING")


def test_what_strangers_signed_is_refused(bundle: Path) -> None:
    """Another operator than the one who signed."""
    assert _judged(bundle, REQUESTER.address, Beliefs()).startswith("refused: EVIDENCE_SIGNER")


def test_a_bundle_that_was_altered_is_refused(bundle: Path, tmp_path: Path) -> None:
    """A receipt that differs in one digit is found, though the manifest is what was posted."""
    data = bundle.read_bytes()
    at = data.index(b'"proofValue":"') + 20
    other = tmp_path / "other.tally"
    swapped = b"A" if data[at : at + 1] != b"A" else b"B"
    other.write_bytes(data[:at] + swapped + data[at + 1 :])
    assert _judged(other, SOLVER.address, KNOWN).startswith("refused: ")


def test_a_refusal_without_a_ground_is_never_challenged(bundle: Path, tmp_path: Path) -> None:
    """The watcher may prove and ask, and does neither: it tells, once."""
    data = bundle.read_bytes()
    at = data.index(b'"proofValue":"') + 20
    swapped = b"A" if data[at : at + 1] != b"A" else b"B"
    altered = tmp_path / "altered.tally"
    altered.write_bytes(data[:at] + swapped + data[at + 1 :])

    @contextmanager
    def fetch(_posted: Posted, /) -> Iterator[BinaryIO]:
        with altered.open("rb") as stream:
            yield stream

    with embedded(tmp_path / "chain") as chain:
        with bundle.open("rb") as stream:
            head = read_head(BundleReader(exactly(stream.read)))
        post = chain.post(
            commitment_of(
                head.manifest,
                bytes.fromhex(head.sha256),
                solver_id=chain.solver_id,
                created_at=chain.node.head()[1],
            )
        )
        told = _round(chain, fetch)
        assert [one.receipt_id for one in told] == [post]
        assert told[0].verdict.startswith("refused: ")
        assert told[0].action == ""
        assert _round(chain, fetch) == []
        assert chain.contracts.post(post).status is PostStatus.PENDING
        assert chain.contracts.questions(post) == []


def _round(chain: Chain, fetch: object) -> list[Sighting]:
    told: list[Sighting] = []
    watcher = PostWatcher(
        chain.contracts,
        chain.home / "watch",
        fetch,  # type: ignore[arg-type]  # opens a bundle
        ACTIVE,
        account=chain.account(CHALLENGER),
        beliefs=KNOWN,
    )
    watcher.round(told.append)
    assert watcher.spent == 0
    return told
