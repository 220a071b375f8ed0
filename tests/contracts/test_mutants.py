# SPDX-License-Identifier: Apache-2.0
"""Break each guard, move each boundary, leave out each effect: a test must turn red every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contracts import test_arbitration, test_edges, test_grounds, test_hub, test_registry
from tests.contracts.mutants import Mutant, cases, compiled, killer

TESTS = cases(test_registry, test_hub, test_grounds, test_arbitration, test_edges)
CONTRACTS = ("SolverRegistry", "IntentReceiptHub", "DisputeModule")

# Broken places that break nothing, each with the reason.
HARMLESS = {
    # One receipt is no replay of itself: another check says so first.
    "> in before.postedAt > post.postedAt or ( before.postedAt == post.postedAt and "
    "convert(earlierId, uint256) > convert(receiptId, uint256) )",
    # Stakes shrink by whole penalties and are never exactly one of them.
    "found.stake < PENALTY or found.drawableAt != 0",
}


def survivors(folder: Path, contract: str, kinds: set[str]) -> list[str]:
    """Return the mutants of some kinds that no test notices."""
    kind, found = compiled(contract, folder)
    made = {contract: kind}
    assert killer(made, None, TESTS) is None, "the tests do not pass as it is"
    chosen = [mutant for mutant in found if mutant.kind in kinds]
    assert len(chosen) > 20

    def harmless(mutant: Mutant) -> bool:
        return mutant.kind == "boundary" and mutant.text in HARMLESS

    return [
        str(mutant)
        for mutant in chosen
        if killer(made, mutant, TESTS) is None and not harmless(mutant)
    ]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_no_guard_can_be_broken_unseen(tmp_path: Path, contract: str) -> None:
    """Whatever a contract refuses, some test notices when it no longer does."""
    assert not survivors(tmp_path, contract, {"guard"})


@pytest.mark.soak
@pytest.mark.parametrize("contract", CONTRACTS)
def test_no_boundary_or_effect_can_be_broken_unseen(tmp_path: Path, contract: str) -> None:
    """Nor when a comparison moves by one, or a statement that changes something is left out."""
    assert not survivors(tmp_path, contract, {"boundary", "effect"})
