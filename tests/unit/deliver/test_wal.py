# SPDX-License-Identifier: Apache-2.0
"""Journal first, deliver in order, clear on acknowledgement; each caller learns of its own."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.deliveries import Collector, receipts, sequences
from tests.interrupts import interrupted

from tallystick.deliver.composite import CompositeEmitter
from tallystick.deliver.file_wal import FileWal
from tallystick.deliver.http import HttpEmitter, HttpEmitterConfig
from tallystick.deliver.memory_wal import MemoryWal
from tallystick.deliver.wal import Replay, WalEmitter
from tallystick.errors import CompositeEmitError, EmitError, SettingError, WalError, WalFullError
from tallystick.model.receipt import Receipt
from tallystick.ports import Emitter, Wal

MakeWal = Callable[[], Wal]


@pytest.fixture(params=["file", "memory"])
def make_wal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeWal]:
    """Make write-ahead logs of both kinds, and close them afterwards."""
    made: list[Wal] = []

    def make() -> Wal:
        if request.param == "file":
            made.append(FileWal(tmp_path / f"wal-{len(made)}"))
        else:
            made.append(MemoryWal())
        return made[-1]

    yield make
    for wal in made:
        wal.close()


def test_what_is_acknowledged_is_forgotten(make_wal: MakeWal) -> None:
    """In the good case the collector has everything in order, and the log is empty."""
    collector, wal = Collector(), make_wal()
    emitter = WalEmitter(inner=collector, wal=wal)
    for receipt in receipts(5):
        emitter.emit(receipt)
    assert collector.received == receipts(5)
    assert len(wal) == emitter.pending == 0
    assert not emitter.dead_letters
    assert isinstance(emitter, Emitter)


def test_the_log_has_it_before_the_collector(make_wal: MakeWal) -> None:
    """Delivery begins when the receipt is kept, and the log forgets after it has ended."""
    collector, wal = Collector(), make_wal()
    kept: list[list[Receipt]] = []
    collector.rule = lambda receipt: kept.append(list(wal.pending()))
    WalEmitter(inner=collector, wal=wal).emit(receipts(1)[0])
    assert kept == [receipts(1)]


def test_a_failure_is_told_and_the_receipt_is_kept(make_wal: MakeWal) -> None:
    """The error says which receipt, that and where it is kept, and why; the cause is the emitter's
    error. What is kept in memory is not said to be safe: what would keep it on disk is named."""
    collector, wal = Collector(), make_wal()
    collector.is_down()
    emitter = WalEmitter(inner=collector, wal=wal)
    said = "is kept and not yet delivered: nobody listens"
    if isinstance(wal, MemoryWal):
        said = (
            "is kept in the memory of this process and not yet delivered "
            "(set TALLY_WAL, or give a FileWal, to keep it on disk): nobody listens"
        )
    with pytest.raises(EmitError, match=re.escape(said)) as caught:
        emitter.emit(receipts(1)[0])
    assert caught.value.is_transient
    assert isinstance(caught.value.__cause__, EmitError)
    assert receipts(1)[0].id in str(caught.value)
    assert list(wal.pending()) == receipts(1)


def test_older_receipts_go_first(make_wal: MakeWal) -> None:
    """An emit after failed ones delivers the older before its own."""
    collector, wal = Collector(), make_wal()
    emitter = WalEmitter(inner=collector, wal=wal)
    collector.is_down()
    for receipt in receipts(3):
        with pytest.raises(EmitError):
            emitter.emit(receipt)
    assert collector.calls == 3  # the head of the line, each time
    collector.is_up()
    emitter.emit(receipts(4)[3])
    assert sequences(collector.received) == [1, 2, 3, 4]
    assert emitter.pending == 0


def test_a_line_that_stops_in_the_middle_goes_on_there(make_wal: MakeWal) -> None:
    """What was delivered before a failure is not delivered again."""
    collector, wal = Collector(), make_wal()
    for receipt in receipts(4):
        wal.append(receipt)
    emitter = WalEmitter(inner=collector, wal=wal)

    def rule(receipt: Receipt) -> None:
        if receipt.link.sequence == 3:
            raise EmitError("busy", is_transient=True)

    collector.rule = rule
    assert emitter.replay() == Replay(delivered=2, remaining=2)
    assert emitter.replay() == Replay(delivered=0, remaining=2)
    collector.is_up()
    assert emitter.replay() == Replay(delivered=2, remaining=0)
    assert sequences(collector.received) == [1, 2, 3, 4]
    assert collector.calls == 3 + 1 + 2


def test_a_refused_receipt_does_not_block_the_others(make_wal: MakeWal) -> None:
    """It becomes a dead letter with the collector's words; what is behind it goes through."""
    collector, wal = Collector(), make_wal()
    collector.refuses(2)
    emitter = WalEmitter(inner=collector, wal=wal)
    emitter.emit(receipts(1)[0])
    said = "was refused and is kept as a dead letter: "
    if isinstance(wal, MemoryWal):
        said = "is kept as a dead letter in the memory of this process (set TALLY_WAL, or give"
    with pytest.raises(EmitError, match=re.escape(said)) as caught:
        emitter.emit(receipts(2)[1])
    assert caught.value.status == 400
    assert not caught.value.is_transient
    emitter.emit(receipts(3)[2])
    assert sequences(collector.received) == [1, 3]
    (letter,) = emitter.dead_letters
    assert (letter.receipt_id, letter.reason) == (receipts(2)[1].id, "answered 400")
    assert letter.receipt() == receipts(2)[1]
    assert emitter.pending == 0


def test_a_dead_letter_can_be_tried_again(make_wal: MakeWal) -> None:
    """Emitting it is a new try; it stays a dead letter only where it is refused again."""
    collector, wal = Collector(), make_wal()
    collector.refuses(1)
    emitter = WalEmitter(inner=collector, wal=wal)
    for _ in range(2):
        with pytest.raises(EmitError, match="dead letter"):
            emitter.emit(receipts(1)[0])
    (letter,) = list(emitter.dead_letters)
    collector.is_up()
    emitter.emit(letter.receipt())
    assert not emitter.dead_letters
    assert collector.received == receipts(1)


def test_replay_sets_refused_receipts_aside(make_wal: MakeWal) -> None:
    """A backlog with refused receipts is delivered but for those, and the count says so."""
    collector, wal = Collector(), make_wal()
    for receipt in receipts(6):
        wal.append(receipt)
    collector.refuses(1, 4)
    emitter = WalEmitter(inner=collector, wal=wal)
    done = emitter.replay()
    assert (done.delivered, done.remaining, done.set_aside) == (4, 0, 2)
    assert sequences(collector.received) == [2, 3, 5, 6]


def test_a_wrong_setting_holds_the_line(make_wal: MakeWal) -> None:
    """A status that is not about the receipt makes no dead letters: all goes once it is right."""
    collector, wal = Collector(), make_wal()

    def rule(receipt: Receipt) -> None:
        raise EmitError("answered 401", status=401, is_transient=True)

    collector.rule = rule
    emitter = WalEmitter(inner=collector, wal=wal)
    for receipt in receipts(2):
        with pytest.raises(EmitError) as caught:
            emitter.emit(receipt)
        assert caught.value.status == 401
    assert not emitter.dead_letters
    collector.is_up()
    assert emitter.replay().delivered == 2


def test_several_places_refuse_together(make_wal: MakeWal) -> None:
    """A receipt is dead when all who failed refused it; while one may still take it, it waits."""
    first, second, wal = Collector(), Collector(), make_wal()
    emitter = WalEmitter(inner=CompositeEmitter([first, second]), wal=wal)
    first.refuses(1)
    second.is_down()
    with pytest.raises(EmitError, match="not yet delivered") as caught:
        emitter.emit(receipts(1)[0])
    assert caught.value.is_transient
    assert isinstance(caught.value.__cause__, CompositeEmitError)
    second.is_up()
    assert emitter.replay().set_aside == 1
    assert second.received == receipts(1)


def test_an_unknown_error_is_a_failure_for_now(make_wal: MakeWal) -> None:
    """What somebody else's emitter raises is named, not quoted: we don't know what it holds."""
    collector, wal = Collector(), make_wal()

    def rule(receipt: Receipt) -> None:
        raise KeyError("token=secret")

    collector.rule = rule
    emitter = WalEmitter(inner=collector, wal=wal)
    with pytest.raises(EmitError, match="KeyError in the emitter") as caught:
        emitter.emit(receipts(1)[0])
    assert "secret" not in str(caught.value)
    assert caught.value.is_transient
    assert emitter.pending == 1


def test_an_interrupt_keeps_the_receipt(make_wal: MakeWal) -> None:
    """Ctrl-C in a delivery goes through, and the next emit delivers both."""
    collector, wal = Collector(), make_wal()

    def rule(receipt: Receipt) -> None:
        raise KeyboardInterrupt

    collector.rule = rule
    emitter = WalEmitter(inner=collector, wal=wal)
    with pytest.raises(KeyboardInterrupt):
        emitter.emit(receipts(1)[0])
    collector.is_up()
    emitter.emit(receipts(2)[1])
    assert sequences(collector.received) == [1, 2]
    assert emitter._tickets == {}


class FullWal(MemoryWal):
    """A log that takes nothing."""

    def append(self, receipt: Receipt, /) -> None:
        """Refuse."""
        raise WalFullError("full")


def test_what_is_not_kept_is_not_sent() -> None:
    """An error of the log goes to the caller as it is, and the collector hears nothing."""
    collector = Collector()
    emitter = WalEmitter(inner=collector, wal=FullWal())
    with pytest.raises(WalFullError, match="full"):
        emitter.emit(receipts(1)[0])
    assert collector.calls == 0
    assert emitter._tickets == {}


def test_an_emitter_that_does_not_wait_is_refused() -> None:
    """Before an emitter that returns before delivery, a log would be cleared too early."""
    endpoint = "http://localhost:1"
    waits = HttpEmitter(HttpEmitterConfig(endpoint))
    fires = HttpEmitter(HttpEmitterConfig(endpoint, strategy="fire-and-forget"))
    assert WalEmitter(inner=waits, wal=MemoryWal()).acknowledges
    with pytest.raises(SettingError, match="HttpEmitter returns before the receipt is delivered"):
        WalEmitter(inner=fires, wal=MemoryWal())
    with pytest.raises(SettingError, match="CompositeEmitter returns before"):
        WalEmitter(inner=CompositeEmitter([waits, fires]), wal=MemoryWal())
    fires.close()


def test_one_drains_for_all_and_each_learns_of_its_own(make_wal: MakeWal) -> None:
    """64 threads: everything is delivered once, refused receipts raise where they were emitted."""
    collector, wal = Collector(), make_wal()
    refused = set(range(1, 65, 7))
    collector.refuses(*refused)
    emitter = WalEmitter(inner=collector, wal=wal)
    begin = threading.Barrier(64)
    outcomes: dict[int, str] = {}
    texts: dict[str, str] = {}

    def work(receipt: Receipt) -> None:
        begin.wait()
        try:
            emitter.emit(receipt)
        except EmitError as error:
            texts[receipt.id] = str(error)
            outcomes[receipt.link.sequence] = "refused"
        else:
            assert receipt in collector.received
            outcomes[receipt.link.sequence] = "delivered"

    threads = [threading.Thread(target=work, args=(receipt,)) for receipt in receipts(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {place for place, outcome in outcomes.items() if outcome == "refused"} == refused
    assert len(outcomes) == 64
    assert all(receipt_id in text for receipt_id, text in texts.items())
    assert collector.calls == 64
    assert emitter.pending == 0
    assert len(emitter.dead_letters) == len(refused)
    assert emitter._tickets == {}


def test_a_failure_is_told_to_all_who_wait_for_it(make_wal: MakeWal) -> None:
    """Callers behind a failed head don't each wait for the same failure."""
    collector, wal = Collector(), make_wal()
    emitter = WalEmitter(inner=collector, wal=wal)
    is_in, go_on = threading.Event(), threading.Event()

    def rule(receipt: Receipt) -> None:
        is_in.set()
        go_on.wait(10)
        raise EmitError("gave up", is_transient=True)

    collector.rule = rule
    faults: list[EmitError] = []

    def work(receipt: Receipt) -> None:
        try:
            emitter.emit(receipt)
        except EmitError as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(receipt,)) for receipt in receipts(8)]
    for thread in threads:
        thread.start()
    assert is_in.wait(10)
    while len(emitter._tickets) < 8:
        time.sleep(0.001)
    while not all(ticket.is_kept for (ticket,) in tuple(emitter._tickets.values())):
        time.sleep(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len({id(fault) for fault in faults}) == 8
    assert collector.calls == 1
    assert emitter.pending == 8


def test_two_callers_with_one_receipt_are_both_answered(make_wal: MakeWal) -> None:
    """The same receipt from two threads is one line in the log and one answer for both."""
    collector, wal = Collector(), make_wal()
    emitter = WalEmitter(inner=collector, wal=wal)
    begin = threading.Barrier(2)
    done: list[bool] = []

    def work() -> None:
        begin.wait()
        emitter.emit(receipts(1)[0])
        done.append(True)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [True, True]
    assert collector.received == receipts(1)
    emitter.replay()
    assert emitter.pending == 0


def test_flush_delivers_and_counts(make_wal: MakeWal) -> None:
    """With a collector that answers nothing remains; without one all does, and nothing raises."""
    collector, wal = Collector(), make_wal()
    emitter = WalEmitter(inner=collector, wal=wal)
    assert emitter.flush() == 0
    for receipt in receipts(3):
        wal.append(receipt)
    collector.is_down()
    assert emitter.flush() == 3
    collector.is_up()
    assert emitter.flush() == 0
    assert sequences(collector.received) == [1, 2, 3]


def test_flush_keeps_its_deadline(make_wal: MakeWal) -> None:
    """A collector that hangs costs the deadline and no more; the delivery goes on behind it."""
    collector, wal = Collector(), make_wal()
    hangs = threading.Event()
    collector.rule = lambda receipt: hangs.wait(10)
    for receipt in receipts(3):
        wal.append(receipt)
    emitter = WalEmitter(inner=collector, wal=wal)
    began = time.monotonic()
    assert emitter.flush(deadline_ms=100) == 3
    assert emitter.flush(deadline_ms=0) == 3
    assert time.monotonic() - began < 5
    hangs.set()
    while emitter.pending > 2:
        time.sleep(0.001)
    with emitter._turn:  # past its deadline, the first flush delivers nothing new
        assert collector.calls == 1
    assert emitter.flush() == 0


def test_flush_works_where_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter ends it starts no threads: then flush works in its caller's."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    collector, wal = Collector(), MemoryWal()
    wal.append(receipts(1)[0])
    assert WalEmitter(inner=collector, wal=wal).flush() == 0
    assert collector.received == receipts(1)


def test_flush_from_a_signal_handler_does_not_hang(tmp_path: Path) -> None:
    """The handler runs in a thread that holds every lock of the log, and still comes back."""
    collector = Collector()
    wal = FileWal(tmp_path / "wal")
    wal.append(receipts(1)[0])
    emitter = WalEmitter(inner=collector, wal=wal)
    remaining: list[int] = []

    def handle(number: int, frame: object) -> None:
        remaining.append(emitter.flush(deadline_ms=50))

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with wal._guard, emitter._turn, emitter._guard:
            os.kill(os.getpid(), signal.SIGUSR1)
            while not remaining:
                pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert remaining == [1]
    emitter.close()
    assert collector.received == receipts(1)


def test_emit_inside_emit_is_refused_and_does_not_hang() -> None:
    """A handler that emits while its own thread is emitting gets an error instead of a deadlock."""
    collector = Collector()
    emitter = WalEmitter(inner=collector, wal=MemoryWal())
    inner: list[WalError] = []

    def rule(receipt: Receipt) -> None:
        try:
            emitter.emit(receipts(2)[1])
        except WalError as error:  # not EmitError: nothing is kept of that receipt
            inner.append(error)

    collector.rule = rule
    emitter.emit(receipts(1)[0])
    assert "only from another thread" in str(inner[0])
    collector.is_up()
    emitter.emit(receipts(2)[1])
    assert sequences(collector.received) == [1, 2]


def test_an_interrupt_leaves_the_way_free() -> None:
    """Ctrl-C at each point of `emit`: the same thread emits again, and all arrives in order."""
    point, is_there = 0, True
    while is_there:
        point += 1
        collector = Collector()
        emitter = WalEmitter(inner=collector, wal=MemoryWal())
        first, second = receipts(2)
        is_there = interrupted(("deliver/wal.py",), point, functools.partial(emitter.emit, first))
        emitter.emit(first)
        emitter.emit(second)
        assert sequences(collector.received) == [1, 2]
        assert emitter.pending == 0
    assert point > 10


class Closing(Collector):
    """A collector's emitter that can be closed."""

    is_closed = False

    def close(self) -> None:
        """Remember that."""
        self.is_closed = True


def test_close_tries_once_more_and_lets_go(tmp_path: Path) -> None:
    """Leaving the block delivers what waited, closes the emitter inside, and unlocks the log."""
    inner = Closing()
    inner.is_down()
    with WalEmitter(inner=inner, wal=FileWal(tmp_path / "wal")) as emitter:
        with pytest.raises(EmitError):
            emitter.emit(receipts(1)[0])
        inner.is_up()
    assert inner.received == receipts(1)
    assert inner.is_closed
    FileWal(tmp_path / "wal").close()
    with pytest.raises(WalError, match="is closed"):
        emitter.emit(receipts(1)[0])


def test_a_receipt_that_somebody_takes_out_is_said() -> None:
    """The caller is not told that it was delivered when nobody knows."""

    class Forgetful(MemoryWal):
        def append(self, receipt: Receipt, /) -> None:
            """Keep nothing."""

    with pytest.raises(EmitError, match="taken out of the log by somebody else"):
        WalEmitter(inner=Collector(), wal=Forgetful()).emit(receipts(1)[0])


FORKING = """
import os, sys, threading
from tallystick.deliver.file_wal import FileWal
from tallystick.deliver.memory_wal import MemoryWal
from tallystick.deliver.wal import WalEmitter
from tallystick.errors import WalError
from tests.deliveries import Collector, receipts

collector = Collector()
wal = FileWal(sys.argv[1]) if len(sys.argv) > 1 else MemoryWal()
wal.append(receipts(2)[0])
wal.append(receipts(2)[1])
wal.set_aside(receipts(2)[1].id, "no")
emitter = WalEmitter(inner=collector, wal=wal)

def hold():
    with emitter._turn, emitter._guard, wal._guard:
        is_held.set()
        let_go.wait(20)

is_held, let_go = threading.Event(), threading.Event()
threading.Thread(target=hold).start()
is_held.wait(20)
pid = os.fork()
if pid == 0:
    print(emitter.flush(), len(emitter.dead_letters), flush=True)
    try:
        emitter.emit(receipts(3)[2])
    except WalError as error:
        print(error, flush=True)
    print(len(collector.received), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
let_go.set()
print(emitter.flush(), len(emitter.dead_letters), len(collector.received))
"""


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_forked_child_delivers_nothing_twice(tmp_path: Path, kind: str) -> None:
    """What is pending stays with the parent; a lock that a thread held there hangs nobody."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, *([f"{tmp_path}/wal"] * (kind == "file"))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "0 0"
    if kind == "file":
        assert "opened by the parent of this process" in lines[1]
    assert lines[-2:] == ["0" if kind == "file" else "1", "0 1 1"]


def test_it_shows_what_it_is_made_of() -> None:
    """The representation names the parts, each by its own."""
    emitter = WalEmitter(inner=HttpEmitter(HttpEmitterConfig("https://c.example")), wal=MemoryWal())
    assert repr(emitter).startswith("WalEmitter(inner=HttpEmitter(")
    assert repr(emitter).endswith("wal=MemoryWal(0 pending))")
