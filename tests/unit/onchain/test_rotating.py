# SPDX-License-Identifier: Apache-2.0
"""A next key follows with its consent and after its delay, or is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chains import CHALLENGER, SOLVER, Chain, embedded, signer_of
from tests.curve import CurveKey

from tallystick.errors import NodeError, RevertError
from tallystick.onchain import rotating

NEXT = CurveKey(0x502)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with embedded(tmp_path / "chain") as made:
        yield made


def test_a_key_that_follows(chain: Chain) -> None:
    """Not before two days; then it speaks for the solver, and the old one does not."""
    contracts, solver = chain.contracts, chain.account(SOLVER)
    solver.do(rotating.rotation(contracts, chain.solver_id, signer_of(NEXT), "one"))
    before = chain.node.head()[1]
    stranger = chain.account(CHALLENGER)
    with pytest.raises(RevertError, match="RotationNotReady"):
        stranger.do(rotating.completion(contracts, chain.solver_id, "one"))
    chain.pass_time(2 * 86_400 + 100)
    stranger.do(rotating.completion(contracts, chain.solver_id, "one"))
    assert contracts.solver(chain.solver_id).operator == NEXT.address
    assert contracts.solver_of(SOLVER.address) is None
    # What was posted before is the old key's still.
    assert contracts.operator_at(chain.solver_id, before) == SOLVER.address
    assert contracts.operator_at(chain.solver_id, chain.node.head()[1]) == NEXT.address
    with pytest.raises(NodeError, match="no key"):
        contracts.operator_at(chain.solver_id, 1)


def test_a_request_that_is_taken_back(chain: Chain) -> None:
    """Nothing follows; only the operator asks or takes back."""
    contracts, solver = chain.contracts, chain.account(SOLVER)
    wish = rotating.rotation(contracts, chain.solver_id, signer_of(NEXT), "one")
    with pytest.raises(RevertError, match="the contract refuses"):
        chain.account(CHALLENGER).do(wish)
    solver.do(wish)
    solver.do(rotating.cancellation(contracts, chain.solver_id, "one"))
    chain.pass_time(2 * 86_400 + 100)
    with pytest.raises(RevertError, match="NoRotation"):
        solver.do(rotating.completion(contracts, chain.solver_id, "one"))
