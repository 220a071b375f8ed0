# SPDX-License-Identifier: Apache-2.0
"""The home: private directories, ids that are no paths, and locks that the kernel gives back."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import stat
import threading
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tallystick.errors import DurableError, RunBusyError, RunError
from tallystick.solver.home import SolverHome, held, is_held, run_id_of


def _hold_for_ever(path: str, holds: Event) -> None:
    with held(path, "it"):
        holds.set()
        threading.Event().wait()


def test_directories_are_their_owners(tmp_path: Path) -> None:
    """Nobody else may look into any of them, whatever the umask says."""
    home = SolverHome(tmp_path / "home")
    before = os.umask(0)
    try:
        home.make()
        home.make()  # a second time changes nothing
    finally:
        os.umask(before)
    for path in (home.path, home.runs, home.intents, home.queue):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_ids_are_no_paths(tmp_path: Path) -> None:
    """What is no id of 64 digits names no run, least of all a path to elsewhere."""
    home = SolverHome(tmp_path)
    for bad in ("../x", "a" * 63, "A" * 64, "", "/etc/passwd", "a" * 63 + "\n"):
        with pytest.raises(RunError):
            home.run(bad)


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    """A beginning that fits one run names it; none or several are told apart."""
    home = SolverHome(tmp_path)
    home.make()
    for name in ("ab12" + "0" * 60, "ab13" + "0" * 60):
        os.mkdir(os.path.join(home.runs, name))
    os.mkdir(os.path.join(home.runs, "not-a-run"))
    assert home.find("ab12") == "ab12" + "0" * 60
    for beginning, told in (("ab1", "4 to 64"), ("dddd", "no run"), ("../..", "hexadecimal")):
        with pytest.raises(RunError, match=told):
            home.find(beginning)
    os.mkdir(os.path.join(home.runs, "ab12" + "1" * 60))
    with pytest.raises(RunError, match="several"):
        home.find("ab12")
    assert len(home.run_ids()) == 3
    assert SolverHome(tmp_path / "none").run_ids() == []


def test_run_ids_are_the_same_everywhere() -> None:
    """An intent's n-th run has one id, by the intent and the number alone."""
    assert run_id_of("a" * 64, 1) == run_id_of("a" * 64, 1)
    assert len({run_id_of("a" * 64, 1), run_id_of("a" * 64, 2), run_id_of("b" * 64, 1)}) == 3


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """A second holder is refused and told who has it."""
    path = tmp_path / "lock"
    with held(path, "the run"):
        assert is_held(path)
        told = rf"the run is in use by process {os.getpid()}"
        with pytest.raises(RunBusyError, match=told), held(path, "the run"):
            pass
    assert not is_held(path)


def test_waiting_takes_the_lock_in_turn(tmp_path: Path) -> None:
    """Who waits gets the lock when it is free."""
    path, order = tmp_path / "lock", []

    def wait() -> None:
        with held(path, "it", wait=True):
            order.append("second")

    with held(path, "it"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """The kernel frees the lock of a process that was killed."""
    path = str(tmp_path / "lock")
    context = multiprocessing.get_context("spawn")
    holds = context.Event()
    process = context.Process(target=_hold_for_ever, args=(path, holds))
    process.start()
    assert holds.wait(30)
    assert is_held(path)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    assert not is_held(path)


def test_what_can_not_be_locked_is_told(tmp_path: Path) -> None:
    """A lock in a directory that is not there is an error of ours."""
    with pytest.raises(DurableError), held(tmp_path / "none" / "lock", "it"):
        pass
    assert not is_held(tmp_path / "none" / "lock")


@pytest.mark.parametrize("wait", [False, True])
def test_a_lock_that_is_no_file_is_told(tmp_path: Path, wait: bool) -> None:
    """By what it is for, and not by the name of a file, whether one waits for it or not."""
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(DurableError, match="the thing can't be locked: Is a directory"),
        held(tmp_path / "lock", "the thing", wait=wait),
    ):
        pass


def test_asking_takes_nothing(tmp_path: Path) -> None:
    """Who asks whether a lock is held makes no file, and is no holder for others that ask."""
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    with held(path, "it"):
        pass
    before = path.read_bytes()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # somebody who asks just now
        assert not is_held(path)
    assert path.read_bytes() == before


def test_those_who_ask_do_not_stop_who_works(tmp_path: Path) -> None:
    """However many look at a run, whoever is to bring it to its end gets its lock."""
    path, ends = tmp_path / "lock", threading.Event()

    def ask() -> None:
        while not ends.is_set():
            is_held(path)
            ends.wait(0.002)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            with held(path, "it"):
                pass
    finally:
        ends.set()
        for thread in threads:
            thread.join()
