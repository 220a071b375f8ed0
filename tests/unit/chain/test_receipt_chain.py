# SPDX-License-Identifier: Apache-2.0
"""The single writer: one chain, contiguous, whatever happens around it."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.interrupts import interrupted

from tallystick import InMemoryKeyProvider, Receipt, generate_key_pair, verify_chain
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.crypto.ed25519 import KeyPair
from tallystick.errors import ChainClosedError, EmitError, KeyMismatchError, ReceiptError
from tallystick.keys.lease import SessionSigner
from tallystick.limits import UNDELIVERED_MAX
from tallystick.model.extension import extension_of

READ = {"type": "filesystem.file.read"}
DONE = {"status": "success"}
KEYS = generate_key_pair()
INSIDE = ("chain/receipt_chain.py", "chain/line.py")


class Collector:
    """The other side: keeps what it is given, and fails when it is told to."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.fault: Exception | None = None
        self.refused: set[int] = set()
        self.calls = 0
        self.on_call: Callable[[], None] = lambda: None

    def emit(self, receipt: Receipt, /) -> None:
        self.calls += 1
        self.on_call()
        if self.fault is not None:
            raise self.fault
        if receipt.link.sequence in self.refused:
            raise EmitError("refused for good", status=400)
        self.receipts.append(receipt)


class OnceEach(Collector):
    """Knows a receipt by its id, as collectors do: a second delivery is answered with 409."""

    def emit(self, receipt: Receipt, /) -> None:
        if receipt not in self.receipts:
            super().emit(receipt)


def chain_to(collector: Collector, **members: Any) -> ReceiptChain:
    """Return a chain that delivers to that collector."""
    given: dict[str, Any] = {
        "signer": KEYS,
        "issuer": {"id": "did:agent:test"},
        "principal": {"id": "did:user:alice"},
        "emitter": collector,
        **members,
    }
    return ReceiptChain(**given)


def verified(collector: Collector, keys: KeyPair = KEYS) -> Any:
    """Return the report on what the collector has; it must be verified."""
    return verify_chain(collector.receipts, keys.public_key).ensure()


def test_receipts_are_linked_and_delivered_in_order() -> None:
    """What arrives is one verified chain, and the head is its last receipt."""
    collector = Collector()
    chain = chain_to(collector)
    last = [chain.emit(READ, DONE) for _ in range(5)][-1]
    report = verified(collector)
    assert report.chains[0].length == 5
    assert report.chains[0].head == chain.head.hash
    assert chain.head.sequence == last.link.sequence == 5
    assert last.proof.verificationMethod == "did:agent:test#key-1"


def test_each_chain_has_a_fresh_id() -> None:
    """Two instances never write to one chain by accident."""
    assert chain_to(Collector()).chain_id != chain_to(Collector()).chain_id


def test_sessions_are_bound() -> None:
    """The session stands in the issuer of every receipt."""
    collector = Collector()
    chain_to(collector, session_id="run-7").emit(READ, DONE)
    assert collector.receipts[0].issuer.session_id == "run-7"


def test_many_threads_make_one_chain(caplog: pytest.LogCaptureFixture) -> None:
    """64 threads: contiguous, verified, each caller got its own receipt, one warning."""
    collector = Collector()
    chain = chain_to(collector)
    got: list[Receipt] = []

    def work() -> None:
        got.extend(chain.emit(READ, DONE) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(64)]
    with caplog.at_level(logging.WARNING, "tallystick.chain"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert verified(collector).chains[0].length == 320
    assert sorted(r.link.sequence for r in got) == list(range(1, 321))
    assert len(caplog.records) <= 1


def test_an_overlap_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """The first overlapping call warns, the second does not."""
    chain = chain_to(Collector())
    with caplog.at_level(logging.WARNING, "tallystick.chain"):
        for _ in range(2):
            chain._writing.acquire()
            waiting = threading.Thread(target=lambda: chain.emit(READ, DONE))
            waiting.start()
            while not caplog.records:
                pass
            chain._writing.release()
            waiting.join()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_many_tasks_never_block_the_loop() -> None:
    """64 tasks emit while the collector is slow, and the loop goes on turning."""
    collector = Collector()
    gate = threading.Event()
    collector.on_call = lambda: (gate.wait(5), None)[1]
    chain = chain_to(collector)
    turns = 0

    async def main() -> None:
        nonlocal turns
        tasks = [asyncio.create_task(chain.aemit(READ, DONE)) for _ in range(64)]
        for _ in range(50):
            await asyncio.sleep(0.001)
            turns += 1
        gate.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert turns == 50
    assert verified(collector).chains[0].length == 64


def test_a_failed_delivery_raises_and_keeps_its_place() -> None:
    """The chain neither forks nor skips: the next call delivers the older receipt first."""
    collector = Collector()
    chain = chain_to(collector)
    chain.emit(READ, DONE)
    collector.fault = EmitError("down", is_transient=True)
    with pytest.raises(EmitError) as caught:
        chain.emit(READ, DONE)
    assert caught.value.receipt.link.sequence == 2
    assert caught.value.is_transient
    assert chain.undelivered == 1
    collector.fault = None
    chain.emit(READ, DONE)
    assert [r.link.sequence for r in collector.receipts] == [1, 2, 3]
    assert chain.undelivered == 0
    verified(collector)


def test_a_failure_is_told_once_to_all_who_stood_behind_it() -> None:
    """Callers that wait behind a failed delivery don't each try again."""
    collector = Collector()
    chain = chain_to(collector)
    collector.fault = EmitError("down", is_transient=True)
    started = threading.Barrier(8)
    faults: list[EmitError] = []

    def work() -> None:
        started.wait()
        try:
            chain.emit(READ, DONE)
        except EmitError as fault:
            faults.append(fault)

    # Held here until all eight stand in line.
    chain._line._turn.acquire()
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while chain.undelivered < 8:
        pass
    chain._line._turn.release()
    for thread in threads:
        thread.join()
    assert len(faults) == 8
    assert collector.calls == 1


def test_held_receipts_do_not_raise() -> None:
    """With hold_undelivered an emit returns; flush delivers later."""
    collector = Collector()
    chain = chain_to(collector, hold_undelivered=True)
    collector.fault = EmitError("down", is_transient=True)
    chain.emit(READ, DONE)
    chain.emit(READ, DONE)
    assert chain.undelivered == 2
    assert chain.flush() == 2
    collector.fault = None
    assert chain.flush() == 0
    assert verified(collector).chains[0].length == 2


def test_a_receipt_refused_for_good_blocks_no_other() -> None:
    """A permanent refusal is raised to its own caller, and the line goes on behind it."""
    collector = Collector()
    chain = chain_to(collector)
    collector.refused = {2}
    chain.emit(READ, DONE)
    with pytest.raises(EmitError) as caught:
        chain.emit(READ, DONE)
    assert caught.value.status == 400
    chain.emit(READ, DONE)
    assert [r.link.sequence for r in collector.receipts] == [1, 3]


def test_a_full_line_refuses_before_it_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit emit raises, and the head stays where it was."""
    monkeypatch.setattr("tallystick.chain.receipt_chain.UNDELIVERED_MAX", 3)
    assert UNDELIVERED_MAX > 3
    collector = Collector()
    chain = chain_to(collector, hold_undelivered=True)
    collector.fault = EmitError("down", is_transient=True)
    for _ in range(3):
        chain.emit(READ, DONE)
    with pytest.raises(EmitError, match="wait for delivery"):
        chain.emit(READ, DONE)
    assert chain.head.sequence == 3


def test_a_closed_chain_stays_closed() -> None:
    """The terminal receipt says why; nothing follows it."""
    for status in ("complete", "interrupted"):
        collector = Collector()
        chain = chain_to(collector)
        chain.emit(READ, DONE)
        terminal = chain.close(status)
        assert terminal.link.terminal is True
        assert terminal.action.type == "agent_receipts.agent_end"
        assert verified(collector).chains[0].termination == status
        with pytest.raises(ChainClosedError):
            chain.emit(READ, DONE)
        with pytest.raises(ChainClosedError):
            chain.close()


def test_rotation_is_the_one_way_to_another_key() -> None:
    """The outgoing key signs the hand-over, and the first key alone verifies all of it."""
    collector = Collector()
    chain = chain_to(collector)
    chain.emit(READ, DONE)
    chain.rotate(generate_key_pair())
    chain.emit(READ, DONE)
    report = verified(collector)
    assert [(k.first_sequence, k.last_sequence) for k in report.chains[0].keys] == [(1, 2), (3, 3)]


def test_a_key_that_changes_by_itself_is_refused() -> None:
    """A signer that suddenly has another key raises before anything is signed."""

    class Moving:
        def __init__(self) -> None:
            self.keys: KeyPair = KEYS

        def sign(self, message: bytes, /) -> bytes:
            return self.keys.signing_key().sign(message)

        def get_public_key(self) -> bytes:
            return self.keys.signing_key().public_key

    signer, collector = Moving(), Collector()
    chain = chain_to(collector, signer=signer)
    chain.emit(READ, DONE)
    signer.keys = generate_key_pair()
    with pytest.raises(KeyMismatchError):
        chain.emit(READ, DONE)
    assert chain.head.sequence == 1
    verified(collector)


def test_a_refused_draft_moves_nothing() -> None:
    """Bad values raise, and the next receipt takes the place."""
    collector = Collector()
    chain = chain_to(collector)
    with pytest.raises(ReceiptError):
        chain.emit({"type": "nonsense"}, DONE)
    chain.emit(READ, DONE)
    assert verified(collector).chains[0].length == 1


def test_a_chain_goes_on_from_a_head() -> None:
    """A head that was kept elsewhere continues the same chain."""
    collector = Collector()
    first = chain_to(collector)
    first.emit(READ, DONE)
    second = chain_to(collector, head=first.head)
    second.emit(READ, DONE)
    assert verified(collector).chains[0].length == 2
    with pytest.raises(ReceiptError):
        chain_to(collector, head=first.head, chain_id="another")


def test_a_chain_names_the_one_before_it() -> None:
    """The first receipt carries the earlier chain's head; the second does not repeat it."""
    collector = Collector()
    earlier = chain_to(Collector())
    earlier.emit(READ, DONE)
    chain = chain_to(collector, previous_chain=earlier.head)
    chain.emit(READ, DONE)
    chain.emit(READ, DONE)
    told = extension_of(collector.receipts[0].issuer)
    assert told is not None
    assert told.previous_chain is not None
    assert told.previous_chain.hash == earlier.head.hash
    assert extension_of(collector.receipts[1].issuer) is None
    verified(collector)


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore")
from tallystick import generate_key_pair
from tallystick.chain.receipt_chain import ReceiptChain
from tallystick.errors import ChainClosedError
class Kept:
    def emit(self, receipt): print(receipt.link.sequence, end=" ", flush=True)
chain = ReceiptChain(
    signer=generate_key_pair(), issuer={"id": "a"}, principal={"id": "u"}, emitter=Kept()
)
act = {"type": "filesystem.file.read"}, {"status": "success"}
chain.emit(*act)
chain._writing.acquire()  # as if another thread were writing just then
child = os.fork()
if child == 0:
    for call in (lambda: chain.emit(*act), chain.close):
        try:
            call()
        except ChainClosedError as refused:
            print("refused" if "Begin a chain in each process" in str(refused) else refused)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
chain._writing.release()
chain.emit(*act)
"""


def test_a_fork_is_no_second_writer() -> None:
    """A child of the process that writes a chain is refused, and not left waiting for a lock; the
    parent goes on."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split() == ["1", "refused", "refused", "2"]


@pytest.mark.parametrize("step", ["emit", "rotate", "close"])
def test_an_interrupt_leaves_no_gap_and_no_fork(step: str) -> None:
    """Ctrl-C at each point of a call: the next receipt follows what was made, and nothing else."""
    steps: dict[str, Callable[[ReceiptChain], object]] = {
        "emit": lambda chain: chain.emit(READ, DONE),
        "rotate": lambda chain: chain.rotate(generate_key_pair()),
        "close": lambda chain: chain.close(),
    }
    point, is_there = 0, True
    while is_there:
        point += 1
        collector = OnceEach()
        chain = chain_to(collector)
        chain.emit(READ, DONE)
        is_there = interrupted(INSIDE, point, functools.partial(steps[step], chain))
        assert chain.flush() == 0
        if not chain.is_closed:
            chain.emit(READ, DONE)
        report = verified(collector)
        assert report.chains[0].length == chain.head.sequence == len(collector.receipts)
        assert (report.chains[0].termination == "complete") == chain.is_closed
    assert point > 20


def test_a_signal_handler_that_writes_is_refused() -> None:
    """A handler that interrupts a call can't wait for it: it is told so, and nothing is lost."""
    collector = Collector()
    chain = chain_to(collector)
    faults: list[EmitError] = []

    def handle() -> None:
        with pytest.raises(EmitError, match="same thread") as caught:
            chain.close("interrupted")
        faults.append(caught.value)

    collector.on_call = handle
    working = threading.Thread(target=lambda: chain.emit(READ, DONE), daemon=True)
    working.start()
    working.join(10)
    assert faults[0].is_transient
    assert verified(collector).chains[0].length == 1


def test_a_lease_can_not_take_over() -> None:
    """No root would have lent the chain to it: refused before anything is signed."""
    collector = Collector()
    chain = chain_to(collector)
    chain.emit(READ, DONE)
    with pytest.raises(ReceiptError, match="lease"):
        chain.rotate(SessionSigner(generate_key_pair()))
    chain.emit(READ, DONE)
    assert verified(collector).chains[0].length == 2


def test_the_incoming_key_is_asked_for_once() -> None:
    """A signer that gives another key the second time has signed nothing by then."""
    first, second = generate_key_pair().signing_key(), generate_key_pair().signing_key()
    answers = iter([first.public_key])

    class Moving:
        def sign(self, message: bytes, /) -> bytes:
            return first.sign(message)

        def get_public_key(self) -> bytes:
            return next(answers, second.public_key)

    collector = Collector()
    chain = chain_to(collector)
    chain.rotate(Moving())
    with pytest.raises(KeyMismatchError):
        chain.emit(READ, DONE)
    assert verified(collector).chains[0].length == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_delivers_nothing_of_its_parent() -> None:
    """What stands in line at a fork is delivered once, by the parent."""
    collector = Collector()
    chain = chain_to(collector, hold_undelivered=True)
    collector.fault = EmitError("down", is_transient=True)
    chain.emit(READ, DONE)
    collector.fault = None
    child = os.fork()
    if child == 0:
        os._exit(chain.flush() + collector.calls - 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert chain.flush() == 0
    assert len(collector.receipts) == 1


@pytest.mark.parametrize("given", [InMemoryKeyProvider(KEYS), "signing.key", None])
def test_what_is_no_signer_is_refused(given: Any) -> None:
    """The chain does not begin, and the error says what is wanted; it holds no key."""
    with pytest.raises(TypeError, match=r"wanted is a KeyPair or a Signer, not .*get_key_pair"):
        chain_to(Collector(), signer=given)
