# SPDX-License-Identifier: Apache-2.0
"""Strict JSON in a tenth of the time, for what programs write.

A module of its own: the strict parser needs the standard library alone, and a hook has no more.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tallystick.crypto.strict import bound_structure, parse_json
from tallystick.errors import MalformedInput
from tallystick.limits import JSON_NUMBER_CHARS_MAX, JSON_VALUES_MAX

# Digits enough for an integer that a double may not hold, or that is too long; looked for where all
# digits are zeros.
_INEXACT = b"0" * 16
_TOO_LONG = b"0" * JSON_NUMBER_CHARS_MAX
_DIGITS_AS_ZEROS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))

_DECODE = msgspec.json.Decoder().decode
_ENCODE = msgspec.json.Encoder().encode


def parse_quickly(
    data: bytes, size_max: int, values_max: int = JSON_VALUES_MAX, *, exact_numbers: bool = True
) -> Any:
    """Return or raise what `parse_json` does, in a tenth of the time for what programs write.

    What parses and is written as the same bytes again holds no key twice, no second spelling of a
    number, and nothing that was put right in silence.
    """
    too_long = _INEXACT if exact_numbers else _TOO_LONG
    if len(data) <= size_max and too_long not in data.translate(_DIGITS_AS_ZEROS):
        try:
            bound_structure(data, values_max)
            value = _DECODE(data)
            if _ENCODE(value) == data:
                return value
        except (MalformedInput, msgspec.MsgspecError, RecursionError, UnicodeError):
            pass  # the strict parser says what is wrong
    return parse_json(data, size_max, values_max, exact_numbers=exact_numbers)
