# SPDX-License-Identifier: Apache-2.0
"""The table of finding codes."""

from __future__ import annotations

import pytest

from tallystick.verify import findings
from tallystick.verify.findings import CODES, Code


def test_no_code_stands_in_two_tables() -> None:
    """A code has one weight: the tables together are as long as the list."""
    tables = findings._TABLES.values()
    assert sum(map(len, tables)) == len(CODES) > 80


def test_severities_come_from_the_table() -> None:
    """Each code has the severity of the table in which it stands."""
    for severity, table in findings._TABLES.items():
        assert {CODES[name].severity for name in table} == {severity}


@pytest.mark.parametrize("code", list(CODES.values()), ids=lambda code: code.name)
def test_texts_are_sentences(code: Code) -> None:
    """Meaning and remedy are one line each, begin as a sentence does and end in a full stop."""
    for text in (code.summary, code.remedy):
        assert text == text.strip()
        assert "\n" not in text
        assert text.endswith(".")
        assert text[0].isupper() or text.split()[0].split(".")[0] in (
            "proof", "proofValue", "type", "chain", "issuer", "verificationMethod", "@context",
        )  # fmt: skip


def test_codes_do_not_change() -> None:
    """A code is frozen."""
    with pytest.raises(AttributeError):
        CODES["ID_SHAPE"].severity = "advisory"  # type: ignore[misc]  # that it fails is the test
