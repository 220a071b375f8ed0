# SPDX-License-Identifier: Apache-2.0
"""JSON paths, as rules name arguments by them: `$.path`, `$['a b']`, `$.list[0]`, `$.*`, `$..url`.

Two ways to look: generous for rules that hold something back (keys in any case, the answer "too
much to look at" counts as found), exact for rules that let something through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tallystick.channels.jsonrpc import folded
from tallystick.errors import RulesError
from tallystick.limits import RULE_PATH_STEPS_MAX, RULE_VALUES_MAX

_STEP: Final = re.compile(
    r"(?P<deep>\.\.)?(?:(?(deep)|\.)(?P<name>[A-Za-z_][A-Za-z0-9_-]*|\*)"
    r"|\[(?:(?P<index>[0-9]{1,6})|'(?P<quoted>[^'\\]*)'|\"(?P<double>[^\"\\]*)\"|(?P<all>\*))\])"
)


# Stands for a value that is there, and too large to be looked at.
TOO_MUCH: Final = object()


class _Step(NamedTuple):
    key: str | int | None  # None: each of them
    is_deep: bool


class Found(NamedTuple):
    """What stands at a path; `is_whole` is False where there was too much to look at."""

    values: list[Any]
    is_whole: bool
    has_variants: bool


class JsonPath:
    """One path, parsed once."""

    def __init__(self, text: str) -> None:
        """Parse it, or raise `RulesError`."""
        if not text.startswith("$"):
            raise RulesError("a path begins with $, as in $.path")
        steps: list[_Step] = []
        at = 1
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None or len(steps) >= RULE_PATH_STEPS_MAX:
                raise RulesError(f"no path that we know, from character {at + 1} on")
            steps.append(_step_of(found))
            at = found.end()
        self.text = text
        self._steps = tuple(steps)

    def find(self, value: object) -> Found:
        """Return the values at this path."""
        budget = [RULE_VALUES_MAX]
        variants = [False]
        values: list[Any] = [value]
        for step in self._steps:
            values = [
                inner
                for one in values
                for place in (_within(one, budget) if step.is_deep else (one,))
                for inner in _children(place, step.key, budget, variants)
            ]
            if budget[0] < 0:
                return Found(values, False, variants[0])
        return Found(values, True, variants[0])


def _step_of(found: re.Match[str]) -> _Step:
    is_deep = found["deep"] is not None
    if found["all"] is not None or found["name"] == "*":
        return _Step(None, is_deep)
    if found["index"] is not None:
        return _Step(int(found["index"]), is_deep)
    for name in ("name", "quoted", "double"):
        if found[name] is not None:
            return _Step(found[name], is_deep)
    raise RulesError("no path that we know")


def _within(value: object, budget: list[int]) -> Iterator[Any]:
    """Yield a value and all that is in it."""
    waiting = [value]
    while waiting and budget[0] >= 0:
        one = waiting.pop()
        budget[0] -= 1
        yield one
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif one is TOO_MUCH:
            budget[0] = -1


def _children(
    value: Any, key: str | int | None, budget: list[int], variants: list[bool]
) -> Iterator[Any]:
    if isinstance(value, dict):
        if key is None:
            budget[0] -= len(value)
            yield from value.values()
        elif isinstance(key, str):
            budget[0] -= 1
            if key in value:
                yield value[key]
            wanted = key.casefold()
            for name, inner in value.items():
                if name != key and folded(name) == wanted:
                    variants[0] = True  # some servers take it for the one that is meant
                    yield inner
    elif isinstance(value, list):
        if key is None:
            budget[0] -= len(value)
            yield from value
        elif isinstance(key, int) and key < len(value):
            yield value[key]
    elif value is TOO_MUCH:
        budget[0] = -1
