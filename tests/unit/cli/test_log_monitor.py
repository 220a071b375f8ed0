# SPDX-License-Identifier: Apache-2.0
"""`tally log monitor`: in order is 0, fraud is 1 with a file, strange is 3."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import logs
from tests.command import Answer, tally
from tests.served_log import VKEY, ServedLog, served

from tallystick.crypto.note import sign_note
from tallystick.verify.fraud import judge


class Desk:
    """Somebody who watches a log with the command, on a real socket."""

    def __init__(self, log: ServedLog, url: str, folder: Path) -> None:
        self.log = log
        self.url = url
        self.folder = folder

    def looks(self, *more: str) -> Answer:
        """Look once."""
        state = str(self.folder / "state")
        options = ["--vkey", VKEY.encode(), "--state", state, "--once"]
        return tally("log", "monitor", self.url, *options, "--evidence", str(self.folder), *more)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk, and a log of five entries that is as old as the machine's clock says."""
    log = ServedLog(int(time.time())).fill(5)
    log.release()
    with served(log) as url:
        yield Desk(log, url, tmp_path)


def test_an_honest_log_is_in_order(desk: Desk) -> None:
    """Each look says how far the log is, and goes on where the last one was."""
    done = desk.looks()
    assert (done.code, done.out) == (0, "in order: 5 receipts, 5 new\n")
    desk.log.fill(3).release()
    done = desk.looks()
    assert (done.code, done.out) == (0, "in order: 8 receipts, 3 new\n")
    assert not done.err


def test_fraud_leaves_a_file_for_everybody(desk: Desk) -> None:
    """A rewritten past ends with 1, and a file that the judge takes."""
    assert desk.looks().code == 0
    desk.log.entries[2] = desk.log.entry("another")
    desk.log.passes(1).fill(2).release()
    done = desk.looks()
    assert done.code == 1
    assert "fork/prefix" in done.out
    assert done.err == "tally: the log has contradicted itself: fork/prefix\n"
    (file,) = desk.folder.glob("fraud-*.json")
    assert judge(file.read_bytes(), VKEY).is_proven
    judged = tally("log", "judge", str(file), "--vkey", VKEY.encode())
    assert judged.code == 0
    assert judged.out.startswith("proven: fork/prefix")
    assert desk.looks().code == 1  # it stays so, and stays one file
    assert len(list(desk.folder.glob("fraud-*.json"))) == 1


def test_promises_are_watched(desk: Desk) -> None:
    """Answers in a folder are held against the log: kept ones are counted, broken ones convict."""
    answers = desk.folder / "answers"
    answers.mkdir()
    for number, body in enumerate(desk.log.take("a", "b")):
        (answers / f"{number}.json").write_bytes(body)
    desk.log.passes(1).release()
    done = desk.looks("--promises", str(answers))
    assert done.out == "in order: 7 receipts, 7 new, 2 promises kept\n"
    (answers / "2.json").write_bytes(desk.log.promise("dropped")[0])
    desk.log.passes(1).fill(1).release()
    assert "broken/position" in desk.looks("--promises", str(answers)).out


def test_what_others_were_shown_is_compared(desk: Desk) -> None:
    """A checkpoint of a neighbour may convict the log."""
    other = desk.log.copy().fill(2, "other")
    note = desk.folder / "note"
    note.write_bytes(other.release())
    desk.log.fill(4, "ours").release()
    assert "fork/prefix" in desk.looks("--compare", str(note)).out


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda log: log.missing.add("checkpoint"), "no checkpoint"),
        (lambda log: log.missing.add("sheet"), "no sheet"),
        (lambda log: setattr(log, "checkpoint", ServedLog(log.now_s - 120).checkpoint), "silent"),
    ],
)
def test_what_is_strange_is_neither_yes_nor_no(
    desk: Desk, spoil: Callable[[ServedLog], object], words: str
) -> None:
    """Without evidence the code is 3, and one line says what is strange."""
    spoil(desk.log)
    done = desk.looks()
    assert done.code == 3
    assert words in done.err


def test_it_follows_until_it_finds_something(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --once it looks again and again: alarms are told, fraud ends it."""
    turns: list[float] = []

    def pause(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) == 1:
            desk.log.missing.add("checkpoint")
        elif len(turns) == 2:
            desk.log.missing.clear()
            desk.log.entries[1] = desk.log.entry("another")
            desk.log.fill(1).release()

    monkeypatch.setattr(time, "sleep", pause)
    done = tally(
        "log", "monitor", desk.url, "--vkey", VKEY.encode(), "--every", "0.5",
        "--state", str(desk.folder / "state"), "--evidence", str(desk.folder),
    )  # fmt: skip
    assert turns == [0.5, 0.5]
    assert done.code == 1
    assert "no checkpoint" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--vkey", "nothing"], "--vkey"),
        (["--vkey", "a+b+c"], "--vkey"),
        (["--every", "0"], "--every"),
        (["--promises", "/nowhere"], "--promises"),
    ],
)
def test_wrong_usage(desk: Desk, options: list[str], words: str) -> None:
    """What can't be meant is told before the log is asked."""
    done = desk.looks(*options)
    assert done.code == 2
    assert words in done.err


def test_a_strangers_checkpoint_is_refused(desk: Desk) -> None:
    """A note that this log did not sign says nothing about it."""
    note = desk.folder / "note"
    note.write_bytes(sign_note("a\n1\nb\n", [logs.WITNESS_KEY], time_s=1))
    assert desk.looks("--compare", str(note)).code == 1
