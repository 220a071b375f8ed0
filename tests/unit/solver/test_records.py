# SPDX-License-Identifier: Apache-2.0
"""Files of records: what was appended is read, what a crash tore off is not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tallystick.errors import LimitError, RunError, UnreadableError
from tallystick.limits import SOLVER_RECORD_TAIL_BYTES
from tallystick.solver.records import append_fact, last_fact, read_facts


class _Note(msgspec.Struct, frozen=True):
    at: str
    text: str


def _note(number: int, size: int = 1) -> _Note:
    return _Note(f"2026-01-01T00:00:{number:02d}Z", str(number) * size)


def test_records_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is read again; a file that is not there holds none."""
    path = tmp_path / "notes.jsonl"
    assert read_facts(path, _Note) == []
    assert last_fact(path, _Note) is None
    for number in range(5):
        append_fact(path, _note(number))
    assert read_facts(path, _Note) == [_note(number) for number in range(5)]
    assert last_fact(path, _Note) == _note(4)


@pytest.mark.parametrize("cut", [1, 12, 20, 36])
def test_a_torn_line_was_never_there(tmp_path: Path, cut: int) -> None:
    """A line without its end is not read, and the next one takes its place."""
    path = tmp_path / "notes.jsonl"
    append_fact(path, _note(1))
    whole = path.read_bytes()
    append_fact(path, _note(2))
    path.write_bytes(path.read_bytes()[: len(whole) + cut])
    assert read_facts(path, _Note) == [_note(1)]
    assert last_fact(path, _Note) == _note(1)
    append_fact(path, _note(3))
    assert read_facts(path, _Note) == [_note(1), _note(3)]


def test_a_line_of_others_is_told(tmp_path: Path) -> None:
    """A whole line that is none of ours is no crash: nothing is read past it."""
    path = tmp_path / "notes.jsonl"
    append_fact(path, _note(1))
    path.write_bytes(b'{"at":1}\n' + path.read_bytes())
    with pytest.raises(RunError, match="not one of ours"):
        read_facts(path, _Note)


def test_the_last_record_needs_the_end_only(tmp_path: Path) -> None:
    """A file of any length gives its last line, which begins within the end that is read."""
    path = tmp_path / "notes.jsonl"
    for number in range(3):
        append_fact(path, _note(number, SOLVER_RECORD_TAIL_BYTES // 2))
    assert path.stat().st_size > SOLVER_RECORD_TAIL_BYTES
    assert last_fact(path, _Note) == _note(2, SOLVER_RECORD_TAIL_BYTES // 2)


def test_reading_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the limit is refused where it would be read as a whole."""
    path = tmp_path / "notes.jsonl"
    append_fact(path, _note(1))
    monkeypatch.setattr("tallystick.solver.records.SOLVER_RECORDS_BYTES_MAX", 10)
    with pytest.raises(LimitError):
        read_facts(path, _Note)


def test_what_can_not_be_read_is_told(tmp_path: Path) -> None:
    """A directory in its place is an error of ours."""
    with pytest.raises(RunError):
        last_fact(tmp_path, _Note)
    with pytest.raises(UnreadableError):
        read_facts(tmp_path, _Note)
