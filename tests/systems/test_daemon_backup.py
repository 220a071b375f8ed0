# SPDX-License-Identifier: Apache-2.0
"""A store is backed up while its daemon is up, stopped or killed, by whoever may read it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.command import environment, process, tally
from tests.privileges import tally_as
from tests.running_daemon import RunningDaemon, daemon_home
from tests.stored import fill

from tallystick import DaemonEmitter

READER, GROUP = 61_001, 61_003
NEEDS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root can run as another user"
)


@pytest.fixture
def daemon() -> Iterator[RunningDaemon]:
    """Yield a daemon that is not started yet."""
    with daemon_home(0o755) as one:
        yield one


@contextmanager
def load(daemon: RunningDaemon) -> Iterator[list[str]]:
    """Let two emitters send without a pause; yield the ids that were acknowledged so far."""
    acknowledged: list[str] = []
    is_over = threading.Event()

    def emit() -> None:
        with DaemonEmitter(socket_path=daemon.socket) as emitter:
            while not is_over.is_set():
                answer = emitter.emit("a", input={"pad": "x" * 2000}, ack=True)
                assert answer is not None
                acknowledged.append(answer.id)

    threads = [threading.Thread(target=emit) for _ in range(2)]
    for one in threads:
        one.start()
    try:
        yield acknowledged
    finally:
        is_over.set()
        for one in threads:
            one.join()


def wait_for(acknowledged: list[str], number: int) -> None:
    end = time.monotonic() + 60
    while len(acknowledged) < number:
        assert time.monotonic() < end
        time.sleep(0.01)


def ids_in(folder: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{folder}/receipts.db?mode=ro", uri=True)) as connection:
        return {str(one) for (one,) in connection.execute("SELECT id FROM receipts")}


def test_under_load(daemon: RunningDaemon) -> None:
    """All that was acknowledged before the command began is in it, and it verifies; emitters are
    answered meanwhile.
    """
    daemon.start()
    with load(daemon) as acknowledged:
        for number in range(3):
            wait_for(acknowledged, len(acknowledged) + 100)
            before = set(acknowledged)
            place = daemon.folder / f"b{number}"
            done = subprocess.run(
                process("daemon", "backup", str(place), "--store", daemon.store),
                env=environment(), capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            assert before <= ids_in(place)
            wait_for(acknowledged, len(before) + 1)
    assert daemon.end() == 0
    assert "verified" in daemon.verify()


def test_a_kill_leaves_nothing_whole(daemon: RunningDaemon) -> None:
    """Whenever it comes: there is no folder of that name, or it is whole and verifies."""
    daemon.start()
    with load(daemon) as acknowledged:
        wait_for(acknowledged, 300)
        for number in range(8):
            place = daemon.folder / f"b{number}"
            with subprocess.Popen(
                process("daemon", "backup", str(place), "--store", daemon.store),
                env=environment(), stdout=subprocess.DEVNULL,
            ) as running:  # fmt: skip
                end = time.monotonic() + 60
                while not list(daemon.folder.glob(f".b{number}.*.tmp")):
                    assert time.monotonic() < end
                    time.sleep(0.001)
                time.sleep(0.03 * number)
                running.kill()
            if place.exists():
                verify = ("--key", f"{place}/signing.key.pub", "--proof", f"{place}/receipts.proof")
                assert tally("verify", "--store", f"{place}/receipts.db", *verify).code == 0
    assert daemon.end() == 0
    assert list(daemon.folder.glob(".b*.tmp"))
    assert "verified" in daemon.verify()


@NEEDS_ROOT
@pytest.mark.parametrize("state", ["up", "stopped", "killed"])
def test_the_readers_group_may(daemon: RunningDaemon, state: str) -> None:
    """Another user with the group of the store: all of it is copied, and nothing beside it is
    changed.
    """
    os.chown(daemon.key.parent, -1, GROUP)
    daemon.key.parent.chmod(0o2750)
    daemon.start()
    with DaemonEmitter(socket_path=daemon.socket) as e:
        for _ in range(3):
            e.emit("a", ack=True)
    if state != "up":
        daemon.end(signal.SIGKILL if state == "killed" else signal.SIGTERM)
    before = {one.name: one.stat().st_size for one in daemon.key.parent.iterdir()}
    warm = daemon.folder / "warm"
    fill(warm)
    mine = daemon.folder / "mine"
    mine.mkdir()
    os.chown(mine, READER, READER)
    done = tally_as(
        READER,
        [GROUP],
        ("daemon", "backup", mine / "b", "--store", daemon.store),
        before=("daemon", "backup", warm / "b", "--store", warm / "receipts.db"),
        home=daemon.folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    number = 4 if state == "stopped" else 3
    assert f"verified: {number} receipts" in done.stdout
    assert {one.name: one.stat().st_size for one in daemon.key.parent.iterdir()} == before
    assert {one.stat().st_uid for one in (mine / "b").iterdir()} == {READER}
    assert sorted(os.listdir(mine / "b")) == ["receipts.db", "receipts.proof", "signing.key.pub"]
    if state == "up":
        assert daemon.end() == 0
