# SPDX-License-Identifier: Apache-2.0
"""RFC 8785: one value, one sequence of bytes.

Two paths lead there. `is_plain` guards the fast one: values without floats, with integers that
every double holds, and with keys below U+D800 (where code point order is UTF-16 order) come out
of a sorting C encoder just as RFC 8785 wants them. All others go through `rfc8785`, slowly.
`tests/properties/test_canonical.py` holds the two against each other.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tallystick.errors import CanonicalError
from tallystick.limits import JSON_DEPTH_MAX, JSON_INTEGER_MAX

_ENCODE = msgspec.json.Encoder(order="sorted").encode


def is_plain(value: object, depth_max: int = JSON_DEPTH_MAX) -> bool:
    """Whether the fast path gives the RFC 8785 form of this value (lone surrogates aside)."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -JSON_INTEGER_MAX <= value <= JSON_INTEGER_MAX  # type: ignore[operator]  # an int
    if depth_max <= 0:
        return False
    if kind is dict:
        for key, member in value.items():  # type: ignore[attr-defined]  # a dict
            if type(key) is not str or not (key.isascii() or max(key) < "\ud800"):
                return False
            kind = type(member)
            if kind is not str and kind is not bool and not is_plain(member, depth_max - 1):
                return False
        return True
    if kind is list or kind is tuple:
        return all(is_plain(item, depth_max - 1) for item in value)  # type: ignore[attr-defined]
    return False


def canonicalize(value: object) -> bytes:
    """Return the RFC 8785 bytes of a JSON value; raise `CanonicalError` where there are none."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.to_builtins(value)
    try:
        if is_plain(value):
            return _ENCODE(value)
        return _canonicalize_slowly(value)
    except UnicodeEncodeError:
        raise CanonicalError("text holds half of a surrogate pair, which UTF-8 can't") from None


def _canonicalize_slowly(value: object) -> bytes:
    import rfc8785  # 20 ms: most receipts never come here

    try:
        return rfc8785.dumps(_portable(value, JSON_DEPTH_MAX))
    except rfc8785.CanonicalizationError as fault:
        raise CanonicalError(str(fault)) from None


def _portable(value: object, depth_left: int) -> Any:
    """Copy a JSON value with integers beyond 2^53-1 as doubles, where they are exact."""
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= JSON_INTEGER_MAX else _exact_double(value)
    if not isinstance(value, (dict, list, tuple)):
        raise CanonicalError(f"a {type(value).__name__} is no JSON value")
    if depth_left <= 0:
        raise CanonicalError(f"nested deeper than {JSON_DEPTH_MAX} levels")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise CanonicalError("an object key is not text")
        return {key: _portable(member, depth_left - 1) for key, member in value.items()}
    return [_portable(item, depth_left - 1) for item in value]


def _exact_double(value: int) -> float:
    try:
        double = float(value)
    except OverflowError:
        double = 0.0
    if int(double) != value:
        raise CanonicalError("an integer that no IEEE 754 double holds exactly")
    return double
