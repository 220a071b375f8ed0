# SPDX-License-Identifier: Apache-2.0
"""Runs one function over a stream in several threads, and gives the answers back in order.

Threads pay off because checking a signature releases the interpreter lock. The function takes a
whole batch, so that it can do first what holds the lock and then what does not: two threads that
took turns receipt by receipt would spend half of their gain on waking each other. The caller is one
of the workers: where it would wait for an answer it takes a batch that nobody has begun. The window
is bounded: at most a few batches a worker are in memory at any moment. What is large stays out of
the threads: there most of the time goes into parsing, which holds the lock, and each thread would
keep memory.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from tallystick.limits import WINDOW_BYTES_MAX

_BATCH_ITEMS = 128
# Without threads, too: parsing and checking throw each other's tables out of the fastest cache.
_BATCH_ITEMS_ALONE = 32
_BATCH_BYTES = 256 * 1024
_LARGE_BYTES = 64 * 1024
_BATCHES_PER_WORKER = 3

A = TypeVar("A")
B = TypeVar("B")

# Gives one answer for each item.
Function = Callable[[list[A]], list[B]]


class _Batch(Generic[A, B]):
    """Items on their way through a worker; `done` is set when `answers` or `fault` is."""

    def __init__(self, items: list[A], size: int, *, is_large: bool) -> None:
        self.items = items
        self.size = size
        self.is_large = is_large
        self.answers: list[B] = []
        self.fault: BaseException | None = None
        self.done = threading.Event()

    def run(self, function: Function[A, B]) -> None:
        """Fill in the answers, or what went wrong."""
        try:
            self.answers = function(self.items)
            self.items = []  # the answers hold what is needed of them
        except BaseException as fault:  # noqa: BLE001  # handed to the thread that waits for it
            self.fault = fault
        finally:
            self.done.set()


def ordered_map(function: Function[A, B], items: Iterable[A], workers: int) -> Iterator[B]:
    """Yield the function's answer for each item, in order, computed by that many threads.

    The caller's own thread is one of them.
    """
    if workers <= 1:
        source = iter(items)
        while (batch := _next_batch(source, _BATCH_ITEMS_ALONE)).items:
            yield from _alone(batch, function)
        return
    queue: SimpleQueue[_Batch[A, B] | None] = SimpleQueue()
    threads = [
        threading.Thread(target=_work, args=(function, queue), daemon=True)
        for _ in range(workers - 1)
    ]
    for thread in threads:
        thread.start()
    window: deque[_Batch[A, B]] = deque()
    source = iter(items)
    size = 0
    try:
        while True:
            while len(window) < workers * _BATCHES_PER_WORKER and size < WINDOW_BYTES_MAX:
                batch = _next_batch(source, _BATCH_ITEMS)
                if not batch.items:
                    break
                size += batch.size
                window.append(batch)
                if not batch.is_large:
                    queue.put(batch)
            if not window:
                return
            oldest = window.popleft()
            size -= oldest.size
            if oldest.is_large:
                yield from _alone(oldest, function)
                continue
            _await(oldest, queue, function)
            if oldest.fault is not None:
                raise oldest.fault
            yield from oldest.answers
    finally:
        for _ in threads:
            queue.put(None)


def _alone(batch: _Batch[A, Any], function: Function[A, B]) -> Iterator[B]:
    """Yield the answers for a batch that stays in this thread: what is large, one by one."""
    if not batch.is_large:
        yield from function(batch.items)
        return
    for item in batch.items:
        yield from function([item])


def _next_batch(source: Iterator[A], count: int) -> _Batch[A, Any]:
    """Take the next few items; only those that are bytes have a size."""
    items: list[A] = []
    size = largest = 0
    for item in islice(source, count):
        items.append(item)
        if isinstance(item, bytes):
            size += len(item)
            largest = max(largest, len(item))
        if size >= _BATCH_BYTES:
            break
    return _Batch(items, size, is_large=largest >= _LARGE_BYTES)


def _await(
    batch: _Batch[A, B], queue: SimpleQueue[_Batch[A, B] | None], function: Function[A, B]
) -> None:
    """Return when the batch is done; until then work on whatever nobody has begun."""
    while not batch.done.is_set():
        try:
            other = queue.get_nowait()
        except Empty:
            batch.done.wait()
        else:
            if other is not None:
                other.run(function)
                if not isinstance(other.fault, Exception | None):
                    raise other.fault  # Ctrl-C is for the caller, now


def _work(function: Function[A, B], queue: SimpleQueue[_Batch[A, B] | None]) -> None:
    while (batch := queue.get()) is not None:
        batch.run(function)
