# SPDX-License-Identifier: Apache-2.0
"""What matches, for rules that hold back and for rules that let through."""

from __future__ import annotations

from typing import Any

import pytest

from tallystick.channels.json_path import JsonPath
from tallystick.channels.rule_match import ArgumentTest, glob_test, regex_test, within_test
from tallystick.errors import RulesError
from tallystick.limits import RULE_TEXT_CHARS_MAX


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


@pytest.mark.parametrize("glob", ["[a", "[]", "[!]", "*a*b*c*d*e", "[b-a]"])
def test_bad_globs(glob: str) -> None:
    """A glob that could never match, or takes too long, is refused when it is read."""
    with pytest.raises(RulesError):
        glob_test(glob, exact=False)


def test_patterns() -> None:
    """A pattern is found anywhere; one that is slow, or matches everything, is refused."""
    assert regex_test(r"\brm\b")("sudo rm x")
    for pattern in ("(a+)+b", "", "(", ".*"):
        with pytest.raises(RulesError):
            regex_test(pattern)


@pytest.mark.parametrize(
    ("text", "generous", "exact"),
    [
        ("/etc/passwd", True, True),
        ("/etc", True, True),
        ("/etcetera", False, False),
        ("//etc//passwd", True, True),
        ("/srv/../etc/x", True, False),
        ("file:///etc/x", True, True),
        ("/%65tc/x", True, False),
        ("../../etc/x", True, False),
        ("~/x", True, False),
        ("notes.txt", False, False),
        ("/ETC/x", True, True),
        (" /etc/x", True, False),
        ("\\etc\\x", False, False),
    ],
)
def test_folders(text: str, generous: bool, exact: bool) -> None:
    """A path is within a folder also where it is written in another way."""
    assert within_test("/etc/", exact=False)(text) is generous
    assert within_test("/etc/", exact=True)(text) is exact
    with pytest.raises(RulesError):
        within_test("etc", exact=False)


@pytest.mark.parametrize(
    ("value", "tests", "generous", "exact"),
    [
        ("x", {"equals": "x"}, True, True),
        ("X", {"equals": "x"}, True, False),
        ("5", {"equals": 5}, True, False),
        (5, {"equals": 5}, True, True),
        (True, {"equals": 1}, False, False),
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
        ("a" * RULE_TEXT_CHARS_MAX + "rm", {"regex": "rm"}, True, False),
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


def test_several_values() -> None:
    """One of several is enough to hold back; to let through it takes all of them."""
    assert matches(["/etc/x", "/srv/x"], exact=False, path="$.v[*]", within="/etc")
    assert not matches(["/etc/x", "/srv/x"], exact=True, path="$.v[*]", within="/srv")
    assert matches(["/srv/y", "/srv/x"], exact=True, path="$.v[*]", within="/srv")
    twice = ArgumentTest(JsonPath("$.v"), {"equals": 1}, exact=True)
    assert not twice.matches({"v": 1, "V": 1})
    assert not ArgumentTest(JsonPath("$..x"), {"equals": 1}, exact=True).matches([[0]] * 2000)
    assert ArgumentTest(JsonPath("$..x"), {"equals": 1}, exact=False).matches([[0]] * 2000)
