# SPDX-License-Identifier: Apache-2.0
"""Gives receipts their places: many wait for one commit, and one signature promises all of them.

The event loop hands over what came in and goes on; a thread commits all that waits, again and
again. A place is returned after its commit is durable, and a promise is signed only for a place
that was returned: an error, or an outcome that nobody knows, promises nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from tallystick.collector.log_keys import LogKeys
from tallystick.errors import StoreError
from tallystick.limits import PROMISES_CACHED_MAX
from tallystick.model.promise import encode_promise_file
from tallystick.model.submission import Batch, Placed, Submission
from tallystick.ports import LogStore
from tallystick.store.committer import GroupCommit


class _Ask:
    """Receipts that wait for their places, together in one commit."""

    __slots__ = ("future", "submissions")

    def __init__(
        self, submissions: Sequence[Submission], future: asyncio.Future[Sequence[Placed]]
    ) -> None:
        self.submissions = submissions
        self.future = future


class Sequencer:
    """Places receipts in one log. `place` and `place_all` belong to one event loop."""

    def __init__(
        self,
        store: LogStore,
        keys: LogKeys,
        *,
        on_commit: Callable[[int, float], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the store that keeps, and the keys that promise."""
        self._store = store
        self._keys = keys
        self._on_commit = on_commit
        self._monotonic = monotonic
        self._notes: OrderedDict[int, tuple[Batch, bytes]] = OrderedDict()
        self._commits: Final[GroupCommit[_Ask, Sequence[Placed]]] = GroupCommit(
            self._commit, self._done
        )

    @property
    def fault(self) -> str | None:
        """Why nothing more is placed, or None while all is well."""
        fault = self._commits.fault
        return None if fault is None else str(fault)

    async def place(self, submission: Submission, /) -> Placed:
        """Return the place of a receipt once it is durable, or raise `StoreError`."""
        future = asyncio.get_running_loop().create_future()
        ask = _Ask((submission,), future)
        self._commits.submit(ask, count=1, size=len(submission.body))
        placed: Sequence[Placed] = await future
        return placed[0]

    async def place_all(self, submissions: Sequence[Submission], /) -> list[Placed]:
        """Return the places of several, which one commit makes durable, or raise `StoreError`."""
        if not submissions:
            return []
        future = asyncio.get_running_loop().create_future()
        size = sum(len(one.body) for one in submissions)
        self._commits.submit(_Ask(submissions, future), count=len(submissions), size=size)
        placed: Sequence[Placed] = await future
        return list(placed)

    def promise_file(self, placed: Placed, /) -> bytes:
        """Return the signed promise of a place: the same bytes whenever it is asked for."""
        return encode_promise_file(placed.index, placed.path, self._note(placed.batch))

    def close(self) -> None:
        """Take no more; return when what was taken is durable, or has failed."""
        self._commits.close()

    def _note(self, batch: Batch) -> bytes:
        notes = self._notes
        known = notes.get(batch.start)
        if known is not None and known[0] is batch:
            return known[1]
        note = self._keys.promise_note(batch)
        notes[batch.start] = (batch, note)
        while len(notes) > PROMISES_CACHED_MAX:
            notes.popitem(last=False)
        return note

    def _commit(self, asks: Sequence[_Ask]) -> Sequence[Placed]:
        """Commit what waits; on the writer's thread."""
        began = self._monotonic()
        submissions = [one for ask in asks for one in ask.submissions]
        placed = self._store.place(submissions)
        if self._on_commit is not None:
            self._on_commit(len(submissions), self._monotonic() - began)
        return placed

    def _done(
        self, asks: Sequence[_Ask], placed: Sequence[Placed] | None, fault: Exception | None
    ) -> None:
        """Tell the loop what became of one commit; on the writer's thread."""
        try:
            loop = asks[0].future.get_loop()
            loop.call_soon_threadsafe(_resolve, asks, placed, fault)
        except RuntimeError:
            pass  # the loop is gone, and who waited with it


def _resolve(
    asks: Sequence[_Ask], placed: Sequence[Placed] | None, fault: Exception | None
) -> None:
    """Wake who waits; who has gone since keeps its place all the same."""
    start = 0
    for ask in asks:
        stop = start + len(ask.submissions)
        if not ask.future.done():
            if placed is not None:
                ask.future.set_result(placed[start:stop])
            else:
                ask.future.set_exception(_told(fault))
        start = stop


def _told(fault: Exception | None) -> Exception:
    """Return an error of its own for each who waits: tracebacks grow on one that is shared."""
    if isinstance(fault, StoreError):
        told = type(fault)(str(fault), is_transient=fault.is_transient)
        told.__cause__ = fault
        return told
    return fault or StoreError("the commit failed")
