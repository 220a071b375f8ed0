# SPDX-License-Identifier: Apache-2.0
"""Fetches the bundles of several posts at once: one location that is slow holds up no other.

As many are open at a time as `FETCHES_AT_ONCE_MAX` says, the one that is looked at included; they
are given out as they come. The threads are nobody's to wait for: each ends within the bounds of one
fetch, also where the watcher has gone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from queue import SimpleQueue
from threading import BoundedSemaphore, Lock, Thread
from typing import BinaryIO, NamedTuple, Protocol

from tallystick.limits import FETCHES_AT_ONCE_MAX
from tallystick.onchain.contracts import Posted


class Fetch(Protocol):
    """Opens the bundle of a post, in any thread: NodeError for now, PostingError for good."""

    def __call__(self, posted: Posted, /) -> AbstractContextManager[BinaryIO]:
        """Return the bundle as a stream."""
        ...


class Fetched(NamedTuple):
    """A bundle that is open, or what was raised in its place."""

    posted: Posted
    bundle: BinaryIO | Exception


class FetchingAhead:
    """Fetches for one watcher; what an earlier round left under way counts, too."""

    def __init__(self, fetch: Fetch) -> None:
        """`fetch` is called in threads."""
        self._fetch = fetch
        self._room = BoundedSemaphore(FETCHES_AT_ONCE_MAX)

    def each(self, wanted: Iterable[Posted]) -> Generator[Fetched]:
        """Yield what was fetched, as it comes; it is closed when the next one is asked for.

        `wanted` is drawn in its order, each when there is room for it.
        """
        round_ = _Round()
        following, under_way = iter(wanted), 0
        try:
            while True:
                # Where nothing of ours is under way, it is an earlier round's that has the room.
                while self._room.acquire(blocking=not under_way):
                    if not self._begin(following, round_):
                        break
                    under_way += 1
                if not under_way:
                    return
                fetched, held = round_.ended.get()
                under_way -= 1
                try:
                    with held:
                        yield fetched
                finally:
                    self._room.release()
        finally:
            for _, held in round_.end():
                held.close()
                self._room.release()

    def _begin(self, following: Iterator[Posted], round_: _Round) -> bool:
        """Begin the next fetch, if there is one; else its room is free again."""
        is_begun = False
        try:
            posted = next(following, None)
            if posted is not None:
                Thread(target=self._run, args=(posted, round_), daemon=True).start()
                is_begun = True
        finally:
            if not is_begun:
                self._room.release()
        return is_begun

    def _run(self, posted: Posted, round_: _Round) -> None:
        held = ExitStack()
        bundle: BinaryIO | Exception
        try:
            bundle = held.enter_context(self._fetch(posted))
        except Exception as fault:  # noqa: BLE001  # the round's to judge
            bundle = fault
        if not round_.take((Fetched(posted, bundle), held)):
            held.close()
            self._room.release()


class _Round:
    """Where threads put what they have, until nobody looks any more."""

    def __init__(self) -> None:
        self.ended: SimpleQueue[tuple[Fetched, ExitStack]] = SimpleQueue()
        self._is_over = False
        self._lock = Lock()

    def take(self, one: tuple[Fetched, ExitStack]) -> bool:
        """Hand in what was fetched; False where it is too late."""
        with self._lock:
            if not self._is_over:
                self.ended.put(one)
            return not self._is_over

    def end(self) -> list[tuple[Fetched, ExitStack]]:
        """Take nothing more; return what nobody looked at."""
        with self._lock:
            self._is_over = True
            return [self.ended.get() for _ in range(self.ended.qsize())]
