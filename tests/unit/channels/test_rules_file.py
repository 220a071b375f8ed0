# SPDX-License-Identifier: Apache-2.0
"""A rules file is read strictly: what is not understood stops the start."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from tallystick.channels.rules_file import parse_yaml, read_rules
from tallystick.errors import RulesError
from tallystick.limits import (
    RULE_PATTERNS_MAX,
    RULE_RATE_CALLS_MAX,
    RULE_RATE_SECONDS_MAX,
    RULE_REASON_CHARS_MAX,
    RULES_FILE_BYTES_MAX,
    RULES_FILE_DEPTH_MAX,
    RULES_MAX,
)

HEAD = "version: 1\ndefault: pass\nrules:\n"


def one(text: str) -> None:
    read_rules(f"{HEAD}  - {{name: a, action: block, {text}}}\n".encode())


def test_everything_at_once() -> None:
    """Each key is taken."""
    read = read_rules(
        (
            HEAD
            + """
  - name: all of it
    action: pause
    reason: "because"
    server: [git*, hub]
    method: tools/*
    tool: push
    operation: write
    risk: medium
    arguments:
      - {path: $.a, exists: true, equals: null, in: [1, 1.5, true, x], glob: "*"}
      - {path: $.b, regex: "a{1,3}b", within: /srv, above: 1, below: 2.5}
    time: {from: 09:00, to: "24:00", days: [Mon, tue], zone: Europe/Berlin, outside: true}
    rate: {calls: 3, seconds: 1.5}
"""
        ).encode()
    )
    (rule,) = read.rules
    assert rule.hours is not None
    assert rule.hours.zone == ZoneInfo("Europe/Berlin")
    assert read.default == "pass"


@pytest.mark.parametrize(
    "text",
    [
        "tol: x",
        "enabled: false",
        "tool: '[a'",
        "tool: ",
        "tool: []",
        "tool: [a, '']",
        "tool: 5",
        "risk: grave",
        "operation: destroy",
        "operation: []",
        "arguments: []",
        "arguments: [{path: a, glob: x}]",
        "arguments: [{path: $.a}]",
        "arguments: [{path: $.a, globs: x}]",
        "arguments: [{path: $.a, regex: '(a*)*'}]",
        "arguments: [{path: $.a, within: srv}]",
        "arguments: [{path: $.a, exists: false, glob: x}]",
        "arguments: [{path: $.a, above: many}]",
        "time: {days: []}",
        "time: {days: [someday]}",
        "time: {from: '9:00'}",
        "time: {from: 09:00, to: 09:00}",
        "time: {zone: Nowhere/Here}",
        "time: {zone: ../../etc/passwd}",
        "rate: {calls: 0, seconds: 1}",
        f"rate: {{calls: {RULE_RATE_CALLS_MAX + 1}, seconds: 1}}",
        f"rate: {{calls: 1, seconds: {RULE_RATE_SECONDS_MAX + 1}}}",
        "rate: {calls: 1}",
        "method: completion/complete",
        "method: [tools/call, PING]",
        "method: 'completion/*'",
        "action: block",
        "reason: " + "x" * (RULE_REASON_CHARS_MAX + 1),
        "tool: [" + "a," * RULE_PATTERNS_MAX + "a]",
    ],
)
def test_what_stops_the_start(text: str) -> None:
    """A key that is misspelt, a value that is none, a pattern that can't be used."""
    with pytest.raises(RulesError):
        one(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "version: 1\n",
        "version: 2\ndefault: pass\n",
        "version: 1\ndefault: deny\n",
        "version: 1\ndefault: pass\nrule: []\n",
        HEAD + "  - {name: a}\n",
        HEAD + "  - {name: a, action: deny}\n",
        HEAD + "  - {name: '../x', action: block}\n",
        HEAD + "  - {name: a, action: block}\n  - {name: a, action: pass}\n",
        "version: 1\nversion: 1\ndefault: pass\n",
        "version: 1\ndefault: &a pass\n",
        "version: 1\ndefault: !!str pass\n",
        "version: 1\ndefault: pass\n? [a]\n: b\n",
        "a: [",
        HEAD + "  - {name: a0, action: block}\n" * (RULES_MAX + 1),
        "a: " + "[" * (RULES_FILE_DEPTH_MAX + 1) + "]" * (RULES_FILE_DEPTH_MAX + 1),
        "#" * (RULES_FILE_BYTES_MAX + 1),
        "version: 1\ndefault: pass\n--- \nversion: 1\n",
    ],
)
def test_what_is_no_rules_file(text: str) -> None:
    """Refused whole, with a reason."""
    with pytest.raises(RulesError):
        read_rules(text.encode())


def test_methods_that_no_rule_is_asked_of() -> None:
    """Letting them through is no harm, and a glob that means calls, too, is none."""
    for text in ("pass, method: initialize", "block, method: 'tasks/*'", "block, method: made/up"):
        read_rules(f"{HEAD}  - {{name: a, action: {text}}}\n".encode())
    with pytest.raises(RulesError, match="completion/complete always passes"):
        read_rules(f"{HEAD}  - {{name: a, action: flag, method: 'comp*'}}\n".encode())


def test_scalars() -> None:
    """Only plain numbers, true, false and null are more than texts."""
    text = b"a: 09:00\nb: yes\nc: 1_000\nd: 0x10\ne: true\nf: 1.5\ng: '1'\nh: null\ni: -3\nj: 012"
    assert parse_yaml(text) == {
        "a": "09:00",
        "b": "yes",
        "c": "1_000",
        "d": "0x10",
        "e": True,
        "f": 1.5,
        "g": "1",
        "h": None,
        "i": -3,
        "j": "012",
    }
    with pytest.raises(RulesError):
        parse_yaml(b"\xff")
    assert UTC is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: 1\ndefault: allow\n", "wanted is pass, flag, pause, block"),
        ("version: 1\n", "wanted is pass, flag, pause, block"),
        ("version: 2\ndefault: pass\n", "wanted is 1"),
        ("version: 1\ndefault: pass\nrule: []\n", "known are version, default, rules"),
        (HEAD + "  - {name: a, action: deny}\n", "wanted is pass, flag, pause, block"),
        (HEAD + "  - {name: a, action: block, operation: remove}\n", "wanted is read, write, "),
        (HEAD + "  - {name: a, action: block, operation: [send, bo]}\n", "wanted is read, "),
        (HEAD + "  - {name: a, action: block, risk: grave}\n", "wanted is low, medium, high, "),
        (HEAD + "  - {name: a, action: block, tools: x}\n", "known are name, action, reason, "),
        (HEAD + "  - {name: a, action: block, time: {form: x}}\n", "known are from, to, days, "),
        (HEAD + "  - {name: a, action: block, rate: {call: 1}}\n", "known are calls, seconds"),
        (
            HEAD + "  - {name: a, action: block, arguments: [{path: $.a, is: x}]}\n",
            "known are path, exists, equals, in, glob, ",
        ),
    ],
)
def test_what_is_wanted_is_said(text: str, told: str) -> None:
    """Who misspelt a word reads which words there are."""
    with pytest.raises(RulesError, match=told):
        read_rules(text.encode())
