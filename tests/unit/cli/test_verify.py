# SPDX-License-Identifier: Apache-2.0
"""`tally verify`: the options."""

from __future__ import annotations

import pytest
from tests.command import tally

GOOD = ("verify", "run.jsonl", "--key", "agent.pub")


def test_a_sound_chain_is_verified() -> None:
    """Exit code 0, and nothing on standard error."""
    answer = tally(*GOOD)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[-1] == "verified: 3 receipts, 1 chain"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--expect-length", "0"), "range"),
        (("--expect-length", "-1"), "range"),
        (("--expect-length", "1.0"), "valid integer"),
        (("--expect-head", ""), "64 lower-case hex"),
        (("--expect-head", "sha256:" + "A" * 64), "64 lower-case hex"),
        (("--expect-head", "sha256:" + "0" * 64 + "\n"), "64 lower-case hex"),
        (("--workers", "0"), "range"),
        (("--workers", "65"), "range"),
        (("--workers", "all"), "valid integer"),
        (("--chain", ""), "empty"),
        (("--method", ""), "empty"),
        (("--responses", "nowhere"), "does not exist"),
        (("--responses", "run.jsonl"), "is a file"),
        (("--trust", "nowhere"), "could not be read"),
        (("--key", "nowhere"), "could not be read"),
        (("--jason",), "No such option"),
    ],
)
def test_options_that_mean_nothing(options: tuple[str, ...], told: str) -> None:
    """They are wrong usage, and are told before any receipt is read."""
    answer = tally(*GOOD, *options)
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err
    assert answer.err.count("\n") == 1


def test_a_key_is_asked_for() -> None:
    """Without key and trust there is nothing that could be verified."""
    answer = tally("verify", "nowhere.jsonl")
    assert (answer.code, answer.out) == (2, "")
    assert "--key" in answer.err
    assert "--trust" in answer.err


def test_keys_are_read_before_receipts() -> None:
    """A bad key is wrong usage, whatever is wrong with the input."""
    for path in ("nowhere.jsonl", "garbage.json", "empty.jsonl"):
        assert tally("verify", path, "--key", "garbage.json").code == 2


def test_a_chain_says_that_no_key_fits() -> None:
    """Whoever gave another key reads so, before each receipt is refused."""
    wrong = tally("verify", "run.jsonl", "--key", "solver.pub")
    assert wrong.code == 1
    assert wrong.out.splitlines()[0].endswith(", signed with no key that was given")
    assert "no key that was given" not in tally(*GOOD).out


@pytest.mark.parametrize("verb", [("verify", "--key", "agent.pub"), ("show",), ("hash",)])
def test_a_bundle_has_a_verb_of_its_own(verb: tuple[str, ...]) -> None:
    """It is named, and not judged line by line as if it were receipts."""
    answer = tally(verb[0], "solved.tally", *verb[1:])
    assert (answer.code, answer.out) == (2, "")
    assert "tally evidence" in answer.err
