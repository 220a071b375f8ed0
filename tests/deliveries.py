# SPDX-License-Identifier: Apache-2.0
"""What tests of delivery share: signed receipts, and a collector inside the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache

from tests import material

from tallystick.errors import EmitError
from tallystick.model.reader import parse_receipt
from tallystick.model.receipt import Receipt


@cache
def receipts(count: int, chain_id: str = material.CHAIN, first_number: int = 1) -> list[Receipt]:
    """Return the first receipts of a chain."""
    chain = material.chain_of(count, chain_id=chain_id, first_number=first_number)
    return [parse_receipt(material.wire(receipt)) for receipt in chain]


def sequences(found: list[Receipt]) -> list[int]:
    """Return the places in the chain."""
    return [receipt.link.sequence for receipt in found]


class Collector:
    """Takes receipts, unless it is told otherwise. `rule` may raise for a receipt, or wait."""

    def __init__(self) -> None:
        self.received: list[Receipt] = []
        self.calls = 0
        self.rule: Callable[[Receipt], object] = lambda receipt: None
        self._guard = threading.Lock()

    def emit(self, receipt: Receipt, /) -> None:
        """Take one receipt; each id once, as a collector that answers 409."""
        self.calls += 1
        self.rule(receipt)
        with self._guard:
            if receipt not in self.received:
                self.received.append(receipt)

    def is_down(self, text: str = "nobody listens") -> None:
        """Fail for now, every time."""
        self.rule = _failing(lambda receipt: EmitError(text, is_transient=True))

    def is_up(self) -> None:
        """Take everything again."""
        self.rule = lambda receipt: None

    def refuses(self, *places: int) -> None:
        """Answer 400 to these places of the chain."""
        self.rule = _failing(
            lambda receipt: (
                EmitError("answered 400", status=400) if receipt.link.sequence in places else None
            )
        )


def _failing(fault: Callable[[Receipt], Exception | None]) -> Callable[[Receipt], object]:
    def rule(receipt: Receipt) -> None:
        error = fault(receipt)
        if error is not None:
            raise error

    return rule
