# SPDX-License-Identifier: Apache-2.0
"""What the kernel was really asked for: fdatasync returns before the acknowledgement is sent.

`kill -9` can't show a missing fsync, since the kernel survives it. Here strace watches the daemon.
The same daemon with `synchronous = OFF` must be caught.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.daemons import DaemonHome

FRAMES = 20

# The daemon as it is, but for what its engine tells SQLite.
CARELESS = """
import sys
from tallystick.store import sqlite
sqlite._PRAGMAS = tuple(
    "PRAGMA synchronous = OFF" if "synchronous" in one else one for one in sqlite._PRAGMAS
)
sqlite._MUST_BE = tuple(one for one in sqlite._MUST_BE if one[0] != "synchronous")
from tallystick.cli.main import main
sys.argv = ["tally", "daemon", "run"]
main()
"""

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")


def traced(folder: Path, *, is_careful: bool) -> list[str]:
    """Run a daemon under strace, have frames acknowledged one by one, and return its calls."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: what the kernel is asked for can't be seen")
    if subprocess.run([strace, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("ptrace is forbidden here: what the kernel is asked for can't be seen")
    home, output = DaemonHome(folder / "home"), folder / "trace"
    calls = "trace=pwrite64,write,fsync,fdatasync,sendto"
    before = [strace, "-f", "-y", "-s", "48", "-o", str(output), "-e", calls]
    if not is_careful:
        before += [sys.executable, "-c", CARELESS]
    with home.daemon(before=before) as daemon:
        with daemon.line() as line:
            for _ in range(FRAMES):
                assert line.ask()["ok"] is True
        os.kill(daemon.status()["pid"], signal.SIGTERM)  # strace does not pass it on
        assert daemon.ended() == 0
    home.check()
    return joined(output.read_text(errors="replace"))


def joined(text: str) -> list[str]:
    """Return a trace's calls in the order in which they returned, halves put together."""
    begun: dict[str, str] = {}
    calls = []
    for line in text.splitlines():
        thread, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>")
        elif rest.startswith("<... "):
            calls.append(begun.pop(thread, "") + rest.partition(" resumed>")[2])
        else:
            calls.append(rest)
    return calls


def unsafe_answers(calls: list[str]) -> tuple[int, int]:
    """Return how many answers were sent, and before how many the store's log was not synced."""
    answers = unsafe = 0
    is_dirty = False
    for call in calls:
        if "receipts.db-wal" in call and call.startswith(("pwrite64", "write")):
            is_dirty = True
        elif "receipts.db-wal" in call and call.startswith(("fdatasync", "fsync")):
            assert call.rstrip().endswith("= 0"), call
            is_dirty = False
        elif call.startswith("sendto") and 'ok\\":true,\\"id' in call:
            answers, unsafe = answers + 1, unsafe + is_dirty
    return answers, unsafe


def test_an_acknowledgement_follows_the_sync(tmp_path: Path) -> None:
    """The log is written, its fdatasync returns, and only then the answer is sent."""
    calls = traced(tmp_path, is_careful=True)
    assert unsafe_answers(calls) == (FRAMES, 0)


def test_a_daemon_that_does_not_sync_is_caught(tmp_path: Path) -> None:
    """With `synchronous = OFF` the same trace shows answers without a sync: the test can fail."""
    answers, unsafe = unsafe_answers(traced(tmp_path, is_careful=False))
    assert answers == FRAMES
    assert unsafe >= FRAMES - 1
