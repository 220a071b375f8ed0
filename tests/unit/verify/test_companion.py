# SPDX-License-Identifier: Apache-2.0
"""A second process of ours: how it starts, whose signals it hears, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallystick.crypto.checking import pack
from tallystick.crypto.ed25519 import SigningKey
from tallystick.limits import COMPANION_PIPE_BYTES
from tallystick.verify.companion import Companion, may_start, this_process

KEY = SigningKey.from_seed(bytes(32))
GOOD = (KEY.sign(b"m"), b"m", KEY.public_key)


def begun() -> Companion:
    """Start one that checks signatures."""
    return Companion("tallystick.verify.checker")


@pytest.fixture
def companion() -> Iterator[Companion]:
    one = begun()
    yield one
    one.end()


def test_a_program_that_is_none_is_gone_at_once() -> None:
    """Whoever asks is told, and waits for nothing."""
    companion = Companion("tallystick.verify.nothing")
    try:
        with pytest.raises(ChildProcessError, match="is gone"):
            companion.read()
    finally:
        companion.end()


def test_modules_come_from_where_ours_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of the path that depend on the current folder, or are no text, are left out."""
    for name in ("tallystick", "nacl"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", ".", 5, None, tmp_path, b"/", *sys.path])
    companion = begun()
    try:
        companion.ask(pack([GOOD]))
        assert companion.read() == b"\1"
    finally:
        companion.end()


@pytest.mark.parametrize("folder", ["/nul\0", "/\ud800"])
def test_a_folder_that_is_no_argument_is_an_error(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process can't be told where modules are, none is started."""
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    with pytest.raises(ChildProcessError, match="no companion can be started"):
        begun()


def test_none_is_started_where_one_that_is_lost_would_end_us() -> None:
    """A program that asked to die of SIGPIPE does not mean these pipes."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        assert not may_start()
    finally:
        signal.signal(signal.SIGPIPE, before)
    assert may_start()


def test_it_knows_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens and addresses of databases may stand there."""
    monkeypatch.setenv("AGENTRECEIPTS_COLLECTOR_TOKEN", "s3cret")
    companion = begun()
    try:
        companion.ask(pack([GOOD]))
        assert companion.read() == b"\1"
        environment = Path(f"/proc/{companion.pid}/environ")
        if environment.exists():  # elsewhere nobody can look
            assert b"s3cret" not in environment.read_bytes()
    finally:
        companion.end()


def test_it_ends_when_asked() -> None:
    """No process and no zombie is left."""
    companion = begun()
    companion.end()
    assert not Path(f"/proc/{companion.pid}").exists()  # not even a zombie


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """A process that is killed leaves no companion behind."""
    note = tmp_path / "pid"
    parent = os.fork()
    if parent == 0:
        try:
            note.with_suffix(".new").write_text(str(begun().pid))
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


def test_a_forked_process_is_another(companion: Companion) -> None:
    """It has a number of its own, and a companion that it lets go of works on for its parent."""
    own = this_process()
    child = os.fork()
    if child == 0:
        try:
            companion.end()
        finally:
            os._exit(this_process() == own)
    assert os.waitpid(child, 0)[1] == 0
    companion.ask(pack([GOOD]))
    assert companion.read() == b"\1"


def test_ctrl_c_is_not_for_it(companion: Companion) -> None:
    """It stands in a session of its own, which the terminal's signals don't reach."""
    assert os.getsid(companion.pid) == companion.pid != os.getsid(0)


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


def test_who_does_not_wait_gives_what_there_is_room_for(companion: Companion) -> None:
    """A stopped one takes as much as its wider pipe holds, then nothing; no call waits for it."""
    os.kill(companion.pid, signal.SIGSTOP)
    companion.widen(COMPANION_PIPE_BYTES)
    given, last = 0, 1
    while last:
        last = companion.give(bytes(100_000))
        given += last
    assert COMPANION_PIPE_BYTES - 100_000 < given <= COMPANION_PIPE_BYTES


def test_a_pipe_that_cannot_be_wider_stays_as_it_is(companion: Companion) -> None:
    """More than the system lets a user have is a wish, and no error."""
    companion.widen(2**30)
    companion.ask(pack([GOOD]))
    assert companion.read() == b"\1"


def test_as_much_is_read_as_is_asked_for(companion: Companion) -> None:
    """And no more; the rest is there the next time."""
    companion.ask(pack([GOOD, (bytes(64), b"m", KEY.public_key)]))
    deadline = time.monotonic() + 20
    found = b""
    while len(found) < 2:
        found += companion.read(1)
        assert time.monotonic() < deadline
    assert found == b"\1\0"


def test_more_may_wait_in_both_of_its_pipes(companion: Companion) -> None:
    """What it says waits as well as what it is asked."""
    fcntl = pytest.importorskip("fcntl")
    companion.widen(COMPANION_PIPE_BYTES)
    pipes = (companion.inlet, companion.fileno())
    assert [fcntl.fcntl(one, 1032) for one in pipes] == [COMPANION_PIPE_BYTES] * 2


def test_who_reads_finds_the_end_of_one_that_is_killed(companion: Companion) -> None:
    """Its pipes stay until they are closed; to kill and to close it again does nothing."""
    companion.ask(pack([GOOD]))
    assert companion.read() == b"\1"
    companion.kill()
    assert not Path(f"/proc/{companion.pid}").exists()
    with pytest.raises(ChildProcessError, match="is gone"):
        companion.read()
    with pytest.raises(BrokenPipeError):
        companion.give(b"x")
    companion.kill()
    companion.close()
    companion.close()
