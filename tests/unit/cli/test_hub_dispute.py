# SPDX-License-Identifier: Apache-2.0
"""`tally hub challenge`: exactly one ground, also where it is the number 0."""

from __future__ import annotations

import pytest
from tests.command import tally

POST = "0x" + "11" * 32
NODE = ("--rpc", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    "grounds",
    [
        (),
        ("--entry", "0", "--manifest"),
        ("--timeout", "--replays", POST),
        ("--manifest", "--timeout"),
    ],
)
def test_one_ground(grounds: tuple[str, ...]) -> None:
    """None and two are usage errors."""
    answer = tally("hub", "challenge", POST, *grounds, *NODE)
    assert answer.code == 2
    assert "give one ground" in answer.err


@pytest.mark.parametrize("ground", [("--entry", "0"), ("--manifest",), ("--timeout",)])
def test_each_ground_goes_to_the_chain(ground: tuple[str, ...]) -> None:
    """One ground is enough to ask the node, which is not there."""
    answer = tally("hub", "challenge", POST, *ground, *NODE)
    assert answer.code == 3
    assert "can't be reached" in answer.err


def test_a_contradiction_wants_its_bundle() -> None:
    """And a bundle wants its contradiction."""
    for options in (("--contradicts", "policy"), ("--manifest", "--bundle", "x.tally")):
        answer = tally("hub", "challenge", POST, *options, *NODE)
        assert answer.code == 2
        assert "go together" in answer.err
    assert tally("hub", "respond", "0", "x.tally", *NODE).code == 2
