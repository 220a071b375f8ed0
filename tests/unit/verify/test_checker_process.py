# SPDX-License-Identifier: Apache-2.0
"""A second process that checks signatures."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tallystick.crypto.checking import pack
from tallystick.crypto.ed25519 import SigningKey
from tallystick.verify.checker_process import CheckerProcess, may_start, this_process

KEY = SigningKey.from_seed(bytes(32))
GOOD = (KEY.sign(b"m"), b"m", KEY.public_key)
BAD = (KEY.sign(b"m"), b"n", KEY.public_key)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one whose end nobody has noticed is none."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def checker() -> Iterator[CheckerProcess]:
    one = CheckerProcess()
    yield one
    one.end()


def answers(checker: CheckerProcess, pieces: int) -> list[Sequence[int]]:
    got: list[Sequence[int]] = []
    while len(got) < pieces:
        got += checker.receive()
    return got


def test_pieces_are_answered_in_order(checker: CheckerProcess) -> None:
    """Each piece that was handed over gets as many answers as it has questions."""
    for asked in ([GOOD, BAD], [BAD], [GOOD] * 40):
        checker.ask(pack(asked), len(asked))
    assert [list(one) for one in answers(checker, 3)] == [[1, 0], [0], [1] * 40]


def ask_on_and_on(checker: CheckerProcess) -> None:
    while True:  # its two ends of the pipes need not close at the same moment
        checker.ask(pack([GOOD]), 1)


def test_one_that_is_gone_is_an_error(checker: CheckerProcess) -> None:
    """Whoever waits for one that was killed is told, at once."""
    checker.ask(pack([GOOD]), 1)
    assert answers(checker, 1)
    os.kill(checker.pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="is gone"):
        checker.receive()
    with pytest.raises(BrokenPipeError):
        ask_on_and_on(checker)


def test_what_is_no_piece_ends_it(checker: CheckerProcess) -> None:
    """A checker that can't read what it is given answers nothing, rather than anything."""
    checker.ask(b"?", 1)
    with pytest.raises(ChildProcessError, match="is gone"):
        checker.receive()


def test_answers_without_questions_are_refused(checker: CheckerProcess) -> None:
    """More answers than questions would be taken for those to what is asked next."""
    checker.ask(pack([GOOD, BAD]), 1)
    with pytest.raises(ChildProcessError, match="not asked"):
        answers(checker, 2)


def test_modules_come_from_where_ours_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of the path that depend on the current folder, or are no text, are left out."""
    for name in ("tallystick", "nacl"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", 5, None, tmp_path, b"/", *sys.path])
    checker = CheckerProcess()
    try:
        checker.ask(pack([GOOD]), 1)
        assert answers(checker, 1) == [b"\1"]
    finally:
        checker.end()


@pytest.mark.parametrize("folder", ["/nul\0", "/\ud800"])
def test_a_folder_that_is_no_argument_is_an_error(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process can't be told where modules are, none is started."""
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    with pytest.raises(ChildProcessError, match="no checker can be started"):
        CheckerProcess()


def test_none_is_started_where_one_that_is_lost_would_end_us() -> None:
    """A program that asked to die of SIGPIPE does not mean these pipes."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        assert not may_start()
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert may_start()


def test_it_ends_when_asked() -> None:
    """No process and no zombie is left."""
    checker = CheckerProcess()
    checker.end()
    assert not Path(f"/proc/{checker.pid}").exists()  # not even a zombie


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """A process that is killed leaves no checker behind."""
    note = tmp_path / "pid"
    parent = os.fork()
    if parent == 0:
        try:
            note.with_suffix(".new").write_text(str(CheckerProcess().pid))
            note.with_suffix(".new").rename(note)
            time.sleep(60)
        finally:
            os._exit(0)
    while not note.exists():
        time.sleep(0.01)
    pid = int(note.read_text())
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    deadline = time.monotonic() + 20
    while (
        Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_forked_process_is_another(checker: CheckerProcess) -> None:
    """It has a number of its own, and a checker that it lets go of works on for its parent."""
    own = this_process()
    child = os.fork()
    if child == 0:
        try:
            checker.end()
        finally:
            os._exit(this_process() == own)
    assert os.waitpid(child, 0)[1] == 0
    checker.ask(pack([GOOD]), 1)
    assert answers(checker, 1) == [b"\1"]


def test_ctrl_c_is_not_for_it(checker: CheckerProcess) -> None:
    """It stands in a session of its own, which the terminal's signals don't reach."""
    assert os.getsid(checker.pid) == checker.pid != os.getsid(0)


@pytest.mark.parametrize(
    ("program", "frozen", "answer"),
    [
        ("/usr/bin/python3.11", False, True),
        ("/opt/PyPy/bin/pypy3", False, True),
        ("/usr/bin/uwsgi", False, False),
        ("", False, False),
        ("/opt/python-app", True, False),
    ],
)
def test_it_runs_on_an_interpreter_only(
    program: str, frozen: bool, answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with an interpreter inside would start itself once more."""
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    assert may_start() is answer
