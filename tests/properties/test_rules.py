# SPDX-License-Identifier: Apache-2.0
"""Rules for all inputs: a file is read or refused, and a doubt never opens."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels.rules import ACTIONS, Rules, Subject
from tallystick.channels.rules_file import read_rules
from tallystick.errors import RulesError

# fmt: off
LONG = "x" * 70
WORDS = st.sampled_from(
    ["a", "b*", "[a]", "[", "$.a", "$..b", "/a", "..", "block", "pass", "pause", "flag", "high",
     "low", "read", "09:00", "UTC", "mon", "(a+)+", "a{1,3}", LONG, "", "é", "\x00"]
)
KEYS = st.sampled_from(
    ["name", "action", "reason", "server", "tool", "method", "operation", "risk", "arguments",
     "time", "rate", "path", "glob", "regex", "within", "equals", "in", "above", "below",
     "exists", "from", "to", "days", "zone", "outside", "calls", "seconds", "tol", "x"]
)
# fmt: on
VALUES: Any = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
RULES = st.lists(
    st.fixed_dictionaries(
        {"name": WORDS, "action": WORDS},
        optional={
            "tool": WORDS | st.lists(WORDS, max_size=2),
            "server": WORDS,
            "operation": WORDS,
            "risk": WORDS,
            "arguments": st.lists(
                st.fixed_dictionaries(
                    {"path": WORDS},
                    optional={
                        "glob": WORDS,
                        "regex": WORDS,
                        "within": WORDS,
                        "equals": VALUES,
                        "above": st.integers(),
                        "exists": st.booleans(),
                    },
                ),
                max_size=2,
            ),
            "rate": st.fixed_dictionaries({"calls": st.integers(0, 3), "seconds": st.integers()}),
            "time": st.dictionaries(KEYS, WORDS, max_size=3),
            "x": VALUES,
        },
    )
    | VALUES,
    max_size=3,
)
ARGUMENTS = st.dictionaries(st.sampled_from(["a", "A", "b", " a"]), VALUES, max_size=3)


def subject(tool: str, arguments: Any) -> Subject:
    return Subject("s", "tools/call", tool, "read", "low", arguments)


@given(WORDS, RULES, ARGUMENTS, st.text(max_size=8))
def test_a_file_is_read_or_refused(
    default: str, rules: list[Any], arguments: dict[str, Any], tool: str
) -> None:
    """Whatever stands in it: rules that decide on every call, or one named refusal."""
    text = json.dumps({"version": 1, "default": default, "rules": rules})
    try:
        read = read_rules(text.encode())
    except RulesError:
        return
    for now_ns in (0, 1_795_262_400_000_000_000):
        assert read.judge(subject(tool, arguments), now_ns).action in ACTIONS


@given(st.binary(max_size=60) | st.text(alphabet="a-:[]{}&*!|>'\"#\n \t0.", max_size=60))
def test_any_bytes(text: bytes | str) -> None:
    """No file makes the reader stumble."""
    try:
        read_rules(text if isinstance(text, bytes) else text.encode())
    except RulesError:
        pass


def made(action: str, demand: dict[str, Any], default: str) -> Rules:
    rule = {"name": "r", "action": action, "arguments": [{"path": "$.a", **demand}]}
    return read_rules(json.dumps({"version": 1, "default": default, "rules": [rule]}).encode())


@given(
    ARGUMENTS,
    st.sampled_from(
        [
            {"glob": "a*"},
            {"regex": "a"},
            {"within": "/a"},
            {"equals": "a"},
            {"above": 3},
            {"in": [1, "a"]},
            {"exists": True},
        ]
    ),
)
def test_what_is_let_through_would_also_be_held_back(
    arguments: dict[str, Any], demand: dict[str, Any]
) -> None:
    """Whatever matches a rule that lets through matches the same rule that holds back."""
    one = subject("t", arguments)
    is_let = made("pass", demand, "block").judge(one, 0).action == "pass"
    is_held = made("block", demand, "pass").judge(one, 0).action == "block"
    assert is_held or not is_let
