# SPDX-License-Identifier: Apache-2.0
"""The table of settings and its readers."""

from __future__ import annotations

import pytest

from tallystick.config import VARIABLES, Variable, read, read_flag


def test_each_variable_is_listed_once_and_explained() -> None:
    """Names and environment variables are unique, prefixed, and have a purpose in a sentence."""
    assert {variable.environment for variable in VARIABLES} == {
        "AGENTRECEIPTS_KEY",
        "AGENTRECEIPTS_PRODUCTION",
    }
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)
    for variable in VARIABLES:
        assert variable.environment.startswith(("AGENTRECEIPTS_", "TALLY_"))
        assert variable.purpose.endswith(".")


def test_the_key_is_marked_secret() -> None:
    """A page or a dump that is made from the table knows what it must not show."""
    assert [variable.name for variable in VARIABLES if variable.secret] == ["key"]


def test_rows_are_frozen() -> None:
    """Nothing changes the table at run time."""
    row: Variable = VARIABLES[0]
    with pytest.raises(AttributeError):
        row.secret = False  # type: ignore[misc]  # what the test is about


def test_read_takes_the_environment_as_an_argument() -> None:
    """The given mapping is read and nothing else; an empty text is not the same as no text."""
    assert read("A", {"A": "x"}) == "x"
    assert read("A", {"A": ""}) == ""
    assert read("A", {}) is None
    assert read("PATH", {}) is None


def test_read_falls_back_to_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping, the environment of the process is read at the time of the call."""
    monkeypatch.setenv("TALLY_TEST_VARIABLE", "now")
    assert read("TALLY_TEST_VARIABLE") == "now"
    monkeypatch.delenv("TALLY_TEST_VARIABLE")
    assert read("TALLY_TEST_VARIABLE") is None


@pytest.mark.parametrize(
    "text", ["True", "TRUE", "1", "yes", " true", "true ", "true\n", "", "false"]
)
def test_only_the_exact_text_true_sets_a_flag(text: str) -> None:
    """The protocol says exactly `true`; nothing near it counts."""
    assert read_flag("F", {"F": "true"}) is True
    assert read_flag("F", {"F": text}) is False
    assert read_flag("F", {}) is False
