# SPDX-License-Identifier: Apache-2.0
"""`tally evidence verify`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.command import tally


def test_the_verdict_decides_the_exit_code() -> None:
    """0 verified, 1 refused, 2 no key, 3 could not check."""
    for name, code in (("solved", 0), ("changed", 1), ("detached", 3), ("nowhere", 3)):
        assert tally("evidence", "verify", f"{name}.tally", "--key", "solver.pub").code == code
    assert tally("evidence", "verify", "solved.tally").code == 2


@pytest.mark.parametrize("name", ["solved.tally", "changed.tally", "garbage.json"])
def test_as_json(name: str) -> None:
    """The report as one object, from a file or standard input."""
    answer = tally("evidence", "verify", name, "--key", "solver.pub", "--json")
    told = json.loads(answer.out)
    assert (told["verdict"] == "verified") is (answer.code == 0)
    piped = tally(
        "evidence", "verify", "-", "--key", "solver.pub", "--json", stdin=Path(name).read_bytes()
    )
    assert json.loads(piped.out) == told


def test_a_flipped_byte_anywhere_is_refused() -> None:
    """Every five hundredth byte of a bundle, turned: exit code 1 and no other.

    But for the time of a receipt's proof, which no signature covers: the verifier says so.
    """
    data = Path("solved.tally").read_bytes()
    for at in range(0, len(data), 500):
        wrong = bytearray(data)
        wrong[at] ^= 1
        answer = tally("evidence", "verify", "-", "--key", "solver.pub", stdin=bytes(wrong))
        if "proof_metadata_unsigned" in answer.out and answer.code == 0:
            continue
        assert answer.code == 1, at


@pytest.mark.parametrize(
    ("was", "becomes", "is_told"),
    [
        (rb'("created":")2', rb"\g<1>3", False),
        (rb'("created":")2', rb"\g<1>1", True),
        (rb'(Method":"[^"]*)#key-1', rb"\1#key-2", False),
        (rb'(Method":"did:agent:)s', rb"\1t", True),
    ],
)
def test_what_no_signature_covers(was: bytes, becomes: bytes, is_told: bool) -> None:
    """A proof's own time and method are free: the threat model says which edits are told."""
    data = Path("solved.tally").read_bytes()
    edited, edits = re.subn(was, becomes, data)
    assert edits
    assert len(edited) == len(data)
    answer = tally("evidence", "verify", "-", "--key", "solver.pub", stdin=edited)
    assert answer.code == 0
    assert ("proof_metadata_unsigned" in answer.out) is is_told


def test_names_from_a_bundle_do_not_reach_the_terminal_raw() -> None:
    """A path that would turn the text around is shown with its escape."""
    folder = Path("odd")
    folder.mkdir()
    (folder / "a\u202eb").write_bytes(b"x")
    assert tally("evidence", "make", "odd", "--out", "odd.tally", "--key", "agent.key").code == 0
    (folder / "a\u202eb").write_bytes(b"y")
    answer = tally("evidence", "verify", "odd.tally", "--key", "agent.pub", "--artifacts", "odd")
    assert answer.code == 1
    assert "\\u202e" in answer.out
    assert "\u202e" not in answer.out + answer.err


def test_a_predecessor_that_is_no_bundle() -> None:
    """--previous takes a hash or a bundle; anything else ends the command."""
    for name, code in (("garbage.json", 1), ("nowhere", 3)):
        answer = tally(
            "evidence", "verify", "second.tally", "--key", "solver.pub", "--previous", name
        )
        assert answer.code == code


def test_a_proof_is_asked_all_that_a_bundle_is(tmp_path: Path) -> None:
    """No option is passed over: what is wrong, or can't be read, has the code that it has."""
    proof = str(tmp_path / "proof")
    assert tally("evidence", "prove", "solved.tally", "report.json", "--out", proof).code == 0
    ask = ("evidence", "verify", proof, "--key", "solver.pub")
    for more, code in (
        ((), 0),
        (("--previous", "0" * 64), 1),
        (("--previous", "nowhere"), 3),
        (("--vkey", "nothing"), 2),
        (("--vkey", "solver.vkey"), 3),
    ):
        assert tally(*ask, *more).code == code, more
