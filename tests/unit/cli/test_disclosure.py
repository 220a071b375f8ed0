# SPDX-License-Identifier: Apache-2.0
"""Envelopes, opened or not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.command import tally
from tests.sessions.stage import FORENSIC

KEY = ("--key", "forensic.key")


def test_plaintext_is_json_lines() -> None:
    """Each line is one object: receipt, member, value, and what the hash beside it says."""
    answer = tally("disclose", "sealed.jsonl", *KEY)
    first, second = map(json.loads, answer.out.splitlines())
    assert first.keys() == {"receipt", "member", "value", "hash"}
    assert first["value"]["to"] == "bob@example.com"
    assert first["value"]["subject"] == "the \u202eoffer\x1b[2J"
    assert (first["hash"], second["hash"]) == ("matches", "absent")
    assert answer.out.isascii()


def test_responses_are_opened_too() -> None:
    """A sealed response is compared with the hash of the response."""
    (only,) = map(json.loads, tally("disclose", "sealed-response.jsonl", *KEY).out.splitlines())
    assert (only["member"], only["hash"]) == ("response_disclosure", "matches")


def test_one_fault_does_not_hide_the_rest() -> None:
    """All that this key opens is printed; the worst fault decides."""
    paths = ["sealed-other.jsonl", "sealed-forged.jsonl", "sealed.jsonl", "sealed-differs.jsonl"]
    answer = tally("disclose", *paths, *KEY)
    assert answer.code == 1
    assert answer.out.count("\n") == 3
    assert answer.err.startswith("tally: sealed-forged.jsonl:receipt[0] parameters_disclosure")
    assert answer.err.endswith("(2 more like this)\n")


@pytest.mark.parametrize(
    ("envelope", "told"),
    [
        ({"to": "bob@example.com"}, "flat map of protocol 0.2: its values are not encrypted"),
        ({}, "lacks"),
    ],
)
def test_what_is_no_envelope(place: Path, envelope: object, told: str) -> None:
    """Plain text beside an action is told as such, and opens nothing."""
    receipt = json.loads((place / "receipt.json").read_bytes())
    receipt["credentialSubject"]["action"]["parameters_disclosure"] = envelope
    (place / "flat.json").write_text(json.dumps(receipt))
    answer = tally("disclose", "flat.json", *KEY)
    assert (answer.code, answer.out) == (1, "")
    assert told in answer.err


def test_secrets_are_never_told(place: Path) -> None:
    """No fault quotes the key or what was sealed."""
    private = FORENSIC.private_key.hex()
    (place / "raw.key").write_text(private + "0")
    os.chmod(place / "raw.key", 0o600)
    answer = tally("disclose", "sealed.jsonl", "--key", "raw.key")
    assert answer.code == 2
    assert private[:16] not in answer.err
    assert "bob" not in tally("disclose", "sealed-forged.jsonl", *KEY).err


def test_keys_of_other_tools_open_too(place: Path) -> None:
    """The forms that the library reads: 64 hexadecimal digits, or 32 raw bytes."""
    for name, data in (("hex", FORENSIC.private_key.hex().encode()), ("raw", FORENSIC.private_key)):
        path = Path(place / name)
        path.write_bytes(data)
        path.chmod(0o600)
        assert tally("disclose", "sealed.jsonl", "--key", name).code == 0
