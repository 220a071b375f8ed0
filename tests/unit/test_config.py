# SPDX-License-Identifier: Apache-2.0
"""The table of settings and its readers."""

from __future__ import annotations

import pytest

from tallystick.config import VARIABLES, Variable, read, read_flag, read_number
from tallystick.errors import SettingError

# Set by the platforms themselves; we look whether they are there.
PLATFORMS = {
    "AWS_LAMBDA_FUNCTION_NAME",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CONFIG_DIR",
    "CLOUD_RUN_JOB",
    "CODEX_HOME",
    "FUNCTIONS_WORKER_RUNTIME",
    "K_SERVICE",
}


def test_each_variable_is_listed_once_and_explained() -> None:
    """Names are unique, ours have a prefix, and each has a purpose in a sentence."""
    for attribute in ("name", "environment"):
        assert len({getattr(variable, attribute) for variable in VARIABLES}) == len(VARIABLES)
    for variable in VARIABLES:
        ours = variable.environment.startswith(("AGENTRECEIPTS_", "TALLY_"))
        assert ours or variable.environment in PLATFORMS
        assert variable.purpose.endswith(".")


def test_secrets_are_marked() -> None:
    """A page or a dump that is made from the table knows what it must not show."""
    secrets = {variable.environment for variable in VARIABLES if variable.secret}
    assert secrets == {
        "AGENTRECEIPTS_COLLECTOR_TOKEN",
        "AGENTRECEIPTS_KEY",
        "TALLY_PKCS11_PIN",
        "TALLY_RPC",
    }


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


def test_numbers_are_whole_and_bare() -> None:
    """A whole number is read; no text and an empty one are none; anything else is refused."""
    assert read_number("N", {"N": "2000"}) == 2000
    assert read_number("N", {"N": ""}) is None
    assert read_number("N", {}) is None


@pytest.mark.parametrize("text", ["2s", "2.5", "-1", " 2", "2_000", "1e3", "²", "9" * 19])
def test_what_is_no_number_is_refused(text: str) -> None:
    """The error names the variable, and says what is wanted."""
    with pytest.raises(SettingError, match="TALLY_N must be a whole number"):
        read_number("TALLY_N", {"TALLY_N": text})
