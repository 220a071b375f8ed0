# SPDX-License-Identifier: Apache-2.0
"""Strict JSON: one value comes out of sound bytes, and every fault has its own code."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.crypto.test_quick import assert_quick_is_strict

from tallystick.crypto import strict
from tallystick.crypto.strict import (
    bound_structure,
    may_hold_values_over,
    parse_json,
    refuse_surrogates,
)
from tallystick.errors import MalformedInput
from tallystick.limits import (
    JSON_DEPTH_MAX,
    JSON_NUMBER_CHARS_MAX,
    JSON_VALUES_MAX,
    RECEIPT_BYTES_MAX,
)


def parse(data: bytes | str) -> Any:
    """Return or raise what the strict parser does, having seen that the quick one does the same."""
    body = data if isinstance(data, bytes) else data.encode()
    assert_quick_is_strict(body)
    return parse_json(body, RECEIPT_BYTES_MAX)


def code_of(data: bytes | str) -> str:
    with pytest.raises(MalformedInput) as caught:
        parse(data)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" \t\r\n{} \n", {}),
        ('{"a":[1,true,false,null,"x"]}', {"a": [1, True, False, None, "x"]}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\U0001f600"', "\U0001f600"),
        ('"\\u0000"', "\0"),
        ("0.1", 0.1),
        ("0.10", 0.1),
        ("1E2", 100.0),
        ("1e-7", 1e-7),
        ("-0.0", -0.0),
        ("9007199254740991", 2**53 - 1),
        ("9007199254740992", 2.0**53),
        ("-9007199254740992", -(2.0**53)),
        ("1152921504606847000", 2.0**60),
        ("5e-324", 5e-324),
        ("1.7976931348623157e+308", 1.7976931348623157e308),
    ],
)
def test_sound_bytes(text: str, value: object) -> None:
    """Sound JSON gives its value, with integers as integers and other numbers as doubles."""
    parsed = parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_the_sign_of_zero_is_kept() -> None:
    """-0.0 stays negative; -0 is an integer, and those have one zero."""
    assert math.copysign(1, parse("-0.0")) == -1
    assert parse("-0") == 0
    assert type(parse("-0")) is int


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "MALFORMED_JSON"),
        (b"{", "MALFORMED_JSON"),
        (b'{"a":1,}', "MALFORMED_JSON"),
        (b"[1 2]", "MALFORMED_JSON"),
        (b"{'a':1}", "MALFORMED_JSON"),
        (b'{"a":01}', "MALFORMED_JSON"),
        (b'{"a":1.}', "MALFORMED_JSON"),
        (b'{"a":.5}', "MALFORMED_JSON"),
        (b"+1", "MALFORMED_JSON"),
        (b'"a\nb"', "MALFORMED_JSON"),
        (b'"\x00"', "MALFORMED_JSON"),
        (b'"\\x41"', "MALFORMED_JSON"),
        (b'"\\u12"', "MALFORMED_JSON"),
        (b'"open', "MALFORMED_JSON"),
        (b"nul", "MALFORMED_JSON"),
        (b"\x0b{}", "MALFORMED_JSON"),
        (b"/* a */ {}", "MALFORMED_JSON"),
        (b"{} {}", "MALFORMED_TRAILING_DATA"),
        (b"{}\n{}", "MALFORMED_TRAILING_DATA"),
        (b"1,", "MALFORMED_TRAILING_DATA"),
        (b"{}\x00", "MALFORMED_TRAILING_DATA"),
        (b"\xff", "MALFORMED_ENCODING"),
        (b'"\xc0\x80"', "MALFORMED_ENCODING"),
        (b'"\xed\xa0\x80"', "MALFORMED_ENCODING"),
        (b"\xef\xbb\xbf{}", "MALFORMED_ENCODING"),
        ('{"a":1}'.encode("utf-16"), "MALFORMED_ENCODING"),
        ('{"a":1}'.encode("utf-16-le"), "MALFORMED_JSON"),
        (b'{"a":1,"a":1}', "MALFORMED_DUPLICATE_KEY"),
        (b'{"a":1,"\\u0061":2}', "MALFORMED_DUPLICATE_KEY"),
        (b'[{"b":{"c":[{"a":1,"a":2}]}}]', "MALFORMED_DUPLICATE_KEY"),
        (b"NaN", "MALFORMED_NUMBER"),
        (b"[Infinity]", "MALFORMED_NUMBER"),
        (b'{"a":-Infinity}', "MALFORMED_NUMBER"),
        (b"1e400", "MALFORMED_NUMBER"),
        (b"-1e400", "MALFORMED_NUMBER"),
        (b"9007199254740993", "MALFORMED_NUMBER"),
        (b"1152921504606846976", "MALFORMED_NUMBER"),
        (b"0.1000000000000000055511151231257827", "MALFORMED_NUMBER"),
        (b"1e-400", "MALFORMED_NUMBER"),
        (b"1e-99999999999999999999", "MALFORMED_NUMBER"),
        (b"0e99999999999999999999", "MALFORMED_NUMBER"),
        (b'"\\ud800"', "MALFORMED_SURROGATE"),
        (b'["\\udc00\\ud800"]', "MALFORMED_SURROGATE"),
        (b'{"\\ud800":1}', "MALFORMED_SURROGATE"),
        (b'{"a":[{"b":"\\udfff"}]}', "MALFORMED_SURROGATE"),
    ],
)
def test_each_fault_has_its_code(data: bytes, code: str) -> None:
    """What is not one strict JSON value is refused, and by the code of its own fault."""
    assert code_of(data) == code


def test_size_at_the_limit() -> None:
    """A value of exactly the limit is read; one byte more is refused before it is looked at."""
    assert parse_json(b'"' + b"a" * 8 + b'"', 10) == "a" * 8
    with pytest.raises(MalformedInput, match="over the limit of 10") as caught:
        parse_json(b'"' + b"\xff" * 9 + b'"', 10)
    assert caught.value.code == "MALFORMED_SIZE"


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_at_the_limit(opening: str, closing: str) -> None:
    """So many levels are read, and one more is refused."""
    deepest = opening * (JSON_DEPTH_MAX - 1) + "[]" + closing * (JSON_DEPTH_MAX - 1)
    assert parse(deepest)
    assert code_of(opening + deepest + closing) == "MALFORMED_DEPTH"
    assert code_of(opening * 100_000) == "MALFORMED_DEPTH"
    # Where there are more brackets than levels, they are counted one by one.
    inner = opening * (JSON_DEPTH_MAX - 2) + "[]" + closing * (JSON_DEPTH_MAX - 2)
    assert parse(f"[[],{inner}]")
    assert code_of(f"[[],{deepest}]") == "MALFORMED_DEPTH"


def test_brackets_that_are_text_do_not_count() -> None:
    """Brackets inside strings, also behind escaped quotes, add no depth."""
    text = '"' + '[{\\"\\\\' * 200 + '"'
    assert parse(text) == '[{"\\' * 200
    assert parse("[" + ",".join(["[]"] * 500) + "]") == [[]] * 500


@pytest.mark.parametrize(("before", "after"), [("1", ""), ("-1", ""), ("0.", "1"), ("1.", "0")])
def test_numbers_at_the_limit(before: str, after: str) -> None:
    """A number of so many characters is looked at, and a longer one is refused as such."""
    zeros = "0" * (JSON_NUMBER_CHARS_MAX - len(before) - len(after))
    assert parse(before + zeros + after) == float(before + zeros + after)
    with pytest.raises(MalformedInput, match="over 64 characters") as caught:
        parse(before + zeros + "0" + after)
    assert caught.value.code == "MALFORMED_NUMBER"
    assert code_of("1" * 100_000) == "MALFORMED_NUMBER"


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" + b"[]," * 65 + b'"' + b'\\"' * 500_000,
        b"[" + b"[]," * 65 + b'"' + b"\\\\" * 250_000,
        b'{"' + b'\\"' * 500_000 + b'"' + b"[" * 100,
        b'"' * 1_000_000,
        b"[" + b"[]," * 340_000,
        b"[" + b'"",' * 340_000,
    ],
    ids=["quotes", "escapes", "closed", "bare", "arrays", "texts"],
)
def test_time_is_linear(hostile: bytes) -> None:
    """A megabyte that is made to be read again and again is refused in the time of one reading."""
    began = time.process_time()
    assert code_of(hostile).startswith("MALFORMED_")
    assert time.process_time() - began < 5  # it was hours; it is a tenth of a second


def test_a_duplicate_key_is_quoted_in_part() -> None:
    """The message names the key, and no more of it than fits on a line."""
    with pytest.raises(MalformedInput) as caught:
        parse('{"' + "k" * 500 + '":1,"' + "k" * 500 + '":1}')
    assert len(caught.value.message) < 120


def test_refuse_surrogates_looks_everywhere() -> None:
    """Sound values pass, and halves of pairs are found in keys, members and items."""
    refuse_surrogates({"a": ["b", {"\U0001f600": None}], "n": 1})
    for value in ("\ud800", ["\udc00"], {"\ud800": 1}, {"a": {"b": ["\udfff"]}}):
        with pytest.raises(MalformedInput):
            refuse_surrogates(value)


@pytest.mark.parametrize(
    ("item", "ends"),
    [("0.5", ""), ("[[]]", ""), ('{"a":0}', ""), ('"x"', ""), ('"\\""', '"]"')],
)
def test_values_at_the_limit(item: str, ends: str) -> None:
    """So many commas and brackets are read, and one more is refused without parsing."""
    each = 1 + item.count("[") + item.count("{")
    fitting = (300 - 1) // each  # the first has no comma, and the array has its bracket
    text = "[" + ",".join([item] * fitting) + "]"
    assert len(parse_json(text.encode(), 10_000, 300)) == fitting
    longer = "[" + ",".join([item] * (fitting + 1)) + ",0,0]"
    with pytest.raises(MalformedInput, match="more than 300 values") as caught:
        parse_json(longer.encode(), 10_000, 300)
    assert caught.value.code == "MALFORMED_SIZE"


def test_values_at_the_limit_are_counted_one_by_one() -> None:
    """Where commas in texts might be values, they are told apart, to the last one."""
    assert parse_json(b'["a,,,,",0]', 100, 2) == ["a,,,,", 0]
    with pytest.raises(MalformedInput, match="more than 2 values"):
        parse_json(b'["a,,,,",0,0]', 100, 2)


def test_commas_that_are_text_do_not_count() -> None:
    """A text may hold any number of commas and brackets."""
    text = '["' + ",[{" * 200_000 + '"]'
    assert may_hold_values_over(text.encode(), JSON_VALUES_MAX)
    assert parse(text) == [",[{" * 200_000]
    assert parse("[" + "0," * (JSON_VALUES_MAX - 1) + "0]")
    assert code_of("[" + "0," * JSON_VALUES_MAX + "0]") == "MALFORMED_SIZE"


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 12])
def test_the_quick_look_is_never_wrongly_no(count: int) -> None:
    """Whatever holds more values than the limit is noticed without parsing."""
    text = "[" + ",".join(["0"] * count) + "]"
    assert may_hold_values_over(text.encode(), 10) is (count > 10)
    bound_structure(text.encode(), 12)


def test_a_late_duplicate_is_found_in_linear_time() -> None:
    """The key that comes twice is found without comparing all with all."""
    began = time.process_time()
    members = ",".join(f'"{number}":0' for number in range(60_000))
    assert code_of("{" + members + ',"59999":0}') == "MALFORMED_DUPLICATE_KEY"
    assert time.process_time() - began < 5


def test_it_needs_the_standard_library_alone() -> None:
    """A hook runs without packages, and parses with this."""
    source = Path(strict.__file__).parents[2]
    program = f"import sys; sys.path.append({str(source)!r}); import tallystick.crypto.strict"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], check=False)
    assert done.returncode == 0
