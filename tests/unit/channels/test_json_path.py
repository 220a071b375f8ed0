# SPDX-License-Identifier: Apache-2.0
"""Paths to arguments."""

from __future__ import annotations

import pytest

from tallystick.channels.json_path import JsonPath
from tallystick.errors import RulesError
from tallystick.limits import RULE_PATH_STEPS_MAX, RULE_VALUES_MAX

VALUE = {"a": {"b": [1, {"c": 2}]}, "x y": 3, "Path": 4, "list": [{"u": 5}, {"u": 6}]}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$", [VALUE]),
        ("$.a.b[0]", [1]),
        ("$['x y']", [3]),
        ('$["x y"]', [3]),
        ("$.list[*].u", [5, 6]),
        ("$.a.*", [[1, {"c": 2}]]),
        ("$..c", [2]),
        ("$..u", [6, 5]),
        ("$.nothing.at.all", []),
        ("$.a.b[7]", []),
    ],
)
def test_what_stands_at_a_path(path: str, values: list[object]) -> None:
    """Each form of a step finds what it says."""
    found = JsonPath(path).find(VALUE)
    assert sorted(map(str, found.values)) == sorted(map(str, values))
    assert found.is_whole


def test_other_spellings_are_found_and_told() -> None:
    """A key in another case, or with blanks, counts, and is said to be there."""
    found = JsonPath("$.path").find(VALUE)
    assert (found.values, found.has_variants) == ([4], True)
    assert JsonPath("$.a").find({"a": 1, " A ": 2}).values == [1, 2]
    assert JsonPath("$.a").find({"a\0b": 1}).values == [1]
    assert not JsonPath("$.Path").find(VALUE).has_variants


def test_too_much_to_look_at_is_told() -> None:
    """The work is bounded, and what was not looked at is not passed over in silence."""
    assert not JsonPath("$..x").find([[0]] * (RULE_VALUES_MAX + 1)).is_whole


@pytest.mark.parametrize(
    "path",
    ["", "a", "$a", "$.", "$[", "$[a]", "$..", "$.a b", "$" + ".a" * (RULE_PATH_STEPS_MAX + 1)],
)
def test_what_is_no_path(path: str) -> None:
    """A path that we do not know is refused when it is read."""
    with pytest.raises(RulesError):
        JsonPath(path)
