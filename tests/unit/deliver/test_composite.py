# SPDX-License-Identifier: Apache-2.0
"""Several places: all are tried, and what failed is told together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from tests.deliveries import receipts

from tallystick import (
    BufferingEmitter,
    CompositeEmitError,
    CompositeEmitter,
    EmitError,
    InMemoryEmitter,
)
from tallystick.errors import RefusedInput, WalFullError
from tallystick.model.receipt import Receipt

RECEIPT = receipts(1)[0]


class Failing:
    """Raises what it is given."""

    def __init__(self, fault: BaseException) -> None:
        self.fault = fault
        self.closed = 0

    def emit(self, receipt: Receipt, /) -> None:
        raise self.fault

    def flush(self, deadline_ms: int) -> int:
        return deadline_ms

    def close(self) -> None:
        self.closed += 1
        raise self.fault


def test_all_children_are_tried() -> None:
    """Children behind one that fails get the receipt too; all errors are in the one raised."""
    first, last = InMemoryEmitter(), InMemoryEmitter()
    faults = EmitError("away", is_transient=True), ValueError("odd")
    emitter = CompositeEmitter([first, Failing(faults[0]), Failing(faults[1]), last])
    with pytest.raises(CompositeEmitError) as caught:
        emitter.emit(RECEIPT)
    assert caught.value.errors == list(faults)
    assert "2 of the emitters failed" in str(caught.value)
    assert isinstance(caught.value, EmitError)
    assert first.receipts == last.receipts == (RECEIPT,)


def test_all_well() -> None:
    """Without a failure there is nothing to tell."""
    children = [InMemoryEmitter() for _ in range(3)]
    emitter = CompositeEmitter(iter(children))
    emitter.emit(RECEIPT)
    assert [child.receipts for child in children] == [(RECEIPT,)] * 3
    emitter.close()
    assert emitter.flush() == 0


@pytest.mark.parametrize(
    ("faults", "is_transient"),
    [([True], True), ([False], False), ([True, False], True), ([False, False], False)],
)
def test_trying_again_helps_if_it_helps_one(faults: list[bool], is_transient: bool) -> None:
    """As long as one child may take the receipt later, the receipt is not done with."""
    children = [Failing(EmitError("x", is_transient=one)) for one in faults]
    with pytest.raises(CompositeEmitError) as caught:
        CompositeEmitter(children).emit(RECEIPT)
    assert caught.value.is_transient is is_transient


def test_interrupts_pass() -> None:
    """What is no Exception is not collected: the user wants to stop."""
    behind = InMemoryEmitter()
    with pytest.raises(KeyboardInterrupt):
        CompositeEmitter([Failing(KeyboardInterrupt()), behind]).emit(RECEIPT)
    assert behind.receipts == ()


def test_acknowledges_if_all_do() -> None:
    """One child that returns early is enough to know nothing."""
    buffering = BufferingEmitter(InMemoryEmitter(), size=5, interval_ms=60_000)
    assert CompositeEmitter([InMemoryEmitter(), Failing(ValueError())]).acknowledges
    assert not CompositeEmitter([InMemoryEmitter(), buffering]).acknowledges


def test_flush_shares_one_deadline() -> None:
    """Each child that can flush gets what is left of the time; the rest is counted together."""
    ticks = iter([0.0, 0.0, 0.9, 3.0])
    children = [Failing(ValueError()) for _ in range(3)]
    emitter = CompositeEmitter([InMemoryEmitter(), *children], monotonic=lambda: next(ticks))
    assert emitter.flush(deadline_ms=2_000) == 2_000 + 1_100 + 0


def test_close_reaches_all() -> None:
    """A child that fails to close does not keep the others open."""
    children = [Failing(EmitError("a")), Failing(EmitError("b"))]
    with pytest.raises(CompositeEmitError) as caught:
        CompositeEmitter([InMemoryEmitter(), *children]).close()
    assert len(caught.value.errors) == 2
    assert [child.closed for child in children] == [1, 1]


@pytest.mark.parametrize(
    ("children", "kind"), [([], RefusedInput), ([InMemoryEmitter(), print], TypeError)]
)
def test_children_that_are_none(children: Iterable[Any], kind: type[Exception]) -> None:
    """Nothing, or something that can't emit, is refused when it is made."""
    with pytest.raises(kind):
        CompositeEmitter(children)


def test_repr_names_the_children() -> None:
    """One sees where receipts go."""
    shown = repr(CompositeEmitter([InMemoryEmitter()]))
    assert shown == "CompositeEmitter([InMemoryEmitter(0 receipts)])"


def test_an_unknown_fault_refuses_no_receipt() -> None:
    """A full log or a bug says nothing about the receipt; and foreign words stay untold."""
    for fault in (WalFullError("full"), ValueError("s3cr3t")):
        emitter = CompositeEmitter([Failing(fault), Failing(EmitError("answered 400", status=400))])
        with pytest.raises(CompositeEmitError) as caught:
            emitter.emit(RECEIPT)
        assert caught.value.is_transient
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("kept", [(True, True), (True, False), (False, False)])
def test_keeps_if_all_do(kept: tuple[bool, ...]) -> None:
    """A receipt that one child has lost is still the caller's."""
    children = []
    for keeps in kept:
        child: Any = InMemoryEmitter()
        child.keeps = keeps
        children.append(child)
    assert CompositeEmitter(children).keeps is all(kept)
