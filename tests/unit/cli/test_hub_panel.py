# SPDX-License-Identifier: Apache-2.0
"""`tally hub panel`: usage; tests/sessions/hub_panel.txt has a case from stake to verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command import tally

NODE = ("--rpc", "http://127.0.0.1:1", "--signer", "absent.json")


@pytest.mark.parametrize(
    "given",
    [
        ("admit", "0x12"),
        ("dismiss", "0x12"),
        ("draw", "0"),
        ("reveal", "0"),
        ("commit", "1"),
        ("evidence", "1", "letter"),
    ],
)
def test_what_is_wrong_is_told_first(given: tuple[str, ...]) -> None:
    """Addresses, numbers and missing options end a command before a chain is asked."""
    Path("letter").write_bytes(b"unfair")
    assert tally("hub", "panel", *given, *NODE).code == 2


def test_evidence_that_is_not_there() -> None:
    """A file that is absent: 3; a location that no contract takes: 2."""
    told = ("hub", "panel", "evidence", "1")
    assert tally(*told, "absent", "--location", "https://e.example", *NODE).code == 3
    Path("letter").write_bytes(b"unfair")
    answer = tally(*told, "letter", "--location", "x" * 257, *NODE)
    assert answer.code == 2
    assert "256 bytes" in answer.err
