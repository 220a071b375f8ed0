# SPDX-License-Identifier: Apache-2.0
"""Strict JSON: bytes to a value, or a refusal that names the fault.

What other parsers let pass, and two of them may read differently, is refused here: duplicate
keys at any depth, bytes after the value, NaN and infinities, numbers that a double would change,
halves of surrogate pairs, a byte order mark, and whatever is over the limits.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from tallystick.crypto.nesting import is_shallow
from tallystick.errors import MalformedInput
from tallystick.limits import (
    JSON_DEPTH_MAX,
    JSON_INTEGER_MAX,
    JSON_NUMBER_CHARS_MAX,
    JSON_VALUES_MAX,
)

# A whole string, a bracket, a comma: enough to count depth and values without parsing. Or a quote
# alone, where a string never ends: otherwise the rest would be searched again from each quote.
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
_BEGIN_VALUE = frozenset((b",", b"{", b"["))
_CLOSE = frozenset((b"}", b"]"))


def parse_json(
    data: bytes, size_max: int, values_max: int = JSON_VALUES_MAX, *, exact_numbers: bool = True
) -> Any:
    """Return the one JSON value in `data`, or raise `MalformedInput` with the fault's code.

    Without `exact_numbers`, whole numbers are read as they are and others as the nearest double.
    """
    if len(data) > size_max:
        raise MalformedInput("MALFORMED_SIZE", f"{len(data)} bytes, over the limit of {size_max}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise MalformedInput("MALFORMED_ENCODING", f"not UTF-8 at byte {fault.start}") from None
    if text.startswith("\ufeff"):
        raise MalformedInput("MALFORMED_ENCODING", "begins with a byte order mark")
    bound_structure(data, values_max)
    try:
        value = (_DECODER if exact_numbers else _LENIENT).decode(text)
    except json.JSONDecodeError as fault:
        place = f"line {fault.lineno} column {fault.colno}"
        if fault.msg == "Extra data":
            raise MalformedInput(
                "MALFORMED_TRAILING_DATA", f"something follows the value at {place}"
            ) from None
        raise MalformedInput("MALFORMED_JSON", f"not JSON: {fault.msg} at {place}") from None
    # Raw UTF-8 can't hold surrogates, so only an escape can have brought one in.
    if b"\\u" in data:
        refuse_surrogates(value)
    return value


def may_hold_values_over(data: bytes, values_max: int) -> bool:
    """Whether JSON bytes could hold more values than that: a quick look, never wrongly no."""
    return (
        len(data) > values_max
        and data.count(b",") + data.count(b"[") + data.count(b"{") > values_max
    )


def bound_structure(data: bytes, values_max: int) -> None:
    """Raise when JSON bytes are nested too deep or hold too many values; does not parse them."""
    if is_shallow(data) and not may_hold_values_over(data, values_max):
        return
    depth = values = 0
    for token in _TOKENS.finditer(data):
        mark = token.group()
        if mark in _BEGIN_VALUE:
            values += 1
            depth += mark != b","
            if depth > JSON_DEPTH_MAX:
                raise MalformedInput(
                    "MALFORMED_DEPTH", f"nested deeper than {JSON_DEPTH_MAX} levels"
                )
            if values > values_max:
                raise MalformedInput("MALFORMED_SIZE", f"more than {values_max} values")
        elif mark in _CLOSE:
            depth -= 1
        elif mark == b'"':
            return  # a string without an end: no JSON, which the parser will say


def refuse_surrogates(value: object) -> None:
    """Raise when any text in a JSON value holds half of a surrogate pair."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MalformedInput(
                "MALFORMED_SURROGATE", "text holds half of a surrogate pair"
            ) from None
    elif isinstance(value, dict):
        for key, member in value.items():
            refuse_surrogates(key)
            refuse_surrogates(member)
    elif isinstance(value, list):
        for item in value:
            refuse_surrogates(item)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key in counts if counts[key] > 1)
        raise MalformedInput("MALFORMED_DUPLICATE_KEY", f"key {twice[:80]!r} appears twice")
    return members


def _integer(literal: str) -> int | float:
    if len(literal) < 16:
        return int(literal)
    _bound(literal)
    value = int(literal)
    # Beyond 2^53-1 an integer is read as the double that it has to be.
    return value if abs(value) <= JSON_INTEGER_MAX else _float(literal)


def _float(literal: str) -> float:
    _bound(literal)
    value = float(literal)
    if repr(value) == literal:
        return value
    # Exact means: the shortest text of the double is the same number as the one that was sent.
    try:
        is_exact = math.isfinite(value) and Decimal(literal) == Decimal(repr(value))
    except InvalidOperation:  # an exponent that even Decimal can't hold
        is_exact = False
    if not is_exact:
        raise MalformedInput("MALFORMED_NUMBER", f"{literal} is not exact in a double")
    return value


def _bound(literal: str) -> None:
    if len(literal) > JSON_NUMBER_CHARS_MAX:
        raise MalformedInput(
            "MALFORMED_NUMBER", f"a number of over {JSON_NUMBER_CHARS_MAX} characters"
        )


def _long_integer(literal: str) -> int:
    if len(literal) >= 16:
        _bound(literal)
    return int(literal)


def _nearest(literal: str) -> float:
    _bound(literal)
    value = float(literal)
    if not math.isfinite(value):
        raise MalformedInput("MALFORMED_NUMBER", f"{literal} is over what a double holds")
    return value


def _constant(name: str) -> NoReturn:
    raise MalformedInput("MALFORMED_NUMBER", f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
_LENIENT = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_long_integer,
    parse_float=_nearest,
    parse_constant=_constant,
)
