# SPDX-License-Identifier: Apache-2.0
"""`tally log judge`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command import tally


def test_only_a_conviction_is_0() -> None:
    """A crash, a missing file or malformed evidence never looks like a conviction."""
    answer = tally("log", "judge", "evidence.json", "--vkey", "log.vkey")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("proven: rollback by collector.example/log1")
    for name, code in (("honest.json", 1), ("garbage.json", 1), ("empty.jsonl", 1), ("none", 3)):
        answer = tally("log", "judge", name, "--vkey", "log.vkey")
        assert answer.code == code
        assert "proven: " not in answer.out.replace("not proven: ", "")


def test_another_logs_key() -> None:
    """Evidence convicts the log of the given key, or nobody."""
    key = Path("log.vkey").read_text().replace("log1", "log2")
    assert tally("log", "judge", "evidence.json", "--vkey", key).code == 2
    assert tally("log", "judge", "evidence.json").code == 2


@pytest.mark.parametrize("name", ["evidence.json", "honest.json", "receipt.json"])
def test_as_json(name: str) -> None:
    """The judgement as one object, from a file or standard input."""
    answer = tally("log", "judge", name, "--vkey", "log.vkey", "--json")
    told = json.loads(answer.out)
    assert set(told) == {"outcome", "kind", "reason", "origin"}
    assert (told["outcome"] == "proven") is (answer.code == 0)
    piped = tally(
        "log", "judge", "-", "--vkey", "log.vkey", "--json", stdin=Path(name).read_bytes()
    )
    assert json.loads(piped.out) == told


def test_too_large_on_standard_input() -> None:
    """Standard input has the limit of a file."""
    answer = tally("log", "judge", "-", "--vkey", "log.vkey", stdin=b" " * 100_000)
    assert answer.code == 3
