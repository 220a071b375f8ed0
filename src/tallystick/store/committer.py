# SPDX-License-Identifier: Apache-2.0
"""Group commit: what waits while one commit runs shares the next one, and its fsync.

A lone item is committed at once, and a crowd makes its own batches. Only an item that nobody waits
for may wait itself, so that its commit is not in the way of the next one's.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from tallystick.errors import StoreBusyError, StoreError, StoreStoppedError
from tallystick.limits import (
    COMMIT_BYTES_MAX,
    COMMIT_ITEMS_MAX,
    WAITING_BYTES_MAX,
    WAITING_ITEMS_MAX,
)

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """One thread that commits what others submit, batch by batch, in the order of submission.

    `commit` returns only when the batch is durable. `done` is called once for each batch, on this
    thread, with what `commit` returned or raised; it must not raise. After a `StoreError` that is
    not transient nothing more is committed: what waits gets that error, too.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Result],
        done: Callable[[Sequence[Item], Result | None, Exception | None], None],
        *,
        count_max: int = COMMIT_ITEMS_MAX,
        bytes_max: int = COMMIT_BYTES_MAX,
        waiting_max: int = WAITING_ITEMS_MAX,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
        name: str = "tally-commit",
    ) -> None:
        self._commit = commit
        self._done = done
        # From the next commit on.
        self.count_max = count_max
        self._bytes_max = bytes_max
        self._waiting_max = waiting_max
        self._waiting_bytes_max = waiting_bytes_max
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._queue: deque[tuple[Item, int, int]] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        # When, of the monotonic clock, the first of what waits has to be committed.
        self._due = math.inf
        self._is_asleep = False
        self._is_closing = False
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many items wait for a commit, counted as `submit` was told."""
        return self._waiting

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is committed; to be asked by who submits."""
        return self._is_asleep and not self._queue and self._fault is None and not self._is_closing

    @property
    def fault(self) -> Exception | None:
        """The error after which nothing is committed any more."""
        return self._fault

    def submit(self, item: Item, /, *, count: int = 1, size: int = 0, patience_ms: int = 0) -> None:
        """Put an item in line. It stays whole: `count` and `size` are what it weighs.

        For as long as `patience_ms` it may wait for others that have none. Raises `StoreBusyError`
        where too much waits: nothing was taken, and `done` won't be called.
        """
        with self._lock:
            if self._fault is not None or self._is_closing:
                why = self._fault or "it is closing"
                raise StoreStoppedError(f"nothing is stored any more: {why}")
            waiting, waiting_bytes = self._waiting + count, self._waiting_bytes + size
            # One item alone is always taken, however large: its own bounds are at the door.
            if self._queue and (
                waiting > self._waiting_max or waiting_bytes > self._waiting_bytes_max
            ):
                raise StoreBusyError(f"{self._waiting} receipts already wait to be stored")
            self._queue.append((item, count, size))
            self._waiting, self._waiting_bytes = waiting, waiting_bytes
            due = time.monotonic() + patience_ms / 1000 if patience_ms else 0.0
            self._due = min(self._due, due)
            if self._is_asleep:
                self._is_asleep = False
                self._wake.notify()

    def close(self) -> None:
        """Commit what waits, then end the thread; again does nothing."""
        with self._lock:
            self._is_closing = True
            self._is_asleep = False
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            fault = self._fault
            result: Result | None = None
            if fault is None:
                try:
                    result = self._commit(batch)
                except Exception as error:  # noqa: BLE001 - whatever it is, each waiting client hears
                    fault = error
                    if isinstance(error, StoreError) and not error.is_transient:
                        self._fault = error
            self._done(batch, result, fault)

    def _next(self) -> list[Item]:
        """Wait for items, and take as many as one commit may have; none at the end."""
        with self._lock:
            while not self._queue:
                if self._is_closing:
                    return []
                self._is_asleep = True
                self._wake.wait()
            while not self._is_closing and (left := self._due - time.monotonic()) > 0:
                self._is_asleep = True
                self._wake.wait(left)
            self._is_asleep = False
            batch: list[Item] = []
            total = total_bytes = 0
            while self._queue:
                item, count, size = self._queue[0]
                total, total_bytes = total + count, total_bytes + size
                if batch and (total > self.count_max or total_bytes > self._bytes_max):
                    break
                self._queue.popleft()
                batch.append(item)
                self._waiting -= count
                self._waiting_bytes -= size
            self._due = 0.0 if self._queue else math.inf
            return batch
