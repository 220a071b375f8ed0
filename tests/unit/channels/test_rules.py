# SPDX-License-Identifier: Apache-2.0
"""What rules decide on a call."""

from __future__ import annotations

from datetime import UTC, datetime, time

from tests.inspections import NOON_NS

from tallystick.channels.rules import Decision, Hours, Rate, Rules, Subject
from tallystick.channels.rules_file import read_rules

SECOND_NS = 1_000_000_000


def rules(text: str, default: str = "pass") -> Rules:
    return read_rules(f"version: 1\ndefault: {default}\nrules:\n{text}".encode())


def subject(tool: str = "t", risk: str = "low", operation: str = "read") -> Subject:
    return Subject("s", "tools/call", tool, operation, risk, {})  # type: ignore[arg-type]


def test_the_most_restrictive_decides() -> None:
    """Whatever the order in the file."""
    text = "".join(
        f"  - {{name: {action}, action: {action}, tool: '{tool}'}}\n"
        for action, tool in (("pass", "*"), ("block", "b*"), ("flag", "*f"), ("pause", "*p*"))
    )
    read = rules(text)
    for tool, action in (("x", "pass"), ("xf", "flag"), ("xpf", "pause"), ("bpf", "block")):
        assert read.judge(subject(tool), NOON_NS).action == action
    assert read.may_pause
    assert not rules("  - {name: a, action: block}\n").may_pause


def test_the_default() -> None:
    """It holds where no rule matches, and is named where it holds something back."""
    assert Rules().judge(subject(), NOON_NS) == Decision("pass")
    ruling = rules("  - {name: a, action: pass, tool: x}\n", "block").judge(subject(), NOON_NS)
    assert (ruling.action, ruling.name) == ("block", "default")


def test_risk_and_operation() -> None:
    """Risk is a floor for what holds back, and a ceiling for what lets through."""
    block = rules("  - {name: a, action: block, risk: high}\n")
    assert block.judge(subject(risk="critical"), NOON_NS).action == "block"
    assert block.judge(subject(risk="medium"), NOON_NS).action == "pass"
    let = rules("  - {name: a, action: pass, risk: medium, operation: [read, write]}\n", "block")
    assert let.judge(subject(risk="low"), NOON_NS).action == "pass"
    assert let.judge(subject(risk="high"), NOON_NS).action == "block"
    assert let.judge(subject(operation="pay"), NOON_NS).action == "block"


def test_rates() -> None:
    """More than so many calls in so many seconds are held back; or so many are let through."""
    block = rules("  - {name: a, action: block, tool: t, rate: {calls: 2, seconds: 10}}\n")
    assert [
        block.judge(subject(), NOON_NS + at * SECOND_NS).action for at in (0, 1, 2, 9, 10, 11)
    ] == ["pass", "pass", "block", "block", "pass", "pass"]
    let = rules("  - {name: a, action: pass, rate: {calls: 1, seconds: 10}}\n", "block")
    assert [let.judge(subject(), NOON_NS + at * SECOND_NS).action for at in (0, 1, 10)] == [
        "pass",
        "block",
        "pass",
    ]
    rate = Rate(1, 5)
    assert [rate.is_over(0), rate.is_over(4.9), rate.is_over(5)] == [False, True, False]


def test_a_blocked_call_uses_up_no_allowance() -> None:
    """What another rule blocks is not counted by a rule that would let it through."""
    both = rules(
        "  - {name: a, action: pass, rate: {calls: 1, seconds: 10}}\n"
        "  - {name: b, action: block, tool: bad}\n",
        "block",
    )
    assert both.judge(subject("bad"), NOON_NS).action == "block"
    assert both.judge(subject("good"), NOON_NS).action == "pass"


def test_hours() -> None:
    """Days and hours in one time zone, also over midnight, also outside of them."""

    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 11, day, hour, tzinfo=UTC)  # the 16th is a Monday

    week = frozenset(range(5))
    office = Hours(days=week, begin=time(9), end=time(17), zone=UTC, outside=False)
    assert [office.holds(at(16, hour)) for hour in (8, 9, 16, 17)] == [False, True, True, False]
    assert not office.holds(at(21, 12))
    outside = Hours(days=week, begin=time(9), end=time(17), zone=UTC, outside=True)
    assert outside.holds(at(21, 12))
    night = Hours(days=frozenset({4}), begin=time(22), end=time(6), zone=UTC, outside=False)
    assert [night.holds(one) for one in (at(20, 23), at(21, 5), at(21, 6), at(20, 5))] == [
        True,
        True,
        False,
        False,
    ]
