# SPDX-License-Identifier: Apache-2.0
"""A write-ahead log in memory: for where there is no disk that outlives the process.

It keeps what a collector did not take until it does. It does not survive the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Self

from tallystick.deliver.lifetime import after_fork_in_child
from tallystick.errors import WalFullError
from tallystick.limits import DEAD_LETTER_REASON_CHARS_MAX, WAL_BYTES_MAX
from tallystick.model.receipt import Receipt
from tallystick.ports import DeadLetter


class MemoryWal:
    """Keeps receipts in memory, up to a bound. Safe from many threads."""

    lasts = False

    def __init__(self, *, size_max: int = WAL_BYTES_MAX) -> None:
        """Make an empty log."""
        self._size_max = size_max
        self._guard = threading.Lock()
        self._size = 0
        self._pending: dict[str, tuple[Receipt, bytes]] = {}
        self._dead: dict[str, DeadLetter] = {}
        after_fork_in_child(self._begin_anew)

    def append(self, receipt: Receipt, /) -> None:
        """Keep the receipt. A pending id changes nothing."""
        body = receipt.to_json()
        with self._guard:
            if receipt.id in self._pending:
                return
            dead = self._dead.get(receipt.id)
            size = self._size + len(body) - (len(dead.body) if dead is not None else 0)
            if size > self._size_max:
                raise WalFullError(
                    f"the log in memory is full: {len(self._pending)} receipts in it wait for the "
                    f"collector, {self._size} of {self._size_max} bytes"
                )
            self._size = size
            self._dead.pop(receipt.id, None)
            self._pending[receipt.id] = (receipt, body)

    def remove(self, receipt_id: str, /) -> None:
        """Forget a receipt, pending or set aside."""
        with self._guard:
            _, body = self._pending.pop(receipt_id, (None, b""))
            dead = self._dead.pop(receipt_id, None)
            self._size -= len(body) if dead is None else len(dead.body)

    def set_aside(self, receipt_id: str, reason: str, /) -> None:
        """Take a pending receipt out of the line, and keep it with the reason."""
        with self._guard:
            _, body = self._pending.pop(receipt_id, (None, b""))
            if body:
                reason = reason[:DEAD_LETTER_REASON_CHARS_MAX]
                self._dead[receipt_id] = DeadLetter(receipt_id=receipt_id, reason=reason, body=body)

    def pending(self) -> Iterator[Receipt]:
        """Yield what is pending at the time of the call, oldest first."""
        with self._guard:
            ids = tuple(self._pending)
        for receipt_id in ids:
            kept = self._pending.get(receipt_id)
            if kept is not None:
                yield kept[0]

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Return what was set aside, oldest first."""
        with self._guard:
            return tuple(self._dead.values())

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _begin_anew(self) -> None:
        """In a forked child: what is pending stays with the parent."""
        self._guard = threading.Lock()
        self._size, self._pending, self._dead = 0, {}, {}

    def __len__(self) -> int:
        return len(self._pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"MemoryWal({len(self)} pending)"
