# SPDX-License-Identifier: Apache-2.0
"""Patterns that can be slow are refused before they are used; what is let through is fast."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.limits import REDACTED_CHARS_MAX
from tallystick.model.pattern_check import pattern_fault


@pytest.mark.parametrize(
    "regex",
    [
        "acme_[a-z0-9]{20,}",
        r"acme_\w+",
        "ACME-[0-9]{4}-[0-9]{4}",
        r"(?i)\bacme[ :=]{1,3}(\S{8,64})",
        "(?:one|two|three)-key",
        "(?<![a-z])key[0-9]{3}(?=x)",
        "(?>ab|a)c",
        "a?b?c",
        "(a|b){4}x",
    ],
)
def test_fast_patterns_are_taken(regex: str) -> None:
    """Usual shapes of secrets pass."""
    assert pattern_fault(regex) is None


@pytest.mark.parametrize(
    ("regex", "reason"),
    [
        ("(a+)+b", "repetition"),
        ("(a*)*", "empty"),
        ("(a{1,50}){1,50}b", "within a repetition"),
        ("(?:ab|abab){1,30}c", "choices multiply"),
        ("(?:a|aa){20}b", "steps"),
        (r".*password", "end"),
        (r"\w+@\w+\.com", "end"),
        (r"\w{1,64}@\w{1,64}\.com", "steps"),
        (r"(a)\1{1,5}x", "back-references"),
        ("a{1,5000}b", "steps"),
        ("a*", "empty"),
        ("", "empty"),
        ("(", "no regular expression"),
        ("a{99999}", "repeats"),
        ("(a)?(?(1)b|c)", "back-references"),
        (r"(?=(?:\w+\s)+x)y", "repetition"),
    ],
)
def test_slow_patterns_are_refused(regex: str, reason: str) -> None:
    """Each refusal says what is wrong with it."""
    fault = pattern_fault(regex)
    assert fault is not None
    assert reason in fault


PIECES = st.sampled_from(
    [
        "a",
        "b",
        "[ab]",
        "(a|b)",
        "a{1,9}",
        "[ab]{2,}",
        "a+",
        "(?:ab){1,3}",
        "a?",
        r"\b",
        "(ab|a){2}",
        ".",
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_what_is_taken_is_fast(regex: str) -> None:
    """No pattern that passes takes long on the texts that are worst for it."""
    if pattern_fault(regex) is not None:
        return
    pattern = re.compile(regex)
    start = time.process_time()
    for text in ("a" * REDACTED_CHARS_MAX, "ab" * (REDACTED_CHARS_MAX // 2), "b" * 4000 + "a"):
        pattern.sub("", text)
    assert time.process_time() - start < 5
