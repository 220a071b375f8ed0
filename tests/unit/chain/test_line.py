# SPDX-License-Identifier: Apache-2.0
"""The line of signed receipts: each caller hears what became of its own."""

from __future__ import annotations

import logging
import threading

import pytest
from tests.deliveries import Collector, receipts, sequences

from tallystick.chain.line import Line
from tallystick.deliver.composite import CompositeEmitter
from tallystick.errors import EmitError, WalFullError
from tallystick.model.receipt import Receipt


def line_of(collector: Collector, count: int, *, hold: bool = False) -> tuple[Line, list[Receipt]]:
    """Return a line in which so many receipts stand."""
    line, chain = Line(collector, 0, hold=hold), receipts(count)
    for receipt in chain:
        line.appending(receipt)(receipt)
    return line, chain


def test_a_refusal_reaches_the_caller_whose_receipt_another_delivered() -> None:
    """The second caller delivers both; the first hears that its own was refused for good."""
    collector = Collector()
    collector.refuses(1)
    line, (first, second) = line_of(collector, 2)
    line.deliver(second)
    with pytest.raises(EmitError) as caught:
        line.deliver(first)
    assert caught.value.status == 400
    assert caught.value.receipt is first
    assert sequences(collector.received) == [2]


class Keeping(Collector):
    """An emitter that keeps what it can't deliver, as WalEmitter does."""

    keeps = True


def test_a_failure_that_the_emitter_keeps_reaches_its_caller_too() -> None:
    """`emit` returns only for what was acknowledged, whoever delivered it."""
    collector = Keeping()
    collector.is_down()
    line, (first, second) = line_of(collector, 2)
    for receipt in (second, first):
        with pytest.raises(EmitError):
            line.deliver(receipt)
    assert len(line) == 0


def test_a_refusal_that_no_caller_waits_for_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Who was told "later" has gone: what becomes of the receipt then is logged with its id."""
    collector = Collector()
    collector.is_down()
    line, (first, second) = line_of(collector, 2)
    for receipt in (first, second):
        with pytest.raises(EmitError):
            line.deliver(receipt)
    collector.refuses(1)
    with caplog.at_level(logging.WARNING, "tallystick.chain"):
        assert line.flush() == 0
    assert first.id in caplog.text
    assert sequences(collector.received) == [2]


def test_a_handler_inside_a_delivery_flushes_nothing_and_waits_for_nothing() -> None:
    """The thread that delivers can't wait for itself."""
    collector = Collector()
    line, chain = line_of(collector, 2)
    remaining: list[int] = []
    collector.rule = lambda receipt: remaining.append(line.flush())
    working = threading.Thread(target=lambda: line.deliver(chain[-1]), daemon=True)
    working.start()
    working.join(10)
    assert remaining == [2, 1]
    assert sequences(collector.received) == [1, 2]


@pytest.mark.parametrize("fault", [EmitError("down", is_transient=True), WalFullError("full")])
def test_one_of_several_that_is_down_holds_up_no_other(fault: Exception) -> None:
    """Where each keeps its own the line goes on, unless one says that it could not."""
    up = Keeping()
    down = Keeping()

    def fail(receipt: Receipt) -> None:
        raise fault

    down.rule = fail
    chain = receipts(2)
    line = Line(CompositeEmitter([up, down]), 0, hold=False)
    for receipt in chain:
        line.appending(receipt)(receipt)
        with pytest.raises(EmitError):
            line.deliver(receipt)
    is_kept = isinstance(fault, EmitError)
    assert sequences(up.received) == ([1, 2] if is_kept else [1])
    assert len(line) == (0 if is_kept else 2)
