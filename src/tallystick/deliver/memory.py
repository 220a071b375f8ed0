# SPDX-License-Identifier: Apache-2.0
"""Keeps receipts in a list: for tests, and for looking at what a program would deliver."""

from __future__ import annotations

from tallystick.model.receipt import Receipt


class InMemoryEmitter:
    """Holds what it was given, in order, until `clear`. Not bounded: not for production."""

    def __init__(self) -> None:
        # One operation on it is atomic: threads may share it.
        self._receipts: list[Receipt] = []

    @property
    def acknowledges(self) -> bool:
        """Whether `emit` returns only when the receipt is held: always."""
        return True

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """All receipts so far, as a copy."""
        return tuple(self._receipts)

    def emit(self, receipt: Receipt, /) -> None:
        """Hold a receipt."""
        self._receipts.append(receipt)

    def clear(self) -> None:
        """Forget all receipts."""
        self._receipts.clear()

    def __repr__(self) -> str:
        return f"InMemoryEmitter({len(self._receipts)} receipts)"
