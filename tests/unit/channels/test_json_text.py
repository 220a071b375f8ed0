# SPDX-License-Identifier: Apache-2.0
"""JSON is changed in place: what is not meant stays as it was, byte by byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.channels.json_text import JsonText
from tallystick.errors import ClientConfigError
from tallystick.limits import JSON_NUMBER_CHARS_MAX

LARGEST = 10 ** (JSON_NUMBER_CHARS_MAX - 2)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=5)


def test_a_number_that_is_too_long_is_refused() -> None:
    """No reader of ours would take it from the file again."""
    with pytest.raises(ClientConfigError, match="no strict JSON"):
        JsonText("{}").put(("a",), LARGEST * 1000)


@given(objects, st.text(max_size=4), values, st.sampled_from([None, 2, "\t"]))
def test_put_and_drop(
    before: dict[str, object], name: str, value: object, indent: int | str | None
) -> None:
    """A member that is set is there, one that is dropped is gone, and nothing else changes."""
    text = JsonText(json.dumps(before, indent=indent))
    text.put((name,), value)
    assert text.value == {**before, name: value}
    text.drop(name)
    assert text.value == {key: one for key, one in before.items() if key != name}


@given(st.lists(values, max_size=4), values, st.data())
def test_items(before: list[object], value: object, data: st.DataObject) -> None:
    """The same with the items of a list."""
    text = JsonText(json.dumps({"a": before}))
    text.put(("a", len(before)), value)
    assert text.value == {"a": [*before, value]}
    at = data.draw(st.integers(0, len(before)))
    text.drop("a", at)
    left = [*before, value]
    del left[at]
    assert text.value == {"a": left}


def test_nothing_else_is_touched() -> None:
    """Numbers, escapes and spacing of others stay as their author wrote them."""
    text = JsonText('{ "n":1e5,"u":"\\u00e9" ,\n\t"o" : {"k":1.0}, "b": 12345678901234567890 }\n')
    text.put(("o", "x"), "é")
    assert text.text == (
        '{ "n":1e5,"u":"\\u00e9" ,\n\t"o" : {"k":1.0,\n\t\t"x": "é"}, "b": 12345678901234567890 }\n'
    )
    text.drop("o", "x")
    text.drop("n")
    assert text.text == '{ "u":"\\u00e9" ,\n\t"o" : {"k":1.0}, "b": 12345678901234567890 }\n'


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{,}",
        '{"a":1,}',
        "{} x",
        "// no\n{}",
        "{'a':1}",
        "NaN",
        "+1",
        "01",
        '{"a":1,"a":2}',
        '{"a" 1}',
        "\ufeff{}",
        '{"a":"\n"}',
        "[" * 100 + "]" * 100,
        "tru",
        '{"a":1 "b":2}',
    ],
)
def test_what_is_no_strict_json_is_refused(text: str) -> None:
    """Comments, trailing commas, a key twice: nothing is changed that may be read in two ways."""
    with pytest.raises(ClientConfigError):
        JsonText(text)


def test_line_ends_are_those_of_the_file() -> None:
    """What is put into a file with CRLF has CRLF."""
    text = JsonText('{\r\n  "a": [\r\n    1\r\n  ]\r\n}\r\n')
    text.put(("a", 1), 2)
    text.put(("b",), {})
    assert text.text.count("\n") == text.text.count("\r\n") == 7
    assert text.value == {"a": [1, 2], "b": {}}


def test_a_parent_of_another_kind_is_refused() -> None:
    """A member can't be put into a list, a text or nothing."""
    for path in (("a", "b"), ("c", "b"), ("d", "b", "e")):
        with pytest.raises(ClientConfigError):
            JsonText('{"a":[],"c":"x"}').put(path, 1)


def test_what_is_not_there() -> None:
    """It is not found, and dropping it is nothing."""
    text = JsonText('{"a":[1]}')
    text.drop("b")
    text.drop("a", 7)
    assert text.find("a", 7) is None
    assert text.find("b", "c") is None
    assert text.text == '{"a":[1]}'
