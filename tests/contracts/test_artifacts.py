# SPDX-License-Identifier: Apache-2.0
"""What the package carries is what the sources give."""

from __future__ import annotations

import json

import pytest
from tests.contracts.revm import ARTIFACTS
from tools.contracts import NAMES, SOURCES, build, encoded

RUNTIME_BYTES_MAX = 24_576  # EIP-170


@pytest.mark.parametrize("name", NAMES)
def test_a_rebuild_gives_the_same_bytes(name: str) -> None:
    """ABI and bytecode, to the byte; and the contract fits on a chain."""
    made = build(SOURCES / f"{name}.vy")
    assert (ARTIFACTS / f"{name}.json").read_text(encoding="utf-8") == encoded(made)
    assert made["runtimeBytes"] < RUNTIME_BYTES_MAX
    assert made["compiler"] == "vyper 0.4.3"


def test_no_artefact_without_a_source() -> None:
    """The folder holds these three, and nothing that nobody rebuilds."""
    assert {path.stem for path in ARTIFACTS.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_documented(name: str) -> None:
    """NatSpec stands at each function that can be called, each event says what has happened."""
    source = (SOURCES / f"{name}.vy").read_text(encoding="utf-8")
    abi = json.loads((ARTIFACTS / f"{name}.json").read_text(encoding="utf-8"))["abi"]
    for entry in abi:
        if entry["type"] == "function" and f"\ndef {entry['name']}(" in source:
            body = source.partition(f"\ndef {entry['name']}(")[2].partition("\ndef ")[0]
            assert "@notice" in body, entry["name"]
    events = [entry["name"] for entry in abi if entry["type"] == "event"]
    past = ("ed", "Left", "Paid", "Proven", "Drawn", "Withdrawn")
    assert not [event for event in events if not event.endswith(past)]
