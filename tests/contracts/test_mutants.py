# SPDX-License-Identifier: Apache-2.0
"""Break each guard, move each boundary, leave out each effect: a test must turn red every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contracts import test_arbitration, test_edges, test_grounds, test_hub, test_registry
from tests.contracts.mutants import SOURCES, Mutant, cases, compiled, edited, killer

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
    ("SolverRegistry", "signatures", "if signer == empty(address):", "if signer != signer:"),
    ("IntentReceiptHub", "stakes", "(volume * BOND_RATIO_BPS + BPS - 1)", "(volume * 400)"),
    ("IntentReceiptHub", "stakes", "max(MINIMUM_BOND, ", "max(1, "),
    ("IntentReceiptHub", "stakes", "return stake * CHALLENGER_BOND_BPS", "return stake * 999"),
    ("DisputeModule", "merkle", "    if index >= count:\n", "    if index > count:\n"),
    ("DisputeModule", "merkle", "return last == 0 and node == root", "return node == root"),
    ("DisputeModule", "merkle", "return last == 0 and node == root", "return last == 0"),
    ("DisputeModule", "merkle", "if at & 1 == 1 or at == last:", "if at & 1 == 1:"),
]
_MANIFESTS = [
    # an entry
    ("if length < 9 + 1 + 16 + ENTRY_TAIL_BYTES:", "if length < 9:"),
    ("if slice(entry, 0, 9) != ENTRY_HEAD:", "if False:"),
    ("if c < 48 or c > 57:", "if c < 47 or c > 57:"),
    ("if c < 48 or c > 57:", "if c < 48 or c > 58:"),
    ("if at > 9 and size == 0:", "if at > 99:"),
    ("if at == 9 or at + 16", "if at + 16"),
    ("if at == 9 or at + 16 + ENTRY_TAIL_BYTES > length:", "if at == 9:"),
    ("if slice(entry, at, 16) != ENTRY_TYPE:", "if False:"),
    ("slice(entry, tail, 12) != ENTRY_HASH or", "False or"),
    ("slice(entry, length - 2, 2) != ENTRY_TAIL:", "False:"),
    ("if not self._isHex(digits):", "if at > 99:"),
    ("(c >= 48 and c <= 57)", "(c >= 47 and c <= 57)"),
    ("(c >= 48 and c <= 57)", "(c >= 48 and c <= 58)"),
    ("(c >= 97 and c <= 102)", "(c >= 96 and c <= 102)"),
    ("(c >= 97 and c <= 102)", "(c >= 97 and c <= 103)"),
    ("return formed and slice", "return slice"),
    ("tail - 16, 16) == SETTLEMENT", 'tail - 16, 16) != b""'),
    # the end of a string
    ("| word | EACH_LOW)", "| EACH_LOW)"),
    (
        "if at >= length:\n            break\n        word: uint256 = extract32(text, at, "
        "output_type=uint256)\n        marks",
        "word: uint256 = extract32(text, at, output_type=uint256)\n        marks",
    ),
    ("self._isZero(word ^ (EACH_BYTE * 34)) |", "0 |"),
    ("| self._isZero(word ^ (EACH_BYTE * 92))", "| 0"),
    ("            at += 32\n", "            at += 33\n"),
    ("if marks >> 128 == 0:", "if False:"),
    ("if marks >> 192 == 0:", "if False:"),
    ("if marks >> 224 == 0:", "if False:"),
    ("if marks >> 240 == 0:", "if False:"),
    ("if marks >> 248 == 0:", "if False:"),
    ("return at + skipped + 1", "return at + skipped"),
    ("at += skipped + 2", "at += skipped + 1"),
    # members of an object
    (
        "if at >= length:\n            break\n        word: uint256 = extract32(text, at, "
        "output_type=uint256)\n        c:",
        "word: uint256 = extract32(text, at, output_type=uint256)\n        c:",
    ),
    ("if depth == 1:", "if depth >= 1:"),
    ("if which < 6 and places[which] == MISSING:", "if which < 6:"),
    ("elif c == 123 or c == 91:", "elif c == 123:"),
    ("elif c == 125 or c == 93:", "elif c == 125:"),
    ("if depth <= 1:", "if depth == 0:"),
    ("elif depth == 0:", "elif False:"),
    # their values
    ("if at == MISSING or at + 73 > length:", "if at == MISSING:"),
    ("if at == MISSING or at + 73 > length:", "if at + 73 > length:"),
    ("return slice(text, at, 73) ==", "return slice(text, at, 73) !="),
    ("(after == 44 or after == 125)", "True"),
    # what contradicts
    ("if member == 1 or member == ANY:", "if member == 1:"),
    ("if member == 2 or (member == ANY and not wrong):", "if member == 2:"),
    ("if member == 2 or (member == ANY and not wrong):", "if member == 2 or member == ANY:"),
    ("if member == 3 or (member == ANY and not wrong):", "if member == 3:"),
    ("if member == 3 or (member == ANY and not wrong):", "if member == 3 or member == ANY:"),
    ("if member == 4 or (member == ANY and not wrong):", "if member == 4:"),
    ("if member == 4 or (member == ANY and not wrong):", "if member == 4 or member == ANY:"),
    ("wrong = routeHash != empty(bytes32)", "wrong = False"),
    ("            wrong = True", "            wrong = False"),
    ("self._members(text, length, places[2])[5]", "self._members(text, length, 0)[5]"),
    ("self._holdsNumber(text, length, places[3], count)\n            and ", ""),
    ("            and self._holdsHash(text, length, places[4], root)\n", ""),
]
LIBRARIES += [("DisputeModule", "manifests", old, new) for old, new in _MANIFESTS]
# For another v the precompile recovers nobody; and nobody without an address is let in as a signer.
SAID_TWICE = {"False", "if signer != signer:"}


def test_each_library_mutant_has_its_place() -> None:
    """Each changes one place of a library as it is now, and of a contract that imports it."""
    for contract, library, old, new in LIBRARIES:
        text = (SOURCES / "lib" / f"{library}.vy").read_text(encoding="utf-8")
        assert (text.count(old), new == old) == (1, False), old
        importer = (SOURCES / f"{contract}.vy").read_text(encoding="utf-8")
        assert f"from lib import {library}\n" in importer


@pytest.mark.soak
@pytest.mark.parametrize(("contract", "library", "old", "new"), LIBRARIES)
def test_no_library_can_be_broken_unseen(
    tmp_path: Path, contract: str, library: str, old: str, new: str
) -> None:
    """Signatures, trees, stakes and readers: a changed place turns a test red."""
    made = {contract: edited(contract, library, old, new, tmp_path)}
    noticed = killer(made, None, TESTS)
    assert (noticed is None) == (new in SAID_TWICE)
