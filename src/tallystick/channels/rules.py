# SPDX-License-Identifier: Apache-2.0
"""Rules: what the proxy does with a call. Of all that match, the most restrictive decides.

The order in a file means nothing, so that no rule can hide another: block beats pause, pause beats
flag, flag beats pass. Where none matches, the file's default decides. Pure but for the counts of
rates, which the caller guards; time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, time, tzinfo
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec

from tallystick.channels.rule_match import ArgumentTest, TextTest, readings_of
from tallystick.model.taxonomy import RiskLevel, risk_at_least

Action = Literal["pass", "flag", "pause", "block"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
_RANK: Final = {action: rank for rank, action in enumerate(ACTIONS)}

DEFAULT: Final = "default"


class Subject(NamedTuple):
    """What rules look at: a call, as we understand it."""

    server: str
    method: str
    tool: str
    operation: str
    risk: RiskLevel
    arguments: Any


class Decision(NamedTuple):
    """What was decided on a call, by which rule, and why."""

    action: Action
    name: str | None = None
    reason: str | None = None


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """Days of the week and a time of day, in one time zone."""

    days: frozenset[int]
    begin: time
    end: time
    zone: tzinfo
    outside: bool

    def holds(self, now: datetime) -> bool:
        """Whether the rule is on at this moment."""
        local = now.astimezone(self.zone)
        at = local.time()
        if self.begin <= self.end:
            is_in = local.weekday() in self.days and self.begin <= at < self.end
        else:  # over midnight: the hours belong to the day on which they began
            began = local.weekday() if at >= self.begin else (local.weekday() - 1) % 7
            is_in = began in self.days and not self.end <= at < self.begin
        return is_in is not self.outside


class Rate:
    """Counts calls in the last seconds. `holds` is for rules that hold back: more than so many."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls = calls
        self._seconds = seconds
        self._times: deque[float] = deque(maxlen=calls)

    def is_over(self, now_s: float) -> bool:
        """Count one call, and tell whether it is one too many."""
        times = self._times
        is_full = len(times) == self._calls and now_s - times[0] < self._seconds
        if not is_full:
            times.append(now_s)
        return is_full


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: all that it asks must hold."""

    action: Action
    name: str
    reason: str | None = None
    servers: tuple[TextTest, ...] = ()
    methods: tuple[TextTest, ...] = ()
    tools: tuple[TextTest, ...] = ()
    operations: frozenset[str] = frozenset()
    risk: RiskLevel | None = None
    arguments: tuple[ArgumentTest, ...] = ()
    hours: Hours | None = None
    rate: Rate | None = None

    def matches(
        self, subject: Subject, readings: Sequence[Any], now: datetime, ticked_s: float
    ) -> bool:
        """Whether this rule speaks on the call. Its rate counts only what else would match.

        `readings` are the call's arguments as servers read them: one of them is enough to hold it
        back, and to let it through it takes all of them.
        """
        all_or_any = all if self.action == "pass" else any
        for tests, text in (
            (self.servers, subject.server),
            (self.methods, subject.method),
            (self.tools, subject.tool),
        ):
            if tests and not any(test(text) for test in tests):
                return False
        if self.operations and subject.operation not in self.operations:
            return False
        if self.risk is not None and not self._is_of_risk(subject.risk):
            return False
        if self.hours is not None and not self.hours.holds(now):
            return False
        for test in self.arguments:
            if not all_or_any(test.matches(one) for one in readings):
                return False
        return self.rate is None or self.rate.is_over(ticked_s) is not (self.action == "pass")

    def _is_of_risk(self, risk: RiskLevel) -> bool:
        """Whether the risk is the rule's: at least it, or for rules that let through at most."""
        assert self.risk is not None
        if self.action == "pass":
            return risk_at_least(self.risk, risk)
        return risk_at_least(risk, self.risk)


class Rules:
    """All rules of a file, and what holds where none matches."""

    def __init__(self, rules: Sequence[Rule] = (), default: Action = "pass") -> None:
        # From the most restrictive on, so that the first that matches decides.
        self.rules = tuple(sorted(rules, key=lambda one: -_RANK[one.action]))
        self.default: Action = default
        self._looks_at_arguments = any(one.arguments for one in rules)

    @property
    def may_pause(self) -> bool:
        """Whether there is a call that somebody would have to approve."""
        return self.default == "pause" or any(one.action == "pause" for one in self.rules)

    def judge(self, subject: Subject, now_ns: int, ticked_s: float | None = None) -> Decision:
        """Return what is to be done with a call.

        Rates count by `ticked_s`, a clock that nobody sets: one that was set back would hold calls
        up until it has caught up. Without it, by `now_ns`.
        """
        if not self.rules:
            return _BY_DEFAULT[self.default]
        now_s = now_ns / 1e9
        now = datetime.fromtimestamp(now_s, UTC)
        if ticked_s is None:
            ticked_s = now_s
        readings = readings_of(subject.arguments) if self._looks_at_arguments else ()
        best: Rule | None = None
        for rule in self.rules:
            # A rate that holds back counts each call; one that lets through, those that it lets.
            counts = rule.rate is not None and rule.action != "pass"
            if (best is None or counts) and rule.matches(subject, readings, now, ticked_s):
                best = best or rule
        if best is None:
            return _BY_DEFAULT[self.default]
        return Decision(best.action, best.name, best.reason)


# Without rules, nothing is said of rules: a receipt that names one was decided by one.
_BY_DEFAULT: Final[dict[Action, Decision]] = {
    "pass": Decision("pass"),
    "flag": Decision("flag", DEFAULT, "no rule matches"),
    "pause": Decision("pause", DEFAULT, "no rule matches"),
    "block": Decision("block", DEFAULT, "no rule lets it pass"),
}
