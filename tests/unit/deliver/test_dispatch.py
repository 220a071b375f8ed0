# SPDX-License-Identifier: Apache-2.0
"""One worker, one queue, and no loss that is not told."""

from __future__ import annotations

import logging
import threading

import pytest
from tests.deliveries import receipts

from tallystick.deliver.dispatch import Dispatcher
from tallystick.errors import EmitError, ReceiptError
from tallystick.limits import FAILURES_KEPT_MAX
from tallystick.model.receipt import Receipt


class Far:
    """Takes receipts when the gate is open; raises what it is given."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.taken: list[Receipt] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fault = fault

    def __call__(self, receipt: Receipt) -> None:
        assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        self.taken.append(receipt)


def test_order_is_kept() -> None:
    """Receipts leave the queue as they came."""
    far = Far()
    dispatcher = Dispatcher(far, 100)
    for receipt in receipts(50):
        dispatcher.put(receipt)
    dispatcher.close(5_000)
    assert far.taken == receipts(50)
    assert dispatcher.dropped == 0


def test_no_thread_before_the_first_receipt() -> None:
    """Waiting costs nothing where there is nothing to wait for."""
    dispatcher = Dispatcher(Far(), 1)
    assert dispatcher.flush(1_000) == 0
    dispatcher.close(1_000)
    assert dispatcher._worker is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (EmitError("answered 503", status=503, is_transient=True), "answered 503"),
        (ReceiptError("half of a surrogate pair"), "half of a surrogate pair"),
        (ValueError("may hold anything"), "ValueError"),
    ],
)
def test_failures_are_told_once(fault: Exception, words: str) -> None:
    """The next call raises; the one after it does not; the count stays."""
    far = Far(fault)
    dispatcher = Dispatcher(far, 10)
    first, second, third = receipts(3)
    dispatcher.put(first)
    dispatcher.flush(5_000)
    far.fault = None
    with pytest.raises(EmitError, match=words) as caught:
        dispatcher.put(second)
    assert "anything" not in str(caught.value)
    assert caught.value.status == getattr(fault, "status", None)
    dispatcher.put(third)
    dispatcher.close(5_000)
    assert far.taken == [second, third]
    assert dispatcher.dropped == 1
    (failure,) = dispatcher.failures
    assert failure.receipt_id == first.id
    assert failure.error is fault or failure.error.__cause__ is fault


def test_many_failures_are_one_error() -> None:
    """They are counted in the text; only so many are kept by name."""
    dispatcher = Dispatcher(Far(EmitError("no")), 1_000)
    count = FAILURES_KEPT_MAX + 20
    told = 0
    for receipt in receipts(count):
        try:
            dispatcher.put(receipt)
        except EmitError:
            told += 1
    dispatcher.flush(5_000)
    with pytest.raises(EmitError, match="of the receipts before were not delivered"):
        dispatcher.close(1_000)
    assert dispatcher.dropped == count
    assert len(dispatcher.failures) == FAILURES_KEPT_MAX
    assert dispatcher.failures[-1].receipt_id == receipts(count)[-1].id


def test_what_is_dropped_is_counted_once() -> None:
    """A receipt that close gave up on, and whose delivery then fails too, is one loss."""
    far = Far(EmitError("too late"))
    far.gate.clear()
    dispatcher = Dispatcher(far, 10)
    for receipt in receipts(3):
        dispatcher.put(receipt)
    with pytest.raises(EmitError, match="3 of the receipts before"):
        dispatcher.close(20)
    far.gate.set()
    worker = dispatcher._worker
    assert worker is not None
    worker.join(5)
    assert not worker.is_alive()
    assert dispatcher.dropped == 3


def test_closed_is_closed() -> None:
    """Nothing is taken afterwards."""
    dispatcher = Dispatcher(Far(), 10)
    dispatcher.close(100)
    with pytest.raises(EmitError, match="closed"):
        dispatcher.put(receipts(1)[0])


def test_the_end_of_a_program_is_silent_if_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only what no one was told of is logged."""
    far = Far()
    dispatcher = Dispatcher(far, 10)
    dispatcher.put(receipts(1)[0])
    with caplog.at_level(logging.WARNING, logger="tallystick.deliver"):
        dispatcher._finish()
        assert caplog.records == []
        far.fault = EmitError("no")
        dispatcher.put(receipts(1)[0])
        dispatcher._finish()
    with pytest.raises(EmitError):
        dispatcher.close(100)
    (record,) = caplog.records
    assert "0 receipts in a fire-and-forget queue, and 1 failures" in record.getMessage()
