# SPDX-License-Identifier: Apache-2.0
"""`tally hash`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command import tally

from tallystick import hash_receipt


def test_hashes_are_the_library_s() -> None:
    """Each line is what `hash_receipt` says, in order."""
    receipts = Path("run.jsonl").read_bytes().splitlines()
    assert tally("hash", "run.jsonl").out.splitlines() == [hash_receipt(one) for one in receipts]


def test_unsigned_receipts_have_the_same_hash(place: Path) -> None:
    """The proof is outside, so a draft can be hashed before it is signed."""
    members = json.loads(Path("receipt.json").read_bytes())
    del members["proof"]
    (place / "draft.json").write_text(json.dumps(members, indent=2))
    assert tally("hash", "draft.json") == tally("hash", "receipt.json")


def test_it_stops_at_the_first_fault() -> None:
    """Line N is receipt N: nothing follows something that has no hash."""
    answer = tally("hash", "receipt.json", "deep.json", "run.jsonl")
    assert (answer.code, answer.out.count("\n")) == (1, 1)
    assert "deep.json" in answer.err


def test_nothing_has_no_hash() -> None:
    """An empty input is not success."""
    assert tally("hash", "empty.jsonl").code == 3
    assert tally("hash", "nowhere").code == 3
