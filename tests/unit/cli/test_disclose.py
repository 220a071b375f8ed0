# SPDX-License-Identifier: Apache-2.0
"""`tally disclose`: the options."""

from __future__ import annotations

from tests.command import tally


def test_exit_codes() -> None:
    """Opened; refused; wrong usage; could not."""
    for path, code in (
        ("sealed.jsonl", 0),
        ("sealed-response.jsonl", 0),
        ("sealed-label.jsonl", 1),
        ("sealed-forged.jsonl", 1),
        ("sealed-differs.jsonl", 1),
        ("garbage.json", 1),
        ("sealed-other.jsonl", 3),
        ("run.jsonl", 3),
        ("empty.jsonl", 3),
        ("nowhere", 3),
    ):
        assert tally("disclose", path, "--key", "forensic.key").code == code, path
    assert tally("disclose", "sealed.jsonl").code == 2


def test_the_key_is_read_first() -> None:
    """A key that can't be used is wrong usage, whatever the input is."""
    for key in ("nowhere", "agent.key", "agent.pub", "garbage.json", ".", "forensic.pub"):
        answer = tally("disclose", "nowhere", "--key", key)
        assert (answer.code, answer.out) == (2, ""), key
        assert answer.err.startswith(f"tally: --key: {key}"), key
