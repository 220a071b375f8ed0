# SPDX-License-Identifier: Apache-2.0
"""`tally explain`."""

from __future__ import annotations

import pytest
from tests.command import tally

from tallystick.verify.findings import CODES


@pytest.mark.parametrize("name", CODES)
def test_every_code_is_explained(name: str) -> None:
    """In either case: its severity, what it means, what to do."""
    code = CODES[name]
    told = f"{name} ({code.severity})\n{code.summary}\n{code.remedy}\n"
    for spelled in (name, name.lower(), name.upper()):
        answer = tally("explain", spelled)
        assert (answer.code, answer.out) == (0, told)


def test_codes_differ_in_more_than_case() -> None:
    """Otherwise one of two would never be explained."""
    assert len({name.casefold() for name in CODES}) == len(CODES)


def test_without_a_code_all_are_listed() -> None:
    """One line each, in the order of the page."""
    lines = tally("explain").out.splitlines()
    assert [line.split()[0] for line in lines] == list(CODES)


@pytest.mark.parametrize(
    ("typed", "near"), [("CHAIN_GAPS", "CHAIN_GAP"), ("sig_invalid", "SIGNATURE_INVALID")]
)
def test_near_names_are_suggested(typed: str, near: str) -> None:
    """A typing error is wrong usage, with a hint."""
    answer = tally("explain", typed)
    assert answer.code == 2
    assert near in answer.err


def test_far_names_are_not() -> None:
    """Where nothing is near, the list is named."""
    answer = tally("explain", "42")
    assert answer.code == 2
    assert "`tally explain` lists them all" in answer.err
