# SPDX-License-Identifier: Apache-2.0
"""Reads a rules file: YAML, strictly. Whatever is not understood stops the start.

A key that is misspelt, an action that does not exist, a pattern that can't match: each would make a
rule that silently does nothing. No anchors, no tags, no key twice; `on` and `09:00` are texts.
"""

from __future__ import annotations

import re
from datetime import UTC, time, tzinfo
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from tallystick.channels.json_path import JsonPath
from tallystick.channels.mcp_methods import ACTING, HOUSEKEEPING, OPERATIONS, TELLING, Operation
from tallystick.channels.rule_match import ArgumentTest, TextTest, glob_test
from tallystick.channels.rules import Action, Hours, Rate, Rule, Rules
from tallystick.errors import MissingExtraError, RulesError, how_to_install
from tallystick.limits import (
    RULE_PATTERNS_MAX,
    RULE_RATE_CALLS_MAX,
    RULE_RATE_SECONDS_MAX,
    RULE_REASON_CHARS_MAX,
    RULES_FILE_BYTES_MAX,
    RULES_FILE_DEPTH_MAX,
    RULES_MAX,
)
from tallystick.model.taxonomy import RiskLevel

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")

# What may stand where only some words may, by the name of the member.
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "action": get_args(Action),
    "default": get_args(Action),
    "operation": OPERATIONS,
    "risk": get_args(RiskLevel),
    "version": ("1",),
}

Globs = str | list[str]
_Scalar = str | int | float | bool | None


class _Time(msgspec.Struct, forbid_unknown_fields=True, rename={"begin": "from", "end": "to"}):
    begin: str = "00:00"
    end: str = "24:00"
    days: list[str] = msgspec.field(default_factory=lambda: list(_DAYS))
    zone: str = "UTC"
    outside: bool = False


class _Rate(msgspec.Struct, forbid_unknown_fields=True):
    calls: Annotated[int, Meta(ge=1, le=RULE_RATE_CALLS_MAX)]
    seconds: Annotated[float, Meta(gt=0, le=RULE_RATE_SECONDS_MAX)]


class _Argument(msgspec.Struct, forbid_unknown_fields=True, rename={"among": "in"}):
    path: str
    exists: bool | None = None
    equals: _Scalar | msgspec.UnsetType = msgspec.UNSET
    among: list[_Scalar] | None = None
    glob: str | None = None
    regex: str | None = None
    within: str | None = None
    above: int | float | None = None
    below: int | float | None = None


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    action: Action
    reason: str | None = None
    server: Globs | None = None
    method: Globs | None = None
    tool: Globs | None = None
    operation: Operation | list[Operation] | None = None
    risk: RiskLevel | None = None
    arguments: list[_Argument] | None = None
    time: _Time | None = None
    rate: _Rate | None = None


# Members that have members of their own.
_PARTS: Final[dict[str, type[Any]]] = {"arguments": _Argument, "time": _Time, "rate": _Rate}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: Literal[1]
    default: Action
    rules: list[dict[str, Any]] = msgspec.field(default_factory=list)


def read_rules(data: bytes) -> Rules:
    """Return the rules of a file, or raise `RulesError`."""
    if len(data) > RULES_FILE_BYTES_MAX:
        raise RulesError(f"{len(data)} bytes, over the limit of {RULES_FILE_BYTES_MAX}")
    content = _converted(parse_yaml(data), _File, "the file")
    if len(content.rules) > RULES_MAX:
        raise RulesError(f"{len(content.rules)} rules, over the limit of {RULES_MAX}")
    rules: list[Rule] = []
    for number, given in enumerate(content.rules, start=1):
        rule = _rule_of(given, f"rule {number}")
        if any(rule.name == other.name for other in rules):
            raise RulesError(f"rule {number}: there is another one of its name")
        rules.append(rule)
    return Rules(rules, content.default)


def parse_yaml(data: bytes) -> Any:
    """Return the value of a YAML document of plain lists, maps and scalars, or raise."""
    try:
        import yaml
    except ImportError:
        raise MissingExtraError(
            f"rules are YAML, and PyYAML is not installed; {how_to_install('mcp')}"
        ) from None
    try:
        text = data.decode("utf-8")
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        _refuse_anchors(text, yaml)
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as fault:
        told = " ".join(str(fault).split())[:RULE_REASON_CHARS_MAX]
        raise RulesError(f"this is no YAML: {told}") from None
    if node is None:
        raise RulesError("the file is empty")
    return _value_of(node, 0)


def _refuse_anchors(text: str, yaml: Any) -> None:
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        line = event.start_mark.line + 1
        if getattr(event, "anchor", None) is not None:
            raise RulesError(f"line {line}: anchors and aliases are not read")
        if getattr(event, "tag", None) is not None:
            raise RulesError(f"line {line}: tags are not read")


def _value_of(node: Any, depth: int) -> Any:
    """Return a node's value; scalars that are not quoted may be numbers, true, false or null."""
    line = node.start_mark.line + 1
    if depth > RULES_FILE_DEPTH_MAX:
        raise RulesError(f"line {line}: nested too deep")
    if node.id == "sequence":
        return [_value_of(one, depth + 1) for one in node.value]
    if node.id == "mapping":
        members: dict[str, Any] = {}
        for key, value in node.value:
            at = key.start_mark.line + 1
            if key.id != "scalar":
                raise RulesError(f"line {at}: a key is a text")
            if key.value in members:
                raise RulesError(f"line {at}: the key {key.value!r} comes twice")
            members[key.value] = _value_of(value, depth + 1)
        return members
    return _plain(node.value) if node.style is None else node.value


def _plain(text: str) -> Any:
    if text in ("", "null", "~"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
        return int(text)
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}", text):
        return float(text)
    return text


def _converted(value: Any, kind: type[Any], where: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise RulesError(f"{where}: {fault}{_wanted(str(fault), kind)}") from None


def _wanted(fault: str, kind: type[Any]) -> str:
    """Return what could stand where something is wrong, as far as it can be told."""
    place = fault.rpartition("`$.")[2].rstrip("`").partition("[")[0]
    if "unknown field" in fault:
        known: type[Any] = _PARTS.get(place, kind)
        return f"; known are {', '.join(known.__struct_encode_fields__)}"
    if "required field" in fault:
        place = fault.split("`")[1]
    words = _WORDS.get(place) if "enum value" in fault or "required field" in fault else None
    return "" if words is None else f"; wanted is {', '.join(words)}"


def _rule_of(given: dict[str, Any], where: str) -> Rule:
    for name, value in given.items():
        if value is None or value == []:
            raise RulesError(f"{where}: `{name}` is empty; leave it out, or say what is meant")
    told = _converted(given, _Rule, where)
    if not _NAME.fullmatch(told.name):
        raise RulesError(f"{where}: a name has up to 64 letters, digits, spaces and . _ -")
    where = f"{where} ({told.name})"
    if told.reason is not None and len(told.reason) > RULE_REASON_CHARS_MAX:
        raise RulesError(f"{where}: its reason has over {RULE_REASON_CHARS_MAX} characters")
    exact = told.action == "pass"
    operations = [told.operation] if isinstance(told.operation, str) else told.operation or []
    try:
        return Rule(
            action=told.action,
            name=told.name,
            reason=told.reason,
            servers=_globs(told.server, exact=exact),
            methods=_methods(told.method, exact=exact),
            tools=_globs(told.tool, exact=exact),
            operations=frozenset(operations),
            risk=told.risk,
            arguments=tuple(_argument(one, exact=exact) for one in told.arguments or []),
            hours=None if told.time is None else _hours(told.time),
            rate=None if told.rate is None else Rate(told.rate.calls, told.rate.seconds),
        )
    except RulesError as fault:
        raise RulesError(f"{where}: {fault}") from None


def _globs(given: Globs | None, *, exact: bool) -> tuple[TextTest, ...]:
    if given is None:
        return ()
    globs = [given] if isinstance(given, str) else given
    if not globs or len(globs) > RULE_PATTERNS_MAX or not all(globs):
        raise RulesError(f"wanted are 1 to {RULE_PATTERNS_MAX} globs, none of them empty")
    return tuple(glob_test(one, exact=exact) for one in globs)


def _methods(given: Globs | None, *, exact: bool) -> tuple[TextTest, ...]:
    """Return tests for methods; refuse one that could hold back only what asks no rule."""
    tests = _globs(given, exact=exact)
    for glob, test in zip([given] if isinstance(given, str) else given or [], tests, strict=True):
        if exact or any(map(test, ACTING)):
            continue
        always = sorted(filter(test, HOUSEKEEPING | TELLING))
        if always:
            raise RulesError(f"method {glob!r} holds nothing back: {always[0]} always passes")
    return tests


def _argument(told: _Argument, *, exact: bool) -> ArgumentTest:
    tests = {
        "exists": told.exists,
        "in": told.among,
        "glob": told.glob,
        "regex": told.regex,
        "within": told.within,
        "above": told.above,
        "below": told.below,
    }
    tests = {name: value for name, value in tests.items() if value is not None}
    if told.equals is not msgspec.UNSET:
        tests["equals"] = told.equals
    if not tests:
        raise RulesError(f"nothing is asked of {told.path}: exists, equals, in, glob, regex, …")
    if told.exists is False and len(tests) > 1:
        raise RulesError(f"{told.path} can't be absent and have a value")
    return ArgumentTest(JsonPath(told.path), tests, exact=exact)


def _hours(told: _Time) -> Hours:
    days = [day.lower() for day in told.days]
    if not days or not set(days) <= set(_DAYS):
        raise RulesError(f"days are {', '.join(_DAYS)}")
    if _time_of(told.begin) == _time_of(told.end):
        raise RulesError("from and to are the same time: no moment lies between them")
    return Hours(
        days=frozenset(_DAYS.index(day) for day in days),
        begin=_time_of(told.begin),
        end=_time_of(told.end),
        zone=_zone_of(told.zone),
        outside=told.outside,
    )


def _time_of(text: str) -> time:
    found = _TIME.fullmatch(text)
    if found is None:
        raise RulesError("a time of day is written as 09:00")
    return time.max if found[1] is None else time(int(found[1]), int(found[2]))


def _zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise RulesError(f"there is no time zone {name!r} here") from None
