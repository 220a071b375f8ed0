# SPDX-License-Identifier: Apache-2.0
"""One receipt to several places: each is tried, whatever became of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tallystick.errors import CompositeEmitError, RefusedInput
from tallystick.model.receipt import Receipt
from tallystick.ports import Emitter


class CompositeEmitter:
    """Delivers to each child in turn, and raises what failed together as `CompositeEmitError`.

    After an error some children have the receipt and some have not: a receipt that is emitted
    again reaches the former twice, which collectors and logs take for what it is.
    """

    def __init__(
        self, children: Iterable[Emitter], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the children, at least one."""
        self._children = tuple(children)
        self._monotonic = monotonic
        if not self._children:
            raise RefusedInput("CompositeEmitter needs a child: without one, receipts would vanish")
        for child in self._children:
            if not callable(getattr(child, "emit", None)):
                raise TypeError(f"{type(child).__name__} is no Emitter: it has no method emit")

    @property
    def acknowledges(self) -> bool:
        """Whether `emit` returns only when every child's receiver has the receipt."""
        return all(getattr(child, "acknowledges", True) for child in self._children)

    @property
    def keeps(self) -> bool:
        """Whether every child keeps what it can't deliver, and tries again itself."""
        return all(getattr(child, "keeps", False) for child in self._children)

    def emit(self, receipt: Receipt, /) -> None:
        """Deliver to all children."""
        self._each(lambda child: child.emit(receipt))

    def flush(self, deadline_ms: int = 2_000) -> int:
        """Flush the children that can, within one deadline; return how many receipts remain."""
        until = self._monotonic() + deadline_ms / 1000
        remaining = 0
        for child in self._children:
            flush = getattr(child, "flush", None)
            if flush is not None:
                left = max(0, int((until - self._monotonic()) * 1000))
                remaining += flush(deadline_ms=left)
        return remaining

    def close(self) -> None:
        """Close the children that can be closed, all of them."""
        self._each(lambda child: getattr(child, "close", _nothing)())

    def _each(self, do: Callable[[Emitter], object]) -> None:
        errors: list[Exception] = []
        for child in self._children:
            try:
                do(child)
            except Exception as error:  # noqa: BLE001  # all are tried, and all are told
                errors.append(error)
        if errors:
            raise CompositeEmitError(errors)

    def __repr__(self) -> str:
        return f"CompositeEmitter({list(self._children)!r})"


def _nothing() -> None:
    return None
