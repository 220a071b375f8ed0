# SPDX-License-Identifier: Apache-2.0
"""Break each guard, move each boundary, leave out each effect: a test must turn red every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contracts import test_arbitration, test_edges, test_grounds, test_hub, test_registry
from tests.contracts.mutants import Mutant, cases, compiled, edited, killer

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


LIBRARIES = [
    ("IntentReceiptHub", "signatures", "if len(signature) != 65:", "if len(signature) < 64:"),
    ("IntentReceiptHub", "signatures", "if s > HALF_ORDER or (", "if (s == 0) or ("),
    ("IntentReceiptHub", "signatures", "(v != 27 and v != 28)", "False"),
    ("IntentReceiptHub", "signatures", "if not signer.is_contract:", "if signer.is_contract:"),
    ("SolverRegistry", "signatures", "return success and len(answer) == 32 and", "return True or"),
    ("IntentReceiptHub", "stakes", "(volume * BOND_RATIO_BPS + BPS - 1)", "(volume * 400)"),
    ("IntentReceiptHub", "stakes", "return stake * CHALLENGER_BOND_BPS", "return stake * 999"),
    ("DisputeModule", "merkle", "    if index >= count:\n", "    if index > count:\n"),
    ("DisputeModule", "merkle", "return last == 0 and node == root", "return node == root"),
    ("DisputeModule", "merkle", "return last == 0 and node == root", "return last == 0"),
    ("DisputeModule", "merkle", "if at & 1 == 1 or at == last:", "if at & 1 == 1:"),
    ("DisputeModule", "manifests", "if at > 9 and size == 0:", "if at > 99:"),
    ("DisputeModule", "manifests", "if not self._isHex(digits):", "if at > 99:"),
    ("DisputeModule", "manifests", "if depth == 1:", "if depth >= 1:"),
    ("DisputeModule", "manifests", "at += skipped + 2", "at += skipped + 1"),
    ("DisputeModule", "manifests", "| self._isZero(word ^ (EACH_BYTE * 92))", "| 0"),
    ("DisputeModule", "manifests", "if marks >> 128 == 0:", "if False:"),
    ("DisputeModule", "manifests", "if marks >> 248 == 0:", "if False:"),
    ("DisputeModule", "manifests", "| word | EACH_LOW)", "| EACH_LOW)"),
    ("DisputeModule", "manifests", "wrong = routeHash != empty(bytes32)", "wrong = False"),
    ("DisputeModule", "manifests", "(after == 44 or after == 125)", "True"),
    ("DisputeModule", "manifests", "return formed and slice", "return slice"),
]
# What the length of a path says, its root says too: no node is both a leaf's and an inner one's.
# And for another v the precompile recovers nobody.
SAID_TWICE = {"return node == root", "False"}


@pytest.mark.soak
@pytest.mark.parametrize(("contract", "library", "old", "new"), LIBRARIES)
def test_no_library_can_be_broken_unseen(
    tmp_path: Path, contract: str, library: str, old: str, new: str
) -> None:
    """Signatures, trees, stakes and readers: a changed place turns a test red."""
    made = {contract: edited(contract, library, old, new, tmp_path)}
    noticed = killer(made, None, TESTS)
    assert noticed is not None or new in SAID_TWICE
