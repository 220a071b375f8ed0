# SPDX-License-Identifier: Apache-2.0
"""What matches, for rules that hold back and for rules that let through."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tallystick.channels.json_path import TOO_MUCH, JsonPath
from tallystick.channels.rule_match import ArgumentTest, glob_test, readings_of, regex_test
from tallystick.errors import RulesError
from tallystick.limits import RULE_TEXT_CHARS_MAX, RULE_VALUES_MAX


def matches(value: Any, *, exact: bool, path: str = "$.v", **tests: Any) -> bool:
    return ArgumentTest(JsonPath(path), tests, exact=exact).matches({"v": value})


@pytest.mark.parametrize(
    ("glob", "text", "generous", "exact"),
    [
        ("delete_*", "delete_all", True, True),
        ("delete_*", "DELETE_all", True, False),
        ("a?c", "abc", True, True),
        ("[ab]x", "bx", True, True),
        ("[!ab]x", "bx", False, False),
        ("[a-c]x", "bx", True, True),
        ("a.c", "abc", False, False),
        ("*", "a\nb", True, True),
        ("[a^]x", "^x", True, True),
    ],
)
def test_globs(glob: str, text: str, generous: bool, exact: bool) -> None:
    """A glob is for the whole text; only a rule that lets through looks at the case."""
    assert glob_test(glob, exact=False)(text) is generous
    assert glob_test(glob, exact=True)(text) is exact


@pytest.mark.parametrize("glob", ["[a", "[]", "[!]", "[b-a]"])
def test_bad_globs(glob: str) -> None:
    """A glob that could never match is refused when it is read."""
    with pytest.raises(RulesError):
        glob_test(glob, exact=False)


def test_patterns() -> None:
    """A pattern is found anywhere; one that is slow, or matches everything, is refused."""
    assert regex_test(r"\brm\b")("sudo rm x")
    for pattern in ("(a+)+b", "", "(", ".*"):
        with pytest.raises(RulesError):
            regex_test(pattern)


@pytest.mark.parametrize(
    ("value", "tests", "generous", "exact"),
    [
        ("x", {"equals": "x"}, True, True),
        ("X", {"equals": "x"}, True, False),
        ("5", {"equals": 5}, True, False),
        (5, {"equals": 5}, True, True),
        (True, {"equals": 1}, True, False),
        (5.0, {"equals": 5}, True, False),
        ("5e0", {"equals": 5}, True, False),
        ("05", {"in": [5]}, True, False),
        ("0" * 99 + "5", {"equals": 5}, True, False),
        ("5." + "0" * 99, {"equals": 5}, True, False),
        ("0_5", {"equals": 5}, True, False),
        ("rm -r\0 ok", {"glob": "rm -r"}, True, False),
        ("5\0", {"equals": 5}, True, False),
        ("0x5", {"equals": 5}, True, False),
        ("\uff15", {"equals": 5}, True, False),
        ("0x" + "f" * 999, {"equals": 5}, False, False),
        (5, {"equals": "5"}, True, False),
        ("yes", {"equals": True}, True, False),
        (0.0, {"equals": False}, True, False),
        ("2", {"equals": True}, False, False),
        ({"/etc/x": "text"}, {"within": "/etc"}, True, False),
        (["a"] * 2000 + ["rm"], {"regex": "rm"}, True, False),
        ([["a"]] * RULE_VALUES_MAX, {"regex": "rm"}, True, False),
        ([["a"]] * RULE_VALUES_MAX, {"equals": "rm"}, True, False),
        ("a" * RULE_TEXT_CHARS_MAX, {"regex": "rm"}, False, False),
        (["x", "y"], {"equals": "y"}, True, False),
        ("b", {"in": ["a", "b"]}, True, True),
        (None, {"equals": None}, True, True),
        (5, {"above": 4}, True, True),
        (5, {"above": 5}, False, False),
        (5, {"below": 6, "above": 4}, True, True),
        ("5", {"above": 4}, True, False),
        (["rm", "-rf"], {"regex": "rm -rf"}, True, False),
        ({"deep": ["rm"]}, {"glob": "rm"}, True, False),
        ("x", {"exists": True}, True, True),
        ("x", {"exists": False}, False, False),
        ("a" * RULE_TEXT_CHARS_MAX + "b", {"regex": "rm"}, True, False),
    ],
)
def test_values(value: Any, tests: dict[str, Any], generous: bool, exact: bool) -> None:
    """A doubt holds back, and never lets through."""
    assert matches(value, exact=False, **tests) is generous
    assert matches(value, exact=True, **tests) is exact


def test_absent_values() -> None:
    """What is not there matches only where that is asked for."""
    test = ArgumentTest(JsonPath("$.w"), {"exists": False}, exact=True)
    assert test.matches({"v": 1})
    assert not matches(1, exact=False, path="$.w", glob="*")
    for exact, held in ((False, True), (True, False)):
        absent = ArgumentTest(JsonPath("$.dry"), {"exists": False}, exact=exact)
        assert absent.matches({" DRY": True}) is held


def test_several_values() -> None:
    """One of several is enough to hold back; to let through it takes all of them."""
    assert matches(["/etc/x", "/srv/x"], exact=False, path="$.v[*]", within="/etc")
    assert not matches(["/etc/x", "/srv/x"], exact=True, path="$.v[*]", within="/srv")
    assert matches(["/srv/y", "/srv/x"], exact=True, path="$.v[*]", within="/srv")
    twice = ArgumentTest(JsonPath("$.v"), {"equals": 1}, exact=True)
    assert not twice.matches({"v": 1, "V": 1})
    large = [[0]] * RULE_VALUES_MAX
    assert not ArgumentTest(JsonPath("$..x"), {"equals": 1}, exact=True).matches(large)
    assert ArgumentTest(JsonPath("$..x"), {"equals": 1}, exact=False).matches(large)


@pytest.mark.parametrize("name", ["a" * 9999 + "b" * 9999, "abc" * 9999])
def test_no_name_stalls_a_glob(name: str) -> None:
    """A text takes no longer for having been made to nearly match."""
    began = time.process_time()
    assert not glob_test("*a*b*c*a*d*e", exact=False)(name)
    assert glob_test("a*b*b*", exact=True)(name)
    assert time.process_time() - began < 0.5


def test_how_servers_read_arguments() -> None:
    """JSON in a text is read as what it says, too; what is too large is known to be there."""
    given = {"a": '{"danger": 1}', "b": ' ["/etc/x"]', "c": "[no json", "d": "5"}
    assert readings_of(given) == (given, {**given, "a": {"danger": 1}, "b": ["/etc/x"]})
    assert readings_of({"a": 1}) == ({"a": 1},)
    assert readings_of([1]) == ([1],)
    deep = readings_of({"a": "[" * (RULE_TEXT_CHARS_MAX // 2) + "]" * (RULE_TEXT_CHARS_MAX // 2)})
    assert deep[1]["a"] is TOO_MUCH
    assert readings_of({"a": f'[{"9" * 9999}, "x"]'})[1]["a"] == [float("inf"), "x"]
    large = readings_of({"a": "[" + "1," * RULE_TEXT_CHARS_MAX})
    assert large[1]["a"] is TOO_MUCH
    for path in ("$.a", "$.a.b", "$..b", "$.a[0]"):
        test = ArgumentTest(JsonPath(path), {"glob": "x"}, exact=False)
        assert test.matches(large[1])
