# SPDX-License-Identifier: Apache-2.0
"""What several verbs take."""

from __future__ import annotations

import pytest
from tests.command import tally

VERBS = {
    "verify": ("--key", "agent.pub"),
    "show": (),
    "hash": (),
    "disclose": ("--key", "forensic.key"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_paths_are_there_and_make_sense(verb: str) -> None:
    """At least one path, none of them empty, and standard input once."""
    for paths, told in (((), "Missing argument"), (("",), "empty"), (("-", "-"), "once only")):
        answer = tally(verb, *paths, *VERBS[verb])
        assert (answer.code, answer.out) == (2, "")
        assert told in answer.err


@pytest.mark.parametrize("verb", ["show", "hash"])
def test_several_paths_and_standard_input(verb: str) -> None:
    """Paths are read in order, `-` where it stands."""
    with open("other.jsonl", "rb") as other:
        both = tally(verb, "run.jsonl", "-", stdin=other.read())
    assert both == tally(verb, "run.jsonl", "other.jsonl")
    assert both.code == 0
