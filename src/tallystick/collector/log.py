# SPDX-License-Identifier: Apache-2.0
"""Gives receipts their places: many wait for one commit, and one signature promises all of them.

The event loop hands over what came in and goes on; a thread commits it, and takes what came in
meanwhile. A place is returned after its commit is durable, and a promise is signed only for a place
that was returned: an error, or an outcome that nobody knows, promises nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from tallystick.collector.log_keys import LogKeys
from tallystick.collector.receiving import Settle
from tallystick.errors import StoreBusyError, StoreError, StoreStoppedError
from tallystick.limits import (
    COMMIT_BYTES_MAX,
    COMMIT_ITEMS_MAX,
    PROMISES_CACHED_MAX,
    STEPPED_BACK_ITEMS_MAX,
    STEPPED_BACK_MS_MAX,
    WAITING_BYTES_MAX,
    WAITING_ITEMS_MAX,
)
from tallystick.model.promise import promise_file, promise_file_text
from tallystick.model.submission import Batch, Placed, Submission
from tallystick.ports import LogStore
from tallystick.serve.logs import LOGGER
from tallystick.store.committer import GroupCommit


class _Ask(NamedTuple):
    """Receipts that wait for their places, together in one commit."""

    submissions: Sequence[Submission]
    size: int
    settle: Settle


class _Note(NamedTuple):
    """The signed promise of a batch, and how it stands within a JSON text."""

    batch: Batch
    data: bytes
    text: bytes


class _Committed(NamedTuple):
    """What became of one commit: the places, and the note of what is new in it."""

    placed: Sequence[Placed]
    note: _Note | None


class Sequencer:
    """Places receipts in one log. `ask`, `place` and `place_all` belong to one event loop.

    What comes in during a commit waits here, in the loop, and goes to the writer's thread as one
    piece: no lock is taken for a single receipt.
    """

    def __init__(
        self,
        store: LogStore,
        keys: LogKeys,
        *,
        note: Callable[[Batch], None] = lambda _batch: None,
        on_commit: Callable[[int, float], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the store that keeps, the keys that promise, and who is told of a batch first."""
        self._store = store
        self._keys = keys
        self._note_batch = note
        self._on_commit = on_commit
        self._monotonic = monotonic
        self._notes: OrderedDict[int, _Note] = OrderedDict()
        self._waiting: deque[_Ask] = deque()
        self._waiting_count = 0
        self._waiting_bytes = 0
        self._is_committing = False
        # Set where the writer has no more use for the interpreter, but for a moment at its end.
        self._written = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._commits: Final[GroupCommit[Sequence[_Ask], _Committed]] = GroupCommit(
            self._commit, self._done
        )

    @property
    def fault(self) -> str | None:
        """Why nothing more is placed, or None while all is well."""
        fault = self._commits.fault
        return None if fault is None else str(fault)

    async def place(self, submission: Submission, /) -> Placed:
        """Return the place of a receipt once it is durable, or raise `StoreError`."""
        placed: Sequence[Placed] = await self._asked((submission,))
        return placed[0]

    async def place_all(self, submissions: Sequence[Submission], /) -> list[Placed]:
        """Return the places of several, which one commit makes durable, or raise `StoreError`."""
        if not submissions:
            return []
        return list(await self._asked(submissions))

    def ask(self, submissions: Sequence[Submission], settle: Settle, /) -> None:
        """Put receipts in line for one commit, or raise `StoreError`: then nobody is told."""
        size = sum([len(one.body) for one in submissions])
        count = self._waiting_count + len(submissions)
        size_in_all = self._waiting_bytes + size
        # One ask alone is always taken: its own bounds are at the door.
        if self._waiting and (count > WAITING_ITEMS_MAX or size_in_all > WAITING_BYTES_MAX):
            raise StoreBusyError(f"{self._waiting_count} receipts already wait to be stored")
        if self._commits.fault is not None:
            raise StoreStoppedError(f"nothing is stored any more: {self._commits.fault}")
        self._waiting.append(_Ask(submissions, size, settle))
        self._waiting_count, self._waiting_bytes = count, size_in_all
        if not self._is_committing:
            self._is_committing = True
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._go_on)  # who else came in at this moment shares the commit

    def promise_file(self, placed: Placed, /) -> bytes:
        """Return the signed promise of a place: the same bytes whenever it is asked for."""
        return promise_file(placed.index, placed.path_lines, self._note(placed.batch).data)

    def promise_json(self, placed: Placed, /) -> bytes:
        """Return the same as a JSON text: what all of a batch share is spelled once."""
        note_text = self._note(placed.batch).text
        return promise_file_text(placed.index, placed.path_text, note_text)

    def close(self) -> None:
        """Take no more; return when what was handed over is durable. Others are told so."""
        self._commits.close()

    def _asked(self, submissions: Sequence[Submission]) -> asyncio.Future[Any]:
        """Put receipts in line, and return what will hold their places."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.ask(submissions, partial(_fill, future))
        return future

    def _go_on(self) -> None:
        """Hand over what waits, or note that nothing does."""
        try:
            self._is_committing = bool(self._waiting)
            if self._waiting:
                self._hand_over()
        except StoreError as fault:
            self._fail_all(fault)

    def _hand_over(self) -> None:
        """Give the writer as much of what waits as one commit may have."""
        asks: list[_Ask] = []
        count = size = 0
        while self._waiting:
            ask = self._waiting[0]
            count += len(ask.submissions)
            size += ask.size
            if asks and (count > COMMIT_ITEMS_MAX or size > COMMIT_BYTES_MAX):
                break
            asks.append(self._waiting.popleft())
            self._waiting_count -= len(ask.submissions)
            self._waiting_bytes -= ask.size
        self._written.clear()
        try:
            self._commits.submit(asks)
        except StoreError as fault:
            _resolve(asks, None, fault)
            raise
        if count <= STEPPED_BACK_ITEMS_MAX:
            # Both want the interpreter now, and the writer gives it away at every statement. What
            # comes of the loop meanwhile is better done while the disk works.
            self._written.wait(STEPPED_BACK_MS_MAX / 1000)

    def _fail_all(self, fault: StoreError) -> None:
        """Tell all who wait that nothing more is stored."""
        waiting, self._waiting = list(self._waiting), deque()
        self._waiting_count = self._waiting_bytes = 0
        self._is_committing = False
        _resolve(waiting, None, fault)

    def _note(self, batch: Batch) -> _Note:
        known = self._notes.get(batch.start)
        if known is not None and known.batch is batch:
            return known
        return self._keep(self._signed(batch))

    def _keep(self, note: _Note) -> _Note:
        notes = self._notes
        notes[note.batch.start] = note
        while len(notes) > PROMISES_CACHED_MAX:
            notes.popitem(last=False)
        return note

    def _signed(self, batch: Batch) -> _Note:
        data = self._keys.promise_note(batch)
        return _Note(batch, data, msgspec.json.encode(data.decode())[1:-1])

    def _commit(self, given: Sequence[Sequence[_Ask]]) -> _Committed:
        """Commit what was handed over, then sign its promise; on the writer's thread."""
        began = self._monotonic()
        submissions = [one for asks in given for ask in asks for one in ask.submissions]
        try:
            placed = self._store.place(submissions, on_written=self._written.set)
        finally:
            self._written.set()
        batch = next((one.batch for one in placed if one.is_new), None)
        if batch is not None:
            self._note_batch(batch)
        if self._on_commit is not None:
            self._on_commit(len(submissions), self._monotonic() - began)
        return _Committed(placed, None if batch is None else self._signed(batch))

    def _done(
        self,
        given: Sequence[Sequence[_Ask]],
        committed: _Committed | None,
        fault: Exception | None,
    ) -> None:
        """Tell the loop what became of one commit; on the writer's thread."""
        asks = [ask for some in given for ask in some]
        assert self._loop is not None  # whoever asked was on it
        try:
            self._loop.call_soon_threadsafe(self._resolved, asks, committed, fault)
        except RuntimeError:
            pass  # the loop is gone, and who waited with it

    def _resolved(
        self, asks: Sequence[_Ask], committed: _Committed | None, fault: Exception | None
    ) -> None:
        """Let the next commit begin, and wake who waited for this one."""
        self._go_on()
        if committed is not None and committed.note is not None:
            self._keep(committed.note)
        _resolve(asks, None if committed is None else committed.placed, fault)


def _resolve(
    asks: Sequence[_Ask], placed: Sequence[Placed] | None, fault: Exception | None
) -> None:
    """Tell those who wait; who has gone since keeps its place all the same."""
    start = 0
    for submissions, _, settle in asks:
        stop = start + len(submissions)
        try:
            if placed is not None:
                settle(placed[start:stop], None)
            else:
                settle(None, _told(fault))
        except Exception:  # noqa: BLE001  # who stands behind it is told all the same
            LOGGER.exception("internal_fault")
        start = stop


def _fill(
    future: asyncio.Future[Any], placed: Sequence[Placed] | None, fault: Exception | None
) -> None:
    """Wake who awaits a future, if it is still there."""
    if future.done():
        return
    if fault is None:
        future.set_result(placed)
    else:
        future.set_exception(fault)


def _told(fault: Exception | None) -> Exception:
    """Return an error of its own for each who waits: tracebacks grow on one that is shared."""
    if isinstance(fault, StoreError):
        told = type(fault)(str(fault), is_transient=fault.is_transient)
        told.__cause__ = fault
        return told
    return fault or StoreError("the commit failed")
