# SPDX-License-Identifier: Apache-2.0
"""Runs one function over a stream in several threads, and gives the answers back in order.

Threads pay off because checking a signature releases the interpreter lock. The window is bounded:
at most a few batches a worker are in memory at any moment.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from typing import Generic, TypeVar

_BATCH_ITEMS = 32
_BATCHES_PER_WORKER = 3

A = TypeVar("A")
B = TypeVar("B")


class _Batch(Generic[A, B]):
    """Items on their way through a worker; `done` is set when `answers` or `fault` is."""

    def __init__(self, items: list[A]) -> None:
        self.items = items
        self.answers: list[B] = []
        self.fault: BaseException | None = None
        self.done = threading.Event()


def ordered_map(function: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """Yield `function(item)` for each item, in order, computed by that many threads."""
    if workers <= 1:
        yield from map(function, items)
        return
    queue: SimpleQueue[_Batch[A, B] | None] = SimpleQueue()
    threads = [
        threading.Thread(target=_work, args=(function, queue), daemon=True) for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    window: deque[_Batch[A, B]] = deque()
    source = iter(items)
    try:
        while True:
            while len(window) < workers * _BATCHES_PER_WORKER:
                batch: _Batch[A, B] = _Batch(list(islice(source, _BATCH_ITEMS)))
                if not batch.items:
                    break
                window.append(batch)
                queue.put(batch)
            if not window:
                return
            oldest = window.popleft()
            oldest.done.wait()
            if oldest.fault is not None:
                raise oldest.fault
            yield from oldest.answers
    finally:
        for _ in threads:
            queue.put(None)


def _work(function: Callable[[A], B], queue: SimpleQueue[_Batch[A, B] | None]) -> None:
    while (batch := queue.get()) is not None:
        try:
            batch.answers = [function(item) for item in batch.items]
        except BaseException as fault:  # noqa: BLE001  # handed to the thread that waits for it
            batch.fault = fault
        finally:
            batch.done.set()
