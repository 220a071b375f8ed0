# SPDX-License-Identifier: Apache-2.0
"""One value, one sequence of bytes: ours and another implementation's, fast and slow."""

from __future__ import annotations

import json
import math
from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from tests.properties.receipts import JSON, TEXTS

from tallystick.crypto.canonical import _canonicalize_slowly, canonicalize, is_plain
from tallystick.crypto.strict import parse_json
from tallystick.limits import RECEIPT_BYTES_MAX


@given(JSON)
def test_our_form_is_that_of_the_rfc(value: Any) -> None:
    """Any JSON value has the bytes that the reference package for RFC 8785 gives it."""
    assert canonicalize(value) == rfc8785.dumps(value)


@given(JSON)
def test_both_paths_lead_to_one_form(value: Any) -> None:
    """What the fast path takes, the slow one would have given the same bytes."""
    if is_plain(value):
        assert canonicalize(value) == _canonicalize_slowly(value)


@given(st.dictionaries(TEXTS, TEXTS, max_size=8), st.lists(TEXTS, max_size=4))
def test_members_are_sorted_alike(members: dict[str, str], texts: list[str]) -> None:
    """Keys of any alphabet are in the RFC's order, whatever the order in which they came."""
    backwards = {name: members[name] for name in reversed(members)}
    assert canonicalize(members) == canonicalize(backwards) == rfc8785.dumps(members)
    assert canonicalize([texts, members]) == rfc8785.dumps([texts, members])


@given(JSON)
def test_the_form_reads_back(value: Any) -> None:
    """Parsed strictly and written again, canonical bytes do not change."""
    form = canonicalize(value)
    parsed = parse_json(form, RECEIPT_BYTES_MAX)
    assert canonicalize(parsed) == form
    assert parsed == value


@given(JSON, st.sampled_from([None, 0, 1]), st.booleans())
def test_strict_parsing_agrees_with_json(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Sound JSON in any spelling means to us what it means to the standard library."""
    data = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    assert parse_json(data, RECEIPT_BYTES_MAX) == json.loads(data)
    assert canonicalize(parse_json(data, RECEIPT_BYTES_MAX)) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_survives(number: float) -> None:
    """Each double is spelled so that it reads back as itself."""
    back = parse_json(canonicalize([number]), RECEIPT_BYTES_MAX)[0]
    assert back == number
    assert math.isfinite(back)


@given(st.integers(-(2**70), 2**70))
def test_every_integer_is_exact_or_refused(number: int) -> None:
    """An integer that a double changes has no form; others have the double's."""
    try:
        form = canonicalize(number)
    except ValueError:
        assert int(float(number)) != number
    else:
        assert float(form) == number
