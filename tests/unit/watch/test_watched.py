# SPDX-License-Identifier: Apache-2.0
"""Promises that a monitor watches: as a collector gave them, and checked before they count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests import logs
from tests.served_log import SHEET, ServedLog

from tallystick.errors import LogFormatError, RefusedInput, UnreadableError
from tallystick.limits import MONITOR_PROMISES_MAX
from tallystick.watch import watched
from tallystick.watch.watched import promise_in_answer, promises_in, watched_promise


def test_the_body_of_an_answer_is_a_promise() -> None:
    """Index and leaf are those of the entry in the same answer."""
    log = ServedLog().fill(4)
    answers = log.take("a", "b", "c")
    found = [promise_in_answer(one, SHEET) for one in answers]
    assert [one.index for one in found] == [4, 5, 6]
    assert [one.leaf for one in found] == [logs.leaf(one) for one in log.entries[4:]]


def test_a_promise_of_another_entry_is_refused() -> None:
    """A promise and an entry that do not belong together would accuse an honest log."""
    log = ServedLog()
    one, other = (json.loads(body) for body in log.take("a", "b"))
    with pytest.raises(LogFormatError, match="another entry"):
        promise_in_answer(json.dumps(one | {"entry": other["entry"]}).encode(), SHEET)
    with pytest.raises(LogFormatError):
        watched_promise(one["promise"].encode(), b"no entry", SHEET)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"entry":"","promise":""}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    """Other JSON, or an answer without a promise, is told."""
    with pytest.raises(RefusedInput):
        promise_in_answer(body, SHEET)


def test_a_folder_of_answers_is_read(tmp_path: Path) -> None:
    """Every `*.json` is an answer; other files are passed over."""
    for number, body in enumerate(ServedLog().take("a", "b")):
        (tmp_path / f"{number}.json").write_bytes(body)
    (tmp_path / "notes.txt").write_text("something else")
    assert [one.index for one in promises_in(tmp_path, SHEET)] == [0, 1]


def test_a_bad_answer_is_told_with_its_name(tmp_path: Path) -> None:
    """Nothing is watched by half: the file that can't be read is named."""
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UnreadableError, match=r"a\.json"):
        list(promises_in(tmp_path, SHEET))
    with pytest.raises(UnreadableError):
        list(promises_in(tmp_path / "nowhere", SHEET))


def test_a_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More promises than a monitor can watch are refused."""
    assert MONITOR_PROMISES_MAX > 1000
    monkeypatch.setattr(watched, "MONITOR_PROMISES_MAX", 1)
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(UnreadableError, match="over 1 promises"):
        list(promises_in(tmp_path, SHEET))
