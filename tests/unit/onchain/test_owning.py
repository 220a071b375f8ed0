# SPDX-License-Identifier: Apache-2.0
"""What the owner may do: stop the clock, choose a window, hand over; and that nobody else may."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chains import CHALLENGER, SOLVER, embedded

from tallystick.errors import RevertError
from tallystick.onchain import owning, solving


def test_what_an_owner_does(tmp_path: Path) -> None:
    """A window, a pause and an heir are seen by who reads; only the heir takes over."""
    with embedded(tmp_path / "chain") as chain:
        contracts, owner, other = (
            chain.contracts,
            chain.account(CHALLENGER),
            chain.account(SOLVER),
        )
        before = owning.ownership(contracts)
        assert before == owning.Ownership(owner=owner.address, heir=None, paused=False, window=3600)
        owner.do(owning.window(contracts, 7200, owner.fresh("it")))
        owner.do(owning.offering(contracts, other.address, owner.fresh("it")))
        owner.do(owning.pause(contracts, owner.fresh("it")))
        assert owning.ownership(contracts) == owning.Ownership(
            owner=owner.address, heir=other.address, paused=True, window=7200
        )
        with pytest.raises(RevertError, match="EnforcedPause"):
            other.do(solving.deposit(contracts, 1, other.fresh("it")))
        with pytest.raises(RevertError, match="NotOwner"):
            owner.do(owning.acceptance(contracts, owner.fresh("it")))
        other.do(owning.acceptance(contracts, other.fresh("it")))
        with pytest.raises(RevertError, match="NotOwner"):
            owner.do(owning.resumption(contracts, owner.fresh("it")))
        other.do(owning.resumption(contracts, other.fresh("it")))
        after = owning.ownership(contracts)
        assert (after.owner, after.heir, after.paused) == (other.address, None, False)


def test_a_request_that_is_taken_back(tmp_path: Path) -> None:
    """A withdrawal is shown with its times, and is gone when it was taken back."""
    with embedded(tmp_path / "chain") as chain:
        contracts, solver = chain.contracts, chain.account(SOLVER)
        solver.do(solving.withdrawal(contracts, chain.solver_id, 5, solver.fresh("5")))
        amount, ready_at, expires_at = contracts.withdrawal(chain.solver_id)
        assert amount == 5
        assert expires_at - ready_at == ready_at - contracts.clock() == 7 * 86_400
        solver.do(solving.withdrawal_back(contracts, chain.solver_id, solver.fresh("back")))
        assert contracts.withdrawal(chain.solver_id) == (0, 0, 0)
        with pytest.raises(RevertError, match="NoWithdrawal"):
            solver.do(solving.withdrawal_back(contracts, chain.solver_id, solver.fresh("back")))
