# SPDX-License-Identifier: Apache-2.0
"""What the emitter lets through, the daemon's parser takes; what it refuses, that refuses too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tallystick.deliver.frame_members import OTHERS, TEXTS, body_of, instant
from tallystick.errors import FrameRefused
from tallystick.limits import FRAME_IDENTITY_BYTES_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX
from tallystick.model import frame
from tallystick.model.frame import parse_frame

BASE: dict[str, Any] = {
    "ts_emit": "2026-01-01T00:00:00.000Z",
    "session_id": "s",
    "channel": "sdk",
    "tool": {"name": "t"},
    "decision": "allowed",
}
LONG = "x" * (FRAME_IDENTITY_BYTES_MAX + 1)


def test_the_tables_agree() -> None:
    """Emitter and daemon know the same members, with the same bounds."""
    assert dict(frame._TEXTS) == {**TEXTS, "v": FRAME_IDENTITY_BYTES_MAX}
    assert {*TEXTS, *OTHERS, "v"} == set(frame.Frame.__struct_fields__)


def test_what_is_absent_stays_absent() -> None:
    """None and empty optional texts are left out."""
    parsed = parse_frame(body_of({**BASE, "error": "", "input": None, "drop_count": 0}))
    assert (parsed.error, parsed.input, parsed.drop_count) == (None, None, 0)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"tool": {"name": ""}}, "FRAME_MISSING"),
        ({"tool": {}}, "FRAME_MISSING"),
        ({"tool": "x"}, "FRAME_TYPE"),
        ({"ack": 1}, "FRAME_TYPE"),
        ({"late": "yes"}, "FRAME_TYPE"),
        ({"drop_count": True}, "FRAME_TYPE"),
        ({"drop_count": 0.5}, "FRAME_TYPE"),
        ({"tool": {"name": 1}}, "FRAME_TYPE"),
        ({"tool": {"name": LONG}}, "FRAME_LENGTH"),
        ({"tool": {"name": "a", "surname": "b"}}, "FRAME_VALUE"),
        ({"channel": ""}, "FRAME_MISSING"),
        ({"channel": 7}, "FRAME_TYPE"),
        ({"channel": "a\nb"}, "FRAME_CHARACTER"),
        ({"channel": "ö" * 200}, "FRAME_LENGTH"),
        ({"decision": "maybe"}, "FRAME_VALUE"),
        ({"agent_id": "a/b"}, "FRAME_VALUE"),
        ({"target_system": "local"}, "FRAME_MISSING"),
        ({"target_resource": "/x"}, "FRAME_MISSING"),
        ({"operator_name": "Ann"}, "FRAME_MISSING"),
        ({"principal": "did:user:u"}, "FRAME_VALUE"),
        ({"rule": {"name": "r", "why": "x"}}, "FRAME_VALUE"),
        ({"input": {1, 2}}, "FRAME_JSON"),
        ({"input": float("nan")}, "FRAME_JSON"),
        ({"input": "\ud800"}, "FRAME_SURROGATE"),
        ({"input": 2**53 + 1}, "FRAME_NUMBER"),
        ({"input": "x" * 1_100_000}, "FRAME_SIZE"),
        ({"input": [[]] * 40_000 + [1] * 30_000}, "FRAME_SIZE"),
        ({"input": deep(JSON_DEPTH_MAX)}, "FRAME_DEPTH"),
    ],
)
def test_mistakes_are_named(members: dict[str, Any], code: str) -> None:
    """Each mistake has its code, and the text quotes nothing of it."""
    with pytest.raises(FrameRefused) as caught:
        body_of({**BASE, **members})
    assert caught.value.code == code
    assert code in frame.FRAME_CODES
    assert LONG not in str(caught.value)


def test_the_daemons_bounds() -> None:
    """What is just within them passes here and there; brackets in a text are none."""
    for value in (
        deep(JSON_DEPTH_MAX - 1),
        (1,) * (JSON_VALUES_MAX - 30),
        ["[" * 300_000 + "," * 300_000],
    ):
        assert parse_frame(body_of({**BASE, "input": value})).input is not None


def test_a_value_within_itself() -> None:
    """Cycles and bottomless nesting are refused, and do not end the program."""
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(FrameRefused):
            body_of({**BASE, "input": value})


def test_long_digits_that_doubles_hold() -> None:
    """Sixteen digits are looked at, and not refused for their length alone."""
    assert parse_frame(body_of({**BASE, "input": 9007199254740992})).input == 9007199254740992
    assert parse_frame(body_of({**BASE, "input": "9007199254740993"})).input


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=8,
)


@given(
    some.fixed_dictionaries(
        {},
        optional={
            **{name: some.text(max_size=300) for name in sorted(TEXTS) if name != "ts_emit"},
            "input": JSON,
            "output": JSON,
            "tool": some.fixed_dictionaries({"name": some.text(max_size=300)}),
        },
    )
)
def test_who_passes_here_passes_there(members: dict[str, Any]) -> None:
    """A body is one that the daemon's strict parser takes, whatever the members."""
    try:
        body = body_of({**BASE, **members})
    except FrameRefused:
        return
    parse_frame(body)


def test_instants_of_one_second_and_of_others() -> None:
    """Times are written alike, whichever was written before."""
    second = 1_795_308_729
    told = [instant(second * 10**9 + rest) for rest in (0, 1_999_999, 999_999_999)]
    assert told == [f"2026-11-22T00:52:09.{rest}Z" for rest in ("000", "001", "999")]
    assert instant((second + 1) * 10**9) == "2026-11-22T00:52:10.000Z"
    assert instant(second * 10**9) == told[0]
    assert instant(0) == "1970-01-01T00:00:00.000Z"
