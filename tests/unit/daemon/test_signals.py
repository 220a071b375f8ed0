# SPDX-License-Identifier: Apache-2.0
"""The thread that takes signals, in a process of its own: whatever the main thread does."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from tallystick.daemon.signals import Signals

# Blocks the signals as the daemon does before it makes threads; takes them while `body` is done.
PROGRAM = """
import os, signal, sys, threading, time
from tallystick.daemon.signals import TAKEN, Signals
signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
woken = threading.Semaphore(0)
signals = Signals(woken.release)
with signals.taken():
    {body}
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert len(threading.enumerate()) == 1, threading.enumerate()
print("ended")
"""


def ran(body: str, **options: object) -> str:
    """Run a program that takes signals, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body.replace("\n", "\n    "))],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_they_are_kept_in_their_order() -> None:
    """Each wakes who acts on it; a reload asks for no end."""
    body = """
for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
    print(signals.ask_for_an_end)
    os.kill(os.getpid(), one)
    assert woken.acquire(timeout=20)
print(signals.ask_for_an_end, *iter(signals.next, None), signals.ask_for_an_end)
"""
    assert ran(body).split() == ["False", "False", "True", "True", "1", "15", "2", "False", "ended"]


def test_a_thread_that_runs_nothing_keeps_none() -> None:
    """As one that waits for a disk: `os.system` ignores SIGINT meanwhile, and runs no handler."""
    body = """
read, write = os.pipe()
os.set_inheritable(read, True)
taken = []
def watch():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
    taken.append(woken.acquire(timeout=10))
    os.write(write, b"x")
watcher = threading.Thread(target=watch)
watcher.start()
assert os.system(f"head -c 1 <&{read} >/dev/null") == 0
watcher.join()
assert taken == [True]
"""
    assert ran(body).split() == ["ended"]


def test_no_system_call_of_another_thread_is_interrupted() -> None:
    """SQLite takes an fsync that was for one that failed."""
    body = """
masks = {}
for name in os.listdir("/proc/self/task"):
    lines = open(f"/proc/self/task/{name}/status").read().split("\\n")
    masks[int(name)] = next(int(one.split()[1], 16) for one in lines if one.startswith("SigBlk"))
mine = sum(1 << one - 1 for one in TAKEN)
assert len(masks) == 2
assert all(mask & mine == mine for name, mask in masks.items() if name == os.getpid())
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere than on Linux nobody tells what a thread blocks")
    assert ran(body).split() == ["ended"]


def test_what_is_ignored_is_taken() -> None:
    """A daemon that was started by `nohup` or as a job in the background ends all the same."""
    body = """
os.kill(os.getpid(), signal.SIGINT)
assert woken.acquire(timeout=20)
print(signals.next())
"""
    ignored = "import signal, runpy, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    program = PROGRAM.format(body=body.replace("\n", "\n    "))
    done = subprocess.run(
        [sys.executable, "-c", f"{ignored}exec({program!r})"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["2", "ended"]), done.stderr


def test_one_alone_can_be_asked_for() -> None:
    """What stands before it is left for who acts on that, and what stands behind it, too."""
    signals = Signals(lambda: None)
    assert signals.next(signal.SIGHUP) is None
    for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        signals.note(one)
    assert [signals.next(signal.SIGHUP) for _ in range(2)] == [signal.SIGHUP, None]
    assert [*iter(signals.next, None)] == [signal.SIGTERM, signal.SIGHUP]


def test_elsewhere_than_on_the_main_thread_none_is_taken() -> None:
    """Who runs a daemon in a thread of its own process keeps its signals."""
    found: list[int | None] = []
    signals = Signals(lambda: None)

    def run() -> None:
        with signals.taken():
            signals.note(signal.SIGTERM)
            found.append(signals.next())

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert found == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
