# SPDX-License-Identifier: Apache-2.0
"""Batches: by size and by time, in order, and nothing that failed is ever thrown away."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from tests.deliveries import Collector, receipts, sequences

from tallystick import BufferingEmitter, EmitError, InMemoryEmitter
from tallystick.errors import RefusedInput

HOUR_MS = 60 * 60 * 1000


def buffering(inner: Any, size: int = 3, interval_ms: int = HOUR_MS, **more: int) -> Any:
    return BufferingEmitter(inner, size=size, interval_ms=interval_ms, **more)


def test_size() -> None:
    """Nothing is delivered before enough have come together, and then all, in order."""
    inner = InMemoryEmitter()
    emitter = buffering(inner)
    for count, receipt in enumerate(receipts(7), 1):
        emitter.emit(receipt)
        assert len(inner.receipts) == count // 3 * 3
        assert len(emitter) == count % 3
    emitter.close()
    assert inner.receipts == tuple(receipts(7))
    assert not emitter.acknowledges


def test_interval() -> None:
    """A receipt does not wait for others longer than the interval."""
    inner = InMemoryEmitter()
    emitter = buffering(inner, size=100, interval_ms=30)
    for receipt in receipts(2):
        emitter.emit(receipt)
        assert inner.receipts == ()
    wait_for(lambda: len(inner.receipts) == 2)
    emitter.emit(receipts(3)[2])
    wait_for(lambda: len(inner.receipts) == 3)
    assert inner.receipts == tuple(receipts(3))
    emitter.close()


def wait_for(condition: Any, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def test_failures_keep_their_receipts() -> None:
    """Who makes the delivery fail is told; all receipts stay, in order, until it works."""
    far = Collector()
    far.is_down()
    emitter = buffering(far)
    first, second, third, fourth = receipts(4)
    emitter.emit(first)
    emitter.emit(second)
    with pytest.raises(EmitError, match="3 receipts stay buffered") as caught:
        emitter.emit(third)
    assert caught.value.is_transient
    assert far.calls == 1  # the first failure ends the batch
    emitter.emit(fourth)  # nothing new is due yet
    assert emitter.flush() == 4
    far.is_up()
    assert emitter.flush() == 0
    assert sequences(far.received) == [1, 2, 3, 4]
    emitter.close()


def test_failures_of_the_clockwork_are_told_at_the_next_call() -> None:
    """What fails in the background is raised by the next emit; its own receipt is taken."""
    far = Collector()
    far.is_down()
    emitter = buffering(far, size=100, interval_ms=10)
    first, second = receipts(2)
    emitter.emit(first)
    wait_for(lambda: far.calls >= 2)
    with pytest.raises(EmitError, match="nobody listens"):
        emitter.emit(second)
    assert len(emitter) == 2
    far.is_up()
    wait_for(lambda: len(emitter) == 0)
    assert sequences(far.received) == [1, 2]
    emitter.close()


def test_a_refused_receipt_holds_up_nobody() -> None:
    """What is refused for good stays, and what is behind it is delivered."""
    far = Collector()
    far.refuses(2)
    emitter = buffering(far)
    first, second, third = receipts(3)
    emitter.emit(first)
    emitter.emit(second)
    with pytest.raises(EmitError, match="1 receipts stay buffered") as caught:
        emitter.emit(third)
    assert caught.value.status == 400
    assert sequences(far.received) == [1, 3]
    with pytest.raises(EmitError, match="closed with 1 receipts"):
        emitter.close()
    far.is_up()
    assert emitter.flush() == 0
    assert sequences(far.received) == [1, 3, 2]


def test_foreign_errors_keep_receipts_too() -> None:
    """An emitter of somebody else may raise anything."""
    far = Collector()
    far.rule = _raising(ValueError("odd"))
    emitter = buffering(far, size=1)
    with pytest.raises(EmitError, match="odd") as caught:
        emitter.emit(receipts(1)[0])
    assert isinstance(caught.value.__cause__, ValueError)
    far.is_up()
    emitter.close()
    assert sequences(far.received) == [1]


def _raising(fault: Exception) -> Any:
    def rule(receipt: object) -> None:
        raise fault

    return rule


def test_a_receipt_is_buffered_once() -> None:
    """A caller that was told of a failure, and emits again, makes no second copy."""
    far = Collector()
    far.is_down()
    emitter = buffering(far, size=1)
    for _ in range(3):
        try:
            emitter.emit(receipts(1)[0])
        except EmitError:
            pass
    assert len(emitter) == 1
    far.is_up()
    emitter.close()
    assert far.calls >= 2


def test_a_full_buffer_takes_no_more() -> None:
    """It raises before it takes anything, and goes on when there is room again."""
    far = Collector()
    far.is_down()
    emitter = buffering(far, size=2, capacity=3)
    for receipt in receipts(3):
        try:
            emitter.emit(receipt)
        except EmitError:
            pass
    with pytest.raises(EmitError, match="3 receipts are buffered already") as caught:
        emitter.emit(receipts(4)[3])
    assert caught.value.is_transient
    assert len(emitter) == 3
    far.is_up()
    assert emitter.flush() == 0
    emitter.emit(receipts(4)[3])
    emitter.close()
    assert sequences(far.received) == [1, 2, 3, 4]


def test_flush_has_a_deadline() -> None:
    """Between two receipts the time is looked at; what remains is counted."""
    far = Collector()
    far.rule = lambda receipt: time.sleep(0.05)
    emitter = buffering(far, size=100)
    for receipt in receipts(20):
        emitter.emit(receipt)
    assert 10 < emitter.flush(deadline_ms=120) < 20
    far.is_up()
    emitter.close()
    assert sequences(far.received) == list(range(1, 21))


def test_many_threads() -> None:
    """64 threads: nothing is lost, nothing twice, and each thread's receipts in its order."""
    chain = receipts(320)
    far = Collector()
    emitter = buffering(far, size=7, interval_ms=5)
    threads = [
        threading.Thread(target=lambda part=part: [emitter.emit(one) for one in part])
        for part in (chain[index::64] for index in range(64))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    emitter.close()
    assert sorted(sequences(far.received)) == list(range(1, 321))
    assert far.calls == 320
    for index in range(64):
        part = [place for place in sequences(far.received) if (place - 1) % 64 == index]
        assert part == sorted(part)


def test_closing() -> None:
    """A closed buffer takes nothing; the context manager closes, and hides no other error."""
    inner = InMemoryEmitter()
    with buffering(inner) as emitter:
        emitter.emit(receipts(1)[0])
    assert len(inner.receipts) == 1
    with pytest.raises(EmitError, match="closed"):
        emitter.emit(receipts(1)[0])
    far = Collector()
    far.is_down()
    with pytest.raises(EmitError, match="closed with 1"), buffering(far) as emitter:
        emitter.emit(receipts(1)[0])
    with pytest.raises(KeyError), buffering(far) as emitter:
        _emit_and_fail(emitter)


def _emit_and_fail(emitter: Any) -> None:
    emitter.emit(receipts(1)[0])
    raise KeyError


def test_the_clockwork_ends() -> None:
    """After `close` its thread is gone."""
    emitter = buffering(InMemoryEmitter(), interval_ms=20)
    assert emitter._clockwork is None
    emitter.emit(receipts(1)[0])
    clockwork: Any = emitter._clockwork
    assert clockwork.is_alive()
    emitter.close()
    wait_for(lambda: not clockwork.is_alive())


def test_the_end_of_a_program_flushes() -> None:
    """A program that ends without `close` delivers what it holds, or says how much it loses."""
    program = """
import sys
from tallystick import BufferingEmitter, EmitError
from tests.deliveries import receipts
class Far:
    def emit(self, receipt):
        if sys.argv[1] == "down": raise EmitError("away", is_transient=True)
        sys.stdout.write(f"{receipt.link.sequence} ")
e = BufferingEmitter(Far(), size=100, interval_ms=3_600_000)
for r in receipts(3): e.emit(r)
"""
    for state, out, err in (
        ("up", "1 2 3 ", ""),
        ("down", "", "the program ends with 3 receipts in a buffer\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, state], capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == (out, err)


def test_a_fork_leaves_the_buffer_to_the_parent() -> None:
    """The child begins with an empty buffer and a clockwork of its own."""
    program = """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from tallystick import BufferingEmitter
from tests.deliveries import receipts
class Far:
    def emit(self, receipt): os.write(1, b"%s %d\\n" % (who, receipt.link.sequence))
who, (first, second) = b"parent", receipts(2)
e = BufferingEmitter(Far(), size=100, interval_ms=3_600_000)
e.emit(first)
if child := os.fork(): os.waitpid(child, 0)
else:
    who = b"child"
    e.emit(second)
e.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["child 2", "parent 1"]


@pytest.mark.parametrize(
    "settings",
    [
        {"size": 0, "interval_ms": 1},
        {"size": 1, "interval_ms": 0},
        {"size": 5, "interval_ms": 1, "capacity": 4},
        {"size": 1, "interval_ms": 1, "capacity": 0},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, int]) -> None:
    """Each is refused when the emitter is made."""
    with pytest.raises(RefusedInput, match="must be a whole number"):
        BufferingEmitter(InMemoryEmitter(), **settings)


def test_repr_shows_how_much_waits(caplog: pytest.LogCaptureFixture) -> None:
    """One sees where receipts go, and how many have not."""
    emitter = buffering(InMemoryEmitter())
    emitter.emit(receipts(1)[0])
    assert repr(emitter) == "BufferingEmitter(InMemoryEmitter(0 receipts), 1 buffered)"
    with caplog.at_level(logging.WARNING, logger="tallystick.deliver"):
        emitter._finish()
    assert not caplog.records
