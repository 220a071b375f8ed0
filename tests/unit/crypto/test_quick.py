# SPDX-License-Identifier: Apache-2.0
"""The quick parser is held to the strict one, on whatever `test_strict` tries and on more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tallystick.crypto.quick import parse_quickly
from tallystick.crypto.strict import parse_json
from tallystick.errors import MalformedInput
from tallystick.limits import JSON_DEPTH_MAX, RECEIPT_BYTES_MAX


def outcome(parser: Callable[..., Any], data: bytes, *, exact_numbers: bool) -> Any:
    """Return the value, or the fault."""
    try:
        return parser(data, RECEIPT_BYTES_MAX, exact_numbers=exact_numbers)
    except MalformedInput as fault:
        return fault.code, fault.message


def assert_quick_is_strict(data: bytes) -> None:
    """Both say the same, with exact numbers and without."""
    for exact in (False, True):
        quickly = outcome(parse_quickly, data, exact_numbers=exact)
        assert repr(quickly) == repr(outcome(parse_json, data, exact_numbers=exact))


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":[1,true,null,"x"],"b":{"c":1.5}}',
        b'{"a":1,"a":1}',
        b'{"a":9007199254740993}',
        b"[" + b"1" * 64 + b"]",
        b"[" + b"1" * 65 + b"]",
        b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1),
        b'"' + b"x" * RECEIPT_BYTES_MAX + b'"',
    ],
    ids=range(7),
)
def test_what_programs_write_is_read_alike(data: bytes) -> None:
    """Values are equal in kind and number, and refusals word by word."""
    assert_quick_is_strict(data)
