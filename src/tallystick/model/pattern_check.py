# SPDX-License-Identifier: Apache-2.0
"""Says before it is used whether a regular expression can be slow.

A search that fails goes back over every choice that it made. Here choices do not multiply: no
repetition within a repetition, no back-references, and the choices at one place stay below
`PATTERN_STEPS_MAX`. A repetition at the very end is free, since nothing behind it can fail.
"""

from __future__ import annotations

import re
from re import _constants as codes  # type: ignore[attr-defined]  # not in the stubs
from re import _parser as parser  # type: ignore[attr-defined]  # not in the stubs
from typing import Any, Final

from tallystick.limits import PATTERN_STEPS_MAX

_REPEATS: Final = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
_SINGLE: Final = (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN, codes.AT)
_GROUPS: Final = {codes.SUBPATTERN: 3, codes.ATOMIC_GROUP: None}
# A fixed repetition is copied this often at most when it is counted.
_FIXED_MAX: Final = 4096


class _TooSlow(Exception):
    pass


def pattern_fault(regex: str) -> str | None:
    """Return why a pattern can't be used, or None: it is fast on every text."""
    try:
        if re.compile(regex).fullmatch("") or re.compile(regex).search("") is not None:
            return "it matches the empty text"
        tree = parser.parse(regex)
    except (re.error, OverflowError, RecursionError) as fault:
        return f"it is no regular expression: {fault}"
    try:
        steps = _steps(list(tree), is_last=True, within=False)
    except _TooSlow as fault:
        return str(fault)
    if steps > PATTERN_STEPS_MAX:
        return f"it may take {steps} steps at one place, over the limit of {PATTERN_STEPS_MAX}"
    return None


def _steps(items: list[Any], *, is_last: bool, within: bool) -> int:
    """Return how many ways there are through a sequence before it can fail."""
    total = 1
    for at, (code, value) in enumerate(items):
        ends = is_last and at == len(items) - 1
        total *= _item_steps(code, value, is_last=ends, within=within)
        if total > PATTERN_STEPS_MAX**2:
            raise _TooSlow("its choices multiply: use fewer or shorter repetitions")
    return total


def _item_steps(code: Any, value: Any, *, is_last: bool, within: bool) -> int:
    if code in _SINGLE:
        return 1
    if code in _REPEATS:
        return _repeat_steps(value, is_last=is_last, within=within)
    if code in _GROUPS:
        inner = value if _GROUPS[code] is None else value[3]
        return _steps(list(inner), is_last=is_last, within=within)
    if code is codes.BRANCH:
        return sum(_steps(list(one), is_last=is_last, within=within) for one in value[1])
    if code in (codes.ASSERT, codes.ASSERT_NOT):
        return _steps(list(value[1]), is_last=False, within=within)
    raise _TooSlow("it uses back-references or conditions")


def _repeat_steps(value: Any, *, is_last: bool, within: bool) -> int:
    least, most, inner = value
    items = list(inner)
    if least == most:
        if least > _FIXED_MAX:
            raise _TooSlow(f"it repeats something {least} times")
        steps = _steps(items, is_last=False, within=within)
        return 1 if steps == 1 else _power(steps, int(least))
    if within and most != 1:
        raise _TooSlow("it has a repetition within a repetition")
    steps = _steps(items, is_last=False, within=within or most != 1)
    if is_last and steps == 1 and least <= PATTERN_STEPS_MAX:
        return max(1, int(least))
    if most is codes.MAXREPEAT:
        raise _TooSlow("it has `*`, `+` or `{n,}` before its end: say how often, as in {1,40}")
    if steps > 1 and most > 1:  # choices within a repetition multiply each time round
        return _power(steps, int(most))
    return int(most - least + 1) * steps


def _power(steps: int, times: int) -> int:
    return int(min(steps ** min(times, 64), PATTERN_STEPS_MAX**3))
