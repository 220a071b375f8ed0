# SPDX-License-Identifier: Apache-2.0
"""Only the end of a transcript is read, and nothing in it can hurt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallystick.channels.transcript import counts_of, last_lines
from tallystick.limits import JSON_INTEGER_MAX, TRANSCRIPT_TAIL_BYTES_MAX


def test_the_last_line_comes_first(tmp_path: Path) -> None:
    """Lines with the bytes are yielded from the end; others, and what is no object, are not."""
    path = tmp_path / "t"
    path.write_bytes(b'{"n":1,"k":"id"}\n{"n":2}\nid no json\n["id"]\n{"n":3,"k":"id"}')
    assert [one["n"] for one in last_lines(str(path), b"id")] == [3, 1]


def test_only_the_end_is_read(tmp_path: Path) -> None:
    """What stands before the last part is not found, however long the file is."""
    path = tmp_path / "t"
    with path.open("wb") as file:
        file.write(b'{"k":"id"}\n')
        file.truncate(64 * 1024 * 1024)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b'{"x":1}\n' * (TRANSCRIPT_TAIL_BYTES_MAX // 8))
    assert list(last_lines(str(path), b"id")) == []


def test_a_line_that_is_cut_off_is_passed_over(tmp_path: Path) -> None:
    """The first line of the end is seldom whole."""
    path = tmp_path / "t"
    path.write_bytes(b'{"a":"' + b"x" * TRANSCRIPT_TAIL_BYTES_MAX + b'id"}\n{"b":"id"}\n')
    assert list(last_lines(str(path), b"id")) == [{"b": "id"}]


def test_what_is_no_file_is_empty(tmp_path: Path) -> None:
    """No file, a folder, a pipe without a writer, a path with a zero byte: nothing, at once."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", "a\0b"):
        assert list(last_lines(str(path), b"")) == []


@pytest.mark.parametrize("usage", [None, [], "x", {}, {"input_tokens": "7"}, {"other": 7}])
def test_no_counts(usage: object) -> None:
    """What has no counts of tokens is none."""
    assert counts_of(usage) is None


def test_only_counts_are_kept() -> None:
    """Counts that a frame can hold are kept; all else is not."""
    given = {"input_tokens": 1, "output_tokens": -1, "total_tokens": JSON_INTEGER_MAX + 1, "x": 1}
    assert counts_of({**given, "cached_input_tokens": True}) == {"input_tokens": 1}
