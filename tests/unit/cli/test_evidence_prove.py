# SPDX-License-Identifier: Apache-2.0
"""`tally evidence prove`."""

from __future__ import annotations

from pathlib import Path

from tests.command import tally


def test_a_proof_goes_to_standard_output_or_a_new_file() -> None:
    """Both are the same bytes, with or without `artifacts/` before the path."""
    shown = tally("evidence", "prove", "listed.tally", "artifacts/report.json")
    assert shown.code == 0
    assert tally("evidence", "prove", "listed.tally", "report.json", "--out", "p").code == 0
    assert Path("p").read_text() == shown.out
    answer = tally("evidence", "verify", "-", "--key", "solver.pub", stdin=shown.out.encode())
    assert answer.code == 0
    assert answer.out.startswith("verified: artifacts/report.json, sha256 ")


def test_what_cannot_be_proven() -> None:
    """No such artefact, no bundle, a list that the manifest does not commit to."""
    assert tally("evidence", "prove", "listed.tally", "nowhere").code == 1
    assert tally("evidence", "prove", "garbage.json", "report.json").code == 1


def test_a_proof_is_its_bytes_whatever_a_file_is_called() -> None:
    """In a pipe nothing is escaped: the proof of a name that a terminal would not show holds."""
    name = "a\u202eb\u200b.txt"
    Path("results", name).write_bytes(b"x")
    assert tally("evidence", "make", "results", "--out", "r.tally", "--key", "agent.key").code == 0
    proof = tally("evidence", "prove", "r.tally", name).out.encode()
    answer = tally("evidence", "verify", "-", "--key", "agent.pub", stdin=proof)
    assert answer.code == 0, answer
    assert "\u202e" not in answer.out
