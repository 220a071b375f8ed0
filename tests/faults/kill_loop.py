# SPDX-License-Identifier: Apache-2.0
"""Kills a process that emits, over and over, and then looks whether anything is missing.

    python -m tests.faults.kill_loop FOLDER KILLS SEED [file|memory]    prints what it saw, as JSON

This process has everything imported and forks victims. Each opens the one log, replays what the one
before left, begins a chain and emits until it gets SIGKILL, at a random moment. A kill counts only
where it hit between an append and its acknowledgement: the victim keeps its state in memory that
outlives it. With a log in memory, which must lose receipts, the loop shows that it would notice.
"""

from __future__ import annotations

import gc
import http.client
import importlib
import json
import mmap
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import material

from tallystick.chain.issue import create_receipt, issue
from tallystick.deliver.file_wal import FileWal
from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig
from tallystick.deliver.memory_wal import MemoryWal
from tallystick.deliver.retry import RetryConfig
from tallystick.deliver.wal import WalEmitter
from tallystick.errors import EmitError
from tallystick.model.chain import Head, Link
from tallystick.model.receipt import Receipt, UnsignedReceipt
from tallystick.ports import DeadLetter, Wal
from tallystick.verify.verification import verify_chain

# Small, so that compactions are killed too.
LOG_BYTES_MAX = 40_000
ROUND_KILLS_MAX = 500
# Of ten victims, one is killed while it opens the log, one while it replays, and the others some
# time after an append of their own.
OPENING_MS_MAX, REPLAYING_MS_MAX, EMITTING_MS_MAX = 20.0, 10.0, 3.0
# What victims would import one by one, instead of emitting.
LAZY_MODULES = ("tallystick.deliver.dial", "tallystick.deliver.pool", "tallystick.model.reader")
# Places in the shared memory.
WAITING, APPENDED, RETURNED, REPLAYED, IS_OPEN = range(5)


class Watched:
    """A log that keeps count in shared memory, so that it can be seen where its process died."""

    def __init__(self, wal: Wal, view: memoryview) -> None:
        self._wal, self._view = wal, view
        view[WAITING] = len(wal)
        view[IS_OPEN] = 1

    def append(self, receipt: Receipt, /) -> None:
        """Count up when the receipt is kept."""
        self._wal.append(receipt)
        self._view[APPENDED] = receipt.link.sequence
        self._view[WAITING] = len(self._wal)

    def remove(self, receipt_id: str, /) -> None:
        """Count down before it is forgotten."""
        self._view[WAITING] = len(self._wal) - 1
        self._wal.remove(receipt_id)

    def pending(self) -> Iterator[Receipt]:
        """Pass on."""
        return self._wal.pending()

    def set_aside(self, receipt_id: str, reason: str, /) -> None:
        """Pass on."""
        self._wal.set_aside(receipt_id, reason)

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Pass on."""
        return self._wal.dead_letters()

    def close(self) -> None:
        """Pass on."""
        self._wal.close()

    def __len__(self) -> int:
        return len(self._wal)


def opened(folder: Path, kind: str) -> Wal:
    """Return the log of all lives."""
    return FileWal(folder / "wal", size_max=LOG_BYTES_MAX) if kind == "file" else MemoryWal()


def emitter_of(wal: Wal, port: int) -> WalEmitter:
    """Return the stack under test."""
    config = HttpEmitterConfig(f"http://127.0.0.1:{port}", retry=RetryConfig(max_attempts=1))
    return WalEmitter(inner=HttpEmitter(config), wal=wal)


def draft(link: Link) -> UnsignedReceipt:
    """Return the next statement."""
    return create_receipt(
        issuer={"id": material.ISSUER},
        principal={"id": "did:user:u"},
        action={"type": "filesystem.file.read"},
        outcome={"status": "success"},
        chain=link,
    )


def live(folder: Path, kind: str, port: int, number: int, view: memoryview) -> None:
    """Replay, then emit one chain until killed."""
    wal = Watched(opened(folder, kind), view)
    emitter = emitter_of(wal, port)
    view[REPLAYED] = emitter.replay().delivered
    head = Head(chain_id=f"chain:{number}")
    while True:
        receipt, head = issue(head, draft, material.KEY, material.METHOD)
        try:
            emitter.emit(receipt)
        except EmitError as fault:
            if not fault.is_transient:
                raise
            # The collector is busy: it is kept, and goes before the next.
        view[RETURNED] = head.sequence


def one_life(folder: Path, kind: str, port: int, number: int, dice: random.Random) -> list[int]:
    """Fork a victim, kill it after a while, and return what it left in shared memory."""
    shared = mmap.mmap(-1, 64)
    view = memoryview(shared).cast("q")
    pid = os.fork()
    if pid == 0:
        try:
            live(folder, kind, port, number, view)
        except BaseException:  # noqa: BLE001  # this process ends here, whatever it was
            traceback.print_exc()
        os._exit(1)
    part = dice.random()
    if part < 0.1:
        delay_ms = dice.uniform(0, OPENING_MS_MAX)
    elif part < 0.2:
        wait_for(pid, view, IS_OPEN, 1)
        delay_ms = dice.uniform(0, REPLAYING_MS_MAX)
    else:
        wait_for(pid, view, APPENDED, dice.randint(1, 6))
        delay_ms = dice.uniform(0, 1) ** 2 * EMITTING_MS_MAX
    time.sleep(delay_ms / 1000)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"victim {number} ended by itself")
    left = list(view[:5])
    view.release()
    shared.close()
    return left


def wait_for(pid: int, view: memoryview, place: int, least: int) -> None:
    """Return when a victim has come so far."""
    while view[place] < least:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise SystemExit("a victim ended by itself")
        time.sleep(0.0001)


def fetch(port: int, path: str) -> bytes:
    """Return what the collector says."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


class Tally:
    """What was seen, and what was wrong."""

    def __init__(self) -> None:
        self.kills = self.counted = self.starting = self.receipts = self.replayed = 0
        self.repeated = self.refused = 0
        self.wrong: list[str] = []

    def check(self, port: int, lives: list[list[int]]) -> None:
        """Compare what the collector has with what the victims were told."""
        bodies = fetch(port, "/receipts").splitlines()
        counts = json.loads(fetch(port, "/counts"))
        if counts["conflicts"]:
            self.wrong.append(f"{counts['conflicts']} ids came with two contents")
        places: list[tuple[int, int]] = []
        chains: dict[int, list[Any]] = {}
        for body in bodies:
            receipt = json.loads(body)
            link = receipt["credentialSubject"]["chain"]
            number = int(link["chain_id"].partition(":")[2])
            places.append((number, link["sequence"]))
            chains.setdefault(number, []).append(receipt)
        if places != sorted(set(places)):
            self.wrong.append("receipts came out of order")
        for number, left in enumerate(lives):
            chain = chains.get(number, [])
            if len(chain) < max(left[APPENDED], left[RETURNED]):
                self.wrong.append(f"chain {number}: {left[APPENDED]} appended, {len(chain)} came")
            if chain:
                report = verify_chain(chain, material.PUBLIC)
                if report.verdict.value != "verified" or report.receipts != len(chain):
                    self.wrong.append(f"chain {number}: {report.codes()}")
        self.receipts += len(bodies)
        self.replayed += sum(left[REPLAYED] for left in lives)
        self.repeated += counts["repeated"]
        self.refused += counts["refused"]


def one_round(folder: Path, kind: str, kills: int, dice: random.Random, tally: Tally) -> None:
    """Kill so often, deliver the rest, and look."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.faults.collector", "0.03"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as collector:
        try:
            assert collector.stdout is not None
            port = int(collector.stdout.readline())
            lives: list[list[int]] = []
            counted = 0
            while counted < kills:
                lives.append(one_life(folder, kind, port, len(lives), dice))
                counted += lives[-1][APPENDED] > 0 and lives[-1][WAITING] > 0
                tally.starting += not lives[-1][IS_OPEN]
            wal = opened(folder, kind)
            emitter = emitter_of(wal, port)
            while emitter.replay().remaining:
                pass  # busy
            if emitter.dead_letters:
                tally.wrong.append("there are dead letters")
            emitter.close()
            tally.kills += len(lives)
            tally.counted += counted
            tally.check(port, lives)
        finally:
            collector.kill()


def main(folder: str, kills: str, seed: str, kind: str = "file") -> None:
    """Run rounds until there are enough kills, and print what was seen."""
    dice, tally = random.Random(int(seed)), Tally()
    began = time.monotonic()
    for module in LAZY_MODULES:
        importlib.import_module(module)
    gc.freeze()
    number = 0
    while tally.counted < int(kills) and not tally.wrong:
        number += 1
        left = min(ROUND_KILLS_MAX, int(kills) - tally.counted)
        one_round(Path(folder) / str(number), kind, left, dice, tally)
    seen = {**vars(tally), "wrong": tally.wrong[:5], "seconds": time.monotonic() - began}
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
