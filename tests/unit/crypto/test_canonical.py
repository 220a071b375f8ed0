# SPDX-License-Identifier: Apache-2.0
"""The RFC 8785 form: which values take the fast path, and what has no such form."""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import pytest

from tallystick.crypto.canonical import canonicalize, is_plain
from tallystick.errors import CanonicalError
from tallystick.limits import JSON_DEPTH_MAX, JSON_INTEGER_MAX
from tallystick.model.chain import Head, Link


def nest(depth: int, innermost: object) -> Any:
    """Return a value inside that many objects and arrays, in turn."""
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        ("", b'""'),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()),
        ("\x00\b\t\n\f\r\x1f\x7f", b'"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f"'),
        ("\u2028\u2029", '"\u2028\u2029"'.encode()),
        (0, b"0"),
        (-0.0, b"0"),
        (1.0, b"1"),
        (JSON_INTEGER_MAX, b"9007199254740991"),
        (-JSON_INTEGER_MAX, b"-9007199254740991"),
        (2**53, b"9007199254740992"),
        (2**60, b"1152921504606847000"),
        (2**200, b"1.6069380442589903e+60"),
        (333333333.33333329, b"333333333.3333333"),
        (1e30, b"1e+30"),
        (4.50, b"4.5"),
        (2e-3, b"0.002"),
        (0.000000000000000000000000001, b"1e-27"),
        (5e-324, b"5e-324"),
        (1e21, b"1e+21"),
        (1e20, b"100000000000000000000"),
        ([], b"[]"),
        ({}, b"{}"),
        ((1, (2,)), b"[1,[2]]"),
        ({"b": 1, "a": [None, {"d": "x", "c": 2}]}, b'{"a":[null,{"c":2,"d":"x"}],"b":1}'),
        ({"b": 0.5, "a": (1,)}, b'{"a":[1],"b":0.5}'),
        (OrderedDict(b=1, a=2), b'{"a":2,"b":1}'),
    ],
)
def test_known_forms(value: object, form: bytes) -> None:
    """Each value has the bytes that RFC 8785 gives it."""
    assert canonicalize(value) == form


def test_keys_are_sorted_as_utf16() -> None:
    """A key beyond U+FFFF sorts by its surrogates: before U+FB33, as in the RFC's own example."""
    keys = ["\r", "1", "\x80", "ö", "\u20ac", "\U0001f600", "\ufb33"]
    form = canonicalize(dict.fromkeys(sorted(keys)))
    assert list(json.loads(form)) == keys


def test_typed_values_have_the_form_of_their_members() -> None:
    """A struct is canonicalised as the object that it stands for."""
    link = Link(chain_id="c", previous_receipt_hash=None, sequence=1)
    assert canonicalize(link) == b'{"chain_id":"c","previous_receipt_hash":null,"sequence":1}'
    assert canonicalize(Head(chain_id="c")) == b'{"chain_id":"c","hash":null,"sequence":0}'


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, True),
        (True, True),
        ("\U0001f600", True),
        (JSON_INTEGER_MAX, True),
        (JSON_INTEGER_MAX + 1, False),
        (-JSON_INTEGER_MAX, True),
        (-JSON_INTEGER_MAX - 1, False),
        (1.0, False),
        ({"\ud7ff": 1}, True),
        ({"\ue000": 1}, False),
        ({"\U0001f600": 1}, False),
        ({"": 1}, True),
        ({1: 1}, False),
        ({"a": {"\ue000": "x"}}, False),
        ([[1.5]], False),
        ((1, [2, {"a": ()}]), True),
        (OrderedDict(a=1), False),
        (b"a", False),
        (datetime(2026, 1, 1, tzinfo=UTC), False),
    ],
)
def test_which_values_are_plain(value: object, plain: bool) -> None:
    """Floats, large integers, keys from U+D800 on and foreign kinds take the slow path."""
    assert is_plain(value) is plain


@pytest.mark.parametrize("innermost", [[], {}, [1.5]], ids=str)
def test_depth_at_the_limit(innermost: object) -> None:
    """The deepest value that is allowed has a form on either path, and one level more has none."""
    assert canonicalize(nest(JSON_DEPTH_MAX - 1, innermost))
    with pytest.raises(CanonicalError, match="deeper than 64"):
        canonicalize(nest(JSON_DEPTH_MAX, innermost))


@pytest.mark.parametrize("innermost", [1, "x", None])
def test_scalars_add_no_depth(innermost: object) -> None:
    """Depth counts arrays and objects, not what is in them."""
    assert is_plain(nest(JSON_DEPTH_MAX, innermost))
    assert not is_plain(nest(JSON_DEPTH_MAX + 1, innermost))


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        -(2**53) - 1,
        2**200 + 1,
        10**400,
        float("nan"),
        float("inf"),
        float("-inf"),
        "\ud800",
        {"\udfff": 1},
        ["a", {"b": "\udc00"}],
        [0.5, "\ud83d"],
        b"bytes",
        {1: "a"},
        {"a": {None: 1}},
        {"a", "b"},
        object(),
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_without_a_form(value: object) -> None:
    """What RFC 8785 gives no bytes is refused by one error, never by another kind."""
    with pytest.raises(CanonicalError):
        canonicalize(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    """A circle ends at the depth limit."""
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(CanonicalError, match="deeper"):
        canonicalize(circle)
