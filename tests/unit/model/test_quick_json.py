# SPDX-License-Identifier: Apache-2.0
"""The quick way to write and read JSON does what the package does."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.model.quick_json import make_decode, make_encode

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_written_alike(value: object) -> None:
    """The same text as the package writes, and the same value when it is read."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    assert make_encode()(value) == text
    assert make_decode()(f" {text}\n") == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{} {}",
        "nul",
        "NaN",
        "-Infinity",
        '"\n"',
        "'a'",
        "01",
        "\ufeff1",
        '{"a"}',
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    """With ValueError, whatever is wrong; so is what has no end, with RecursionError."""
    with pytest.raises(ValueError):  # noqa: PT011  # any of them
        make_decode()(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object()])
def test_what_is_no_value_of_json_is_refused(value: object) -> None:
    """With ValueError or TypeError, as the package does."""
    with pytest.raises((TypeError, ValueError)):
        make_encode()({"a": value})


def test_within_itself() -> None:
    """A list within itself has no end, and is refused."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises((ValueError, RecursionError)):
        make_encode()(endless)


def test_pairs_and_constants() -> None:
    """Objects may be made of pairs, and what is no number may be taken."""
    seen: list[list[tuple[str, object]]] = []

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        seen.append(pairs)
        return dict(pairs)

    assert make_decode(members)('{"a":1,"a":2}') == {"a": 2}
    assert seen == [[("a", 1), ("a", 2)]] or seen[-1] == [("a", 1), ("a", 2)]
    assert make_decode(constant=str)("[NaN]") == ["NaN"]


def test_another_interpreter_uses_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the C code is not there, or of another form, the answers are the same."""
    for other in (None, ModuleType("_json")):
        monkeypatch.setitem(sys.modules, "_json", other)
        assert make_encode()({"a": ["é", 1.5]}) == '{"a":["é",1.5]}'
        assert make_decode()(' {"a":[1]} ') == {"a": [1]}
        with pytest.raises(ValueError, match="no JSON number"):
            make_decode()("NaN")
