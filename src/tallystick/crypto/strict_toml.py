# SPDX-License-Identifier: Apache-2.0
"""TOML text into a value, within bounds: the one place that parses TOML.

The parser takes the square of the parts of a dotted key: 120 kB of `a.a.a…` would cost minutes, and
leave a value that is too deep to be compared or shown.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from tallystick.errors import LimitError, RefusedInput
from tallystick.limits import TOML_KEY_PARTS_MAX

# Texts without an end go as far as they could: each is looked at once.
_ONE_LINE: Final = r""""(?:[^"\\\n]|\\[^\n])*+"?|'[^'\n]*+'?"""
_PART: Final = rf"(?:[A-Za-z0-9_-]++|{_ONE_LINE})"
_DOT: Final = r"[ \t]*+\.[ \t]*+"
# Where a dot joins no keys is passed over: comments, and texts over several lines, which may end
# in five quotes.
_TOKENS: Final = re.compile(
    r"#[^\n]*+"
    r'|"""(?:[^"\\]|\\.|"(?!""))*+(?:"{3,5}|\\?\Z)'
    r"|'''(?:[^']|'(?!''))*+(?:'{3,5}|\Z)"
    rf"|{_PART}(?:{_DOT}{_PART}){{0,{TOML_KEY_PARTS_MAX - 1}}}+({_DOT}{_PART})?",
    re.DOTALL,
)


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text says, or raise `LimitError` or `RefusedInput`, which says why."""
    if text.count(".") >= TOML_KEY_PARTS_MAX and any(one[1] for one in _TOKENS.finditer(text)):
        raise LimitError(f"a key of more than {TOML_KEY_PARTS_MAX} parts")
    try:
        return tomllib.loads(text)
    except ValueError as fault:  # also of a number with too many digits
        raise RefusedInput(str(fault)) from None
    except RecursionError:
        raise LimitError("nested too deep") from None
