# SPDX-License-Identifier: Apache-2.0
"""`tally tail`: the last ones, oldest first; with `-f`, what a daemon writes meanwhile."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from pathlib import Path

from tests.command import environment, process, tally
from tests.daemons import PATIENCE_S
from tests.stored import RECEIPTS, fill

from tallystick.model.frame import Tool


def test_the_last_ones(place: Path) -> None:
    """As many as asked for, the newest last."""
    db = str(fill(place / "d").db)
    lines = tally("tail", "--store", db, "-n", "3").out.splitlines()
    assert len(lines) == 3
    # A receipt of no tool has a word in its place: scripts count words.
    assert {len(one.partition(", closes")[0].split()) for one in lines} == {7}
    assert "chain_interrupted" in lines[-1] or "chain_interrupted" in lines[-2]
    assert tally("tail", "--store", db, "-n", "0").out == ""
    all_lines = tally("tail", "--store", db, "-n", "1000", "--json").out.splitlines()
    assert len(all_lines) >= RECEIPTS
    assert all(json.loads(one)["id"] for one in all_lines)


def test_following_a_daemon(place: Path) -> None:
    """What is committed while it waits is shown at once, and Ctrl-C ends it with 130."""
    home = fill(place / "d")
    ledger = home.open()
    following = subprocess.Popen(
        process("tail", "-f", "-n", "1", "--tool", "Write", "--store", str(home.db)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert following.stdout is not None
    told = b""
    try:
        end = time.monotonic() + PATIENCE_S
        while told.count(b"\n") < 2:  # when it has opened the store, nobody knows
            assert time.monotonic() < end
            ledger.commit([home.frame(tool=Tool(name="Write"))])
            if select.select([following.stdout], [], [], 0.05)[0]:
                data = os.read(following.stdout.fileno(), 65536)
                assert data, "it has ended"
                told += data
    finally:
        following.send_signal(2)
        _, fault = following.communicate(timeout=PATIENCE_S)
        ledger.close()
    assert all(b"Write" in line for line in told.splitlines())
    assert following.returncode == 130, fault
