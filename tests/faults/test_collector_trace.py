# SPDX-License-Identifier: Apache-2.0
"""What the kernel is asked for while a collector answers: first the disk, then the client."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.material import signed, statement, wire

# The command itself; with pragmas that replace those of the store.
PROGRAM = """
import runpy, sys
from tallystick.store import sqlite
for pragma in sys.argv[1].split(";"):
    if pragma:
        sqlite._PRAGMAS += (pragma,)
        sqlite._MUST_BE = ()
sys.argv[1:] = sys.argv[2:]
runpy.run_module("tallystick", run_name="__main__", alter_sys=True)
"""


def early_answers(trace: str) -> tuple[int, int]:
    """Return (answers 201, those of which the first byte left before the commit was stable).

    The thread that writes most to the WAL is the one that commits; another makes checkpoints.
    """
    calls = [(thread, call.strip()) for thread, _, call in map(split, trace.split("\n"))]
    writers = Counter(thread for thread, call in calls if is_write(call))
    committer = writers.most_common(1)[0][0]
    unstable = False
    answers = early = 0
    begun = ""
    for thread, call in calls:
        if "201 Created" in call:  # as it begins
            answers += 1
            early += unstable
        if thread != committer:
            continue
        unstable = unstable or is_write(call)
        if call.endswith("<unfinished ...>"):
            begun = call
        whole = begun if call.startswith("<...") else call
        is_sync = re.match(r"(fdatasync|fsync)\(.*-wal>", whole) is not None
        if is_sync and re.search(r"\) += 0$", call):  # as it ends
            unstable = False
    return answers, early


def split(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def is_write(call: str) -> bool:
    return "-wal>" in call and re.match(r"(pwrite64|write)\(", call) is not None


@pytest.mark.parametrize(
    ("pragma", "is_durable"), [("", True), ("PRAGMA synchronous = OFF", False)]
)
def test_the_disk_comes_before_the_answer(tmp_path: Path, pragma: str, is_durable: bool) -> None:
    """No byte of a 201 leaves before the WAL's fdatasync returned; without it we'd be caught."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: what the kernel is asked for can't be seen")
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync"
    # -D: what is traced is our own child, and is told to end as ever.
    command = [strace, "-D", "-f", "-y", "-qq", "-s", "32", "-e", calls, "-o", str(trace)]
    command += [sys.executable, "-c", PROGRAM, pragma, "collector", "run"]
    command += ["--addr", "127.0.0.1:0", "--db", str(tmp_path / "c.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for number in range(20):
            body = wire(signed({**statement(), "id": f"urn:receipt:{number}"}))
            line.request("POST", "/receipts", body, {"Content-Type": "application/json"})
            assert line.getresponse().read()
            time.sleep(0.01)
        line.close()
        process.terminate()
        assert process.wait(20) == 0
    answers, early = early_answers(trace.read_text())
    assert answers == 20
    assert (early == 0) is is_durable
