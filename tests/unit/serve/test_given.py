# SPDX-License-Identifier: Apache-2.0
"""Flags before environment before file before default, each as its type."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tallystick.config import Variable
from tallystick.errors import SettingError
from tallystick.serve.given import given_values, quoted, read_duration_ms, told_duration

TABLE = (
    Variable(name="name", environment="T_NAME", kind="text", default="x", purpose="."),
    Variable(name="count", environment="T_COUNT", kind="number", default="1", purpose="."),
    Variable(name="wait_time", environment="T_WAIT", kind="duration", default="1s", purpose="."),
    Variable(name="is_on", environment="T_ON", kind="flag", default="false", purpose="."),
)


def test_the_nearest_wins(tmp_path: Path) -> None:
    """A flag beats the environment, that beats the file, and that beats the default."""
    file = tmp_path / "t.toml"
    file.write_text('name = "file"\ncount = 3\nwait_time = "2m1s500ms"\n')
    values, origins = given_values(
        TABLE, {"name": "flag", "is_on": None}, file=file, environ={"T_COUNT": "2", "T_NAME": "e"}
    )
    assert values == {"name": "flag", "count": 2, "wait_time": 121_500, "is_on": False}
    assert origins == {
        "name": "--name",
        "count": "T_COUNT",
        "wait_time": str(file),
        "is_on": "default",
    }


def test_a_setting_may_be_read_in_its_own_way() -> None:
    """A reader of its own is asked instead of the kind's."""
    values, _ = given_values(TABLE, {}, environ={"T_ON": "yes"}, readers={"is_on": str.upper})
    assert values["is_on"] == "YES"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"T_COUNT": "-1"}, "count .*T_COUNT.* whole number"),
        ({"T_WAIT": "5"}, "duration like"),
        ({"T_ON": "maybe"}, "true or false"),
        ({"T_NAME": "a\0b"}, "must be text"),
        ({"T_NAME": os.fsdecode(b"a\xff")}, "must be text"),
        ({"T_COUNT": "9" * 5000}, "whole number"),
        ({"T_WAIT": f"{'9' * 400}s"}, "duration like"),
        ({"T_WAIT": f"1.{'9' * 5000}s"}, "duration like"),
    ],
)
def test_what_is_not_of_its_type_is_refused(environ: dict[str, str], words: str) -> None:
    """The error says which setting, from where, and what it must be."""
    with pytest.raises(SettingError, match=words):
        given_values(TABLE, {}, environ=environ)


@pytest.mark.parametrize(
    "text",
    [
        "unknown = 1",
        "name = 3",
        "count = true",
        "no toml",
        "\xff",
        f"count = {'9' * 400}",
        f"count = {'9' * 5000}",
        f"count = {'[' * 20_000}",
        f"{'a.' * 100_000}a = 1",
    ],
    ids=lambda text: text[:20],
)
def test_a_file_with_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """Unknown keys, wrong types, and what is no TOML."""
    file = tmp_path / "t.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingError):
        given_values(TABLE, {}, file=file, environ={})


def test_a_typing_error_is_told_with_its_like(tmp_path: Path) -> None:
    """As one in an option is; what resembles nothing gets no guess."""
    file = tmp_path / "t.toml"
    for text, told in (
        ("wait-time = 1", "sets 'wait-time', which is no setting; did you mean wait_time?"),
        ("zzz = 1", "sets 'zzz', which is no setting"),
    ):
        file.write_text(text)
        with pytest.raises(SettingError) as caught:
            given_values(TABLE, {}, file=file, environ={})
        assert str(caught.value) == f"{file} {told}"


def test_a_byte_order_mark_is_named(tmp_path: Path) -> None:
    """Nobody sees it in an editor: an error at line 1, column 1 tells nothing."""
    file = tmp_path / "t.toml"
    file.write_text("count = 1", encoding="utf-8-sig")
    with pytest.raises(SettingError, match="begins with a byte order mark: save it without one"):
        given_values(TABLE, {}, file=file, environ={})


def test_more_may_stand_in_the_file(tmp_path: Path) -> None:
    """Tables that are no settings are returned as they are."""
    file = tmp_path / "t.toml"
    file.write_text('[names]\na = "b"\n')
    values, _ = given_values(TABLE, {}, file=file, environ={}, extra=["names"])
    expected: Any = {"a": "b"}
    assert values["names"] == expected


def test_texts_are_quoted_for_toml() -> None:
    """What is printed can be read again."""
    assert quoted('a"b\\') == '"a\\"b\\\\"'


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (0, "0s"),
        (1, "1ms"),
        (1500, "1500ms"),
        (10_000, "10s"),
        (90_000, "90s"),
        (600_000, "10m"),
        (7_200_000, "2h"),
    ],
)
def test_durations_are_told_in_their_largest_whole_unit(milliseconds: int, told: str) -> None:
    """What is printed is what people write, and is read back as the same."""
    assert told_duration(milliseconds) == told
    assert read_duration_ms(told) == milliseconds
