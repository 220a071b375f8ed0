# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: flush, and say in the chain if something remained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from tests.daemons import PATIENCE_S, wait_until

from tallystick.deliver.sigterm import install_sigterm_flush


class Chain:
    """Notes how it was closed."""

    def __init__(self) -> None:
        self.closed_as: str | None = None
        self.undelivered = 0

    @property
    def is_closed(self) -> bool:
        return self.closed_as is not None

    def close(self, status: str = "complete") -> Any:
        self.closed_as = status


class Flushing:
    """Has so many receipts left after a flush."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.deadline: int | None = None

    def flush(self, deadline_ms: int = 0) -> int:
        self.deadline = deadline_ms
        return self.left


@pytest.mark.parametrize(
    ("left", "undelivered", "closed_as"),
    [(0, 0, None), (3, 0, "interrupted"), (0, 1, "interrupted")],
)
def test_what_remains_decides(left: int, undelivered: int, closed_as: str | None) -> None:
    """What is left, in emitter or chain, closes it; the earlier handler runs after it."""
    seen: list[int] = []
    original = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        chain, emitter = Chain(), Flushing(left)
        chain.undelivered = undelivered
        remove = install_sigterm_flush(emitter, chain, deadline_ms=500)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: seen)
        assert seen == [signal.SIGTERM]
        assert emitter.deadline == 500
        assert chain.closed_as == closed_as
        remove()
        assert signal.getsignal(signal.SIGTERM) is not original
    finally:
        signal.signal(signal.SIGTERM, original)


PROGRAM = """
import sys, time
from tallystick import KeyPair, generate_key_pair
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.deliver.local_file import FileEmitter
from tallystick.deliver.sigterm import install_sigterm_flush
class Left:
    def flush(self, deadline_ms=2000):
        return 1
emitter = FileEmitter(sys.argv[1])
keys = generate_key_pair()
print(keys.public_key, flush=True)
chain = ReceiptChain(signer=keys, issuer={"id": "a"}, principal={"id": "u"}, emitter=emitter)
install_sigterm_flush(Left(), chain)
print("ready", flush=True)
while True:
    chain.emit({"type": "filesystem.file.read"}, {"status": "success"})
"""


def test_a_busy_process_closes_its_chain(tmp_path: Any) -> None:
    """In the middle of emitting: the chain ends as interrupted, verified, exit status 143."""
    from tallystick import verify_chain

    path = tmp_path / "receipts.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    text = ""
    while not text.endswith("ready\n"):
        text += process.stdout.readline()
    time.sleep(0.2)
    process.terminate()
    assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    process.stdout.close()
    report = verify_chain(path.read_bytes(), text.removesuffix("ready\n")).ensure()
    assert report.chains[0].termination == "interrupted"


BUSY = """
import signal, sys, threading, time
from tallystick.deliver.sigterm import install_sigterm_flush
turn = threading.Lock()
class Chain:
    is_closed = False
    def close(self, status="complete"):
        print("closed as", status, flush=True)
        if len(sys.argv) > 1: time.sleep(60)
class Flushing:
    def flush(self, deadline_ms=2000):
        is_free = turn.acquire(timeout=deadline_ms / 1000)
        return 0 if is_free and len(sys.argv) < 2 else 1
def stop(number, frame):
    print("stopped in", threading.current_thread().name, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
install_sigterm_flush(Flushing(), Chain(), deadline_ms=500 if len(sys.argv) > 1 else 30_000)
with turn:
    print("ready", flush=True)
    end = time.monotonic() + 0.3
    while time.monotonic() < end: time.sleep(0.01)
time.sleep(60)
"""


def busy(*arguments: str) -> tuple[int, str]:
    """Send SIGTERM to a program whose main thread is inside of a delivery just then."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    said, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


def test_the_main_thread_ends_what_it_is_doing() -> None:
    """SIGTERM in the middle of a delivery by the main thread: it is finished and nothing remains;
    only then the earlier handler runs, in the main thread."""
    assert busy() == (0, "stopped in MainThread\n")


def test_an_end_that_hangs_is_not_waited_for() -> None:
    """The terminal receipt gets as much time as the flush, and then the program goes on to its
    end."""
    assert busy("hangs") == (0, "closed as interrupted\nstopped in MainThread\n")
