# SPDX-License-Identifier: Apache-2.0
"""`HttpEmitter` in processes that fork, end, are interrupted by signals, or only queue receipts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.deliveries import receipts
from tests.leaks import everything_shown_by
from tests.misbehaving import Collector, Exchange, answer, closing, drop

from tallystick import BearerAuth, EmitError, HttpEmitter, HttpEmitterConfig, RetryConfig

ROOT = Path(__file__).resolve().parent.parent.parent
RECEIPT = receipts(1)[0]
TOKEN = "tok-77e0a9"

PROLOGUE = """
import os, signal, sys, threading, time, warnings
from tallystick import *
from tests.deliveries import receipts
CHAIN = receipts(50)
def emitter(**settings):
    return HttpEmitter(HttpEmitterConfig(sys.argv[1], **settings))
"""


def run(program: str, collector: Collector, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own; it must end by itself."""
    return subprocess.run(
        [sys.executable, "-c", PROLOGUE + program, collector.url],
        env=os.environ
        | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONWARNINGS": "error"}
        | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def background(url: str, **settings: Any) -> HttpEmitter:
    settings = dict[str, Any](retry=RetryConfig(max_attempts=2), auth=BearerAuth(TOKEN)) | settings
    config = HttpEmitterConfig(url, strategy="fire-and-forget", **settings)
    return HttpEmitter(config, sleep=lambda _: None)


def ids_of(bodies: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(bodies))


def test_one_worker_delivers_in_order() -> None:
    """100 receipts are queued at once, and one thread delivers them in order."""
    before = threading.active_count()
    with Collector() as collector:
        threads = threading.active_count()
        emitter = background(collector.url)
        for receipt in receipts(100):
            emitter.emit(receipt)
        assert threading.active_count() <= threads + 2  # ours, and the collector's for it
        assert emitter.flush(5_000) == 0
        emitter.close()
    assert collector.bodies == [receipt.to_json() for receipt in receipts(100)]
    assert collector.connections == 1
    assert (emitter.dropped, emitter.failures, emitter.acknowledges) == (0, (), False)
    assert threading.active_count() <= before + 1  # the worker may still be on its way out


def test_a_failure_is_told_at_the_next_call() -> None:
    """What failed is raised by the next emit, whose own receipt is queued all the same."""
    first, second, third = receipts(3)
    with Collector(drop, drop, answer(201)) as collector:
        emitter = background(collector.url)
        emitter.emit(first)
        assert emitter.flush(5_000) == 0
        with pytest.raises(EmitError) as caught:
            emitter.emit(second)
        emitter.emit(third)
        emitter.close()
    assert collector.bodies[2:] == [second.to_json(), third.to_json()]
    assert first.id in str(caught.value)
    assert "this one is queued" in str(caught.value)
    assert emitter.dropped == 1
    assert [failure.receipt_id for failure in emitter.failures] == [first.id]
    assert TOKEN not in everything_shown_by(caught.value) + repr(emitter.failures)


def test_the_last_failure_is_told_by_close() -> None:
    """Without another call, `close` raises; but never over another error of a `with` block."""
    with Collector(answer(400)) as collector:
        emitter = background(collector.url)
        emitter.emit(RECEIPT)
        with pytest.raises(EmitError, match="400") as caught:
            emitter.close()
        assert caught.value.status == 400
        emitter.close()
        with pytest.raises(KeyError), background(collector.url) as another:
            emit_and_fail(another)


def emit_and_fail(emitter: HttpEmitter) -> None:
    emitter.emit(RECEIPT)
    raise KeyError


def test_a_full_queue_is_told_at_once() -> None:
    """A receipt that finds no room is counted and raised, and nothing blocks."""
    go_on = threading.Event()

    def when_told(exchange: Exchange) -> bool:
        go_on.wait(10)
        return answer(201)(exchange)

    with Collector(when_told) as collector:
        emitter = background(collector.url, queue_size=3)
        for receipt in receipts(3):
            emitter.emit(receipt)
        with pytest.raises(EmitError, match="3 receipts wait already") as caught:
            emitter.emit(receipts(4)[3])
        assert caught.value.is_transient
        assert emitter.flush(30) == 3
        go_on.set()
        emitter.close()
    assert emitter.dropped == 1
    assert emitter.failures[0].receipt_id == receipts(4)[3].id
    assert len(collector.requests) == 3


def test_what_close_can_not_deliver_is_dropped_and_told() -> None:
    """After its deadline `close` counts and names what is left."""
    with Collector(lambda exchange: exchange.is_over.wait(5)) as collector:
        emitter = background(collector.url)
        for receipt in receipts(3):
            emitter.emit(receipt)
        start = time.monotonic()
        with pytest.raises(EmitError, match="3 of the receipts before were not delivered"):
            emitter.close(deadline_ms=100)
        assert time.monotonic() - start < 4
    assert emitter.dropped == 3
    with pytest.raises(EmitError, match="closed"):
        emitter.emit(RECEIPT)


def test_many_threads_queue() -> None:
    """64 threads queue together: each receipt arrives once, and one worker delivers."""
    chain = receipts(320)
    with Collector() as collector:
        emitter = background(collector.url)
        threads = [
            threading.Thread(target=lambda part=part: list(map(emitter.emit, part)))
            for part in (chain[index::64] for index in range(64))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        emitter.close(deadline_ms=20_000)
    assert sorted(collector.bodies) == sorted(receipt.to_json() for receipt in chain)
    assert collector.connections == 1


def test_cloud_run_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """`K_SERVICE` and fire-and-forget together warn; either alone does not."""
    with caplog.at_level(logging.WARNING, logger="tallystick.deliver"):
        HttpEmitter(HttpEmitterConfig("https://c.example"), environ={"K_SERVICE": "x"})
        config = HttpEmitterConfig("https://c.example", strategy="fire-and-forget")
        HttpEmitter(config, environ={})
        assert not caplog.records
        HttpEmitter(config, environ={"K_SERVICE": "x"})
    (record,) = caplog.records
    assert "Cloud Run" in record.getMessage()


def test_the_end_of_a_program_flushes() -> None:
    """A program that ends without `close` still delivers what it queued."""
    with Collector() as collector:
        done = run("e = emitter(strategy='fire-and-forget')\nfor r in CHAIN: e.emit(r)", collector)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(ids_of(collector.bodies)) == 50


def test_the_end_of_a_program_flushes_from_the_outside_in() -> None:
    """A buffer in front of a queue is emptied into it while the queue still delivers."""
    program = """
e = BufferingEmitter(emitter(strategy='fire-and-forget'), size=100, interval_ms=3_600_000)
for r in CHAIN: e.emit(r)
"""
    with Collector() as collector:
        done = run(program, collector)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(ids_of(collector.bodies)) == 50


def test_the_end_of_a_program_says_what_is_lost() -> None:
    """What can't be delivered in the last moment is said on the error stream."""
    with Collector(lambda exchange: exchange.is_over.wait(20)) as collector:
        done = run("e = emitter(strategy='fire-and-forget')\nfor r in CHAIN: e.emit(r)", collector)
    assert done.returncode == 0
    assert "ends with 50 receipts in a fire-and-forget queue" in done.stderr


@pytest.mark.parametrize("strategy", ["sync", "fire-and-forget"])
def test_forks_keep_their_connections_apart(strategy: str) -> None:
    """Parent and children emit at the same time: each has connections and a queue of its own."""
    program = """
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forks with threads
e = emitter(strategy=%r)
e.emit(CHAIN[0])
children = []
for part in (CHAIN[10:20], CHAIN[20:30], CHAIN[30:40]):
    child = os.fork()
    if child == 0:
        for r in part: e.emit(r)
        e.close(10_000)
        os._exit(0)
    children.append(child)
for r in CHAIN[1:10]: e.emit(r)
print([os.waitpid(child, 0)[1] for child in children])
e.close(10_000)
"""
    with Collector() as collector:
        done = run(program % strategy, collector)
    assert (done.stdout, done.stderr) == ("[0, 0, 0]\n", "")
    expected = {receipt.to_json() for receipt in receipts(50)[:40]}
    assert set(collector.bodies) == expected
    assert len(collector.bodies) == 40
    assert collector.connections == 4


def test_a_signal_handler_may_emit_and_flush() -> None:
    """A handler that emits, in the thread that is emitting just then, never locks up."""
    program = """
e, interrupted = emitter(), 0
def handler(number, frame):
    global interrupted
    interrupted += 1
    e.emit(CHAIN[1]); e.flush(deadline_ms=100)
e.emit(CHAIN[0])
signal.signal(signal.SIGALRM, handler)
for i in range(100_000):
    signal.setitimer(signal.ITIMER_REAL, 0.00001 + i % 30 * 0.00002)
    e.emit(CHAIN[0])
    if interrupted > 50:
        break
signal.setitimer(signal.ITIMER_REAL, 0)
print(interrupted > 50)
"""
    with Collector() as collector:
        done = run(program, collector)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert len(ids_of(collector.bodies)) == 2


def test_a_signal_handler_that_raises_leaves_no_half_answer() -> None:
    """Interrupted in the middle of an exchange, a connection is not used again."""
    program = """
warnings.simplefilter("ignore", ResourceWarning)  # raised between two instructions of ours
class Stop(Exception): pass
def handler(number, frame): raise Stop
signal.signal(signal.SIGALRM, handler)
e = emitter()
e.emit(CHAIN[0])
stopped = 0
for r in CHAIN:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        e.emit(r)
        time.sleep(1)
    except Stop: stopped += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
e.emit(CHAIN[0])
print(stopped)
"""

    def late(exchange: Exchange) -> bool:
        time.sleep(0.001)
        return answer(201)(exchange)

    with Collector(late) as collector:
        done = run(program, collector)
    assert (done.stdout, done.stderr) == ("50\n", "")
    assert collector.bodies.count(receipts(1)[0].to_json()) >= 2


def test_the_cold_start_opens_nothing() -> None:
    """Making an emitter, credential and all, loads no socket, TLS or HTTP module."""
    program = """
e = emitter(auth=BearerAuth("t"), allow_insecure=True)
print(*[m for m in ("socket", "ssl", "http.client", "urllib3", "email", "select", "tempfile")
        if m in sys.modules])
"""
    with Collector() as collector:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys\nfrom tallystick import *\n"
                "def emitter(**s): return HttpEmitter(HttpEmitterConfig(sys.argv[1], **s))\n"
                + program,
                collector.url,
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "\n"
    assert collector.connections == 0


def test_a_server_that_closes_does_not_disturb_the_worker() -> None:
    """The worker copes with a collector that hangs up after each answer."""
    with Collector(closing(answer(201))) as collector:
        emitter = background(collector.url)
        for receipt in receipts(10):
            emitter.emit(receipt)
        emitter.close(5_000)
    assert len(collector.requests) == 10
