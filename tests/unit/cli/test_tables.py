# SPDX-License-Identifier: Apache-2.0
"""Receipts as rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.sessions.stage import AGENT, OTHER, Scribe

from tallystick.cli.output import Stop
from tallystick.cli.tables import cut, show_receipts


def test_chains_are_apart(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """Receipts of several chains, in whatever order, come as a table for each chain."""
    one, two = Scribe("one", "did:example:a", 1), Scribe("two", "did:example:b", 2)
    with open(place / "mixed.jsonl", "wb") as mixed:
        for _ in range(3):
            for scribe, key in ((one, AGENT), (two, OTHER)):
                receipt = scribe.write("filesystem.file.read", "a", key)
                mixed.write(receipt.to_json() + b"\n")
    show_receipts(["mixed.jsonl"])
    shown = capsys.readouterr().out
    first, second = shown.split("chain two by did:example:b")
    assert first.startswith("chain one by did:example:a")
    assert [line[0] for line in first.splitlines()[3:6]] == ["1", "2", "3"]
    assert [line[0] for line in second.splitlines()[3:6]] == ["1", "2", "3"]


def test_long_chains_come_in_parts(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """What waits for its table is bounded: a chain of 2500 receipts is three tables."""
    line = (place / "receipt.json").read_bytes() + b"\n"
    (place / "long.jsonl").write_bytes(line * 2500)
    show_receipts(["long.jsonl"])
    shown = capsys.readouterr().out
    assert shown.count("chain run-1 by") == 3
    assert shown.count("filesystem.file.create") == 2500
    assert shown.endswith("shown, not verified: 2500 receipts; `tally verify` verifies\n")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("timestamp", "yesterday"),
        ("type", 7),
        ("risk_level", "huge"),
        ("target", {"system": "x" * 5000}),
        ("target", None),
    ],
)
def test_what_is_refused_is_a_question_mark(
    capsys: pytest.CaptureFixture[str], place: Path, member: str, value: object
) -> None:
    """A receipt with a fault is shown as far as it can be read, in one row of bounded length."""
    receipt = json.loads((place / "receipt.json").read_bytes())
    receipt["credentialSubject"]["action"][member] = value
    (place / "odd.json").write_text(json.dumps(receipt))
    show_receipts(["odd.json"])
    shown = capsys.readouterr().out
    row = shown.splitlines()[3]
    assert row.startswith("1  ")
    assert len(row) < 300
    assert ("?" in row) is (member != "target")


def test_what_is_missing_is_a_question_mark(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    """Also chain id and issuer."""
    receipt = json.loads((place / "receipt.json").read_bytes())
    del receipt["issuer"]
    del receipt["credentialSubject"]["chain"]["chain_id"]
    del receipt["credentialSubject"]["chain"]["sequence"]
    (place / "odd.json").write_text(json.dumps(receipt))
    show_receipts(["odd.json"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "chain ? by ?"
    assert lines[3].startswith("?  ")


def test_damage_stops_after_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """What can be read is shown before the fault is told."""
    with pytest.raises(Stop, match="garbage"):
        show_receipts(["garbage.json", "run.jsonl"])
    assert "draft.md" in capsys.readouterr().out


def test_cells_are_cut() -> None:
    """A cell has at most 100 characters, the last of them saying that there were more."""
    assert cut("x" * 100) == "x" * 100
    assert cut("x" * 101) == "x" * 99 + "…"
