# SPDX-License-Identifier: Apache-2.0
"""Groups of verbs."""

from __future__ import annotations

import click
import pytest
from tests.command import tally

from tallystick.cli.groups import VerbGroup


@pytest.mark.parametrize(
    "words",
    [("verify",), ("collector", "run"), ("collector", "keys", "show"), ("log", "judge")],
)
def test_a_fault_of_usage_names_its_verb(words: tuple[str, ...]) -> None:
    """However deep the verb stands, its own help is what is pointed to."""
    answer = tally(*words, "--nonsense")
    assert answer.code == 2
    assert answer.err.endswith(f"See `tally {' '.join(words)} --help`.\n")
    missing = tally(*words, *(["x"] if words == ("verify",) else []), "--config")
    assert missing.err.endswith(f"See `tally {' '.join(words)} --help`.\n")


@pytest.mark.parametrize("words", [("daemon",), ("collector",), ("collector", "keys"), ("log",)])
def test_a_group_alone_asks_for_a_verb(words: tuple[str, ...]) -> None:
    """One line with the verbs that there are, and not the whole help in one line."""
    answer = tally(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("tally: give a command: ")
    assert answer.err.endswith(f". See `tally {' '.join(words)} --help`.\n")
    assert "Usage" not in answer.err


@pytest.mark.parametrize(
    ("words", "near"),
    [(("verfy",), "verify"), (("collector", "rnu"), "run"), (("log", "moniter"), "monitor")],
)
def test_a_mistyped_verb_is_told_with_its_like(words: tuple[str, ...], near: str) -> None:
    """As a mistyped option is; what resembles nothing gets no guess."""
    answer = tally(*words)
    help_of = " ".join(("tally", *words[:-1], "--help"))
    told = f"tally: No such command '{words[-1]}'. Did you mean '{near}'? See `{help_of}`.\n"
    assert (answer.code, answer.out, answer.err) == (2, "", told)
    other = tally(*words[:-1], "zzzz")
    assert other.err == f"tally: No such command 'zzzz'. See `{help_of}`.\n"


def test_groups_within_are_of_the_same_kind() -> None:
    """So that nobody has to say it again."""
    outer = VerbGroup("outer")

    @outer.group("inner")
    def inner() -> None:
        """Stand within."""

    assert isinstance(inner, VerbGroup)
    assert isinstance(inner, click.Group)
