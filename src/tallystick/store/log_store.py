# SPDX-License-Identifier: Apache-2.0
"""A collector's log store on any engine: sequencing, integration, checkpoints.

Sequencing and the fence lock one row, `log_head`, and read the clock after they have it: so entry
times never decrease, and no entry above a fence is older than the checkpoint that comes of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from tallystick.errors import StoreCorruptError, StoreError
from tallystick.limits import (
    INDEX_SEGMENT_ENTRIES,
    INTEGRATED_LEAVES_MAX,
)
from tallystick.model.submission import Intent, Placed, Submission
from tallystick.store.integration import edge_of, head_of, integrate
from tallystick.store.log_reads import LogReads, leaves_of, newest_checkpoints
from tallystick.store.sequencing import KnownChains, Sequencing
from tallystick.store.sql import Access, Engine


class SqlLogStore(LogReads):
    """The whole store; `LogStore` in ports says what each method promises."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._known = KnownChains(is_exclusive=engine.is_exclusive)
        self._advancing = threading.Lock()

    def place(
        self,
        submissions: Sequence[Submission],
        /,
        *,
        on_written: Callable[[], None] = lambda: None,
    ) -> tuple[Placed, ...]:
        """Sequence a batch in one commit: contiguous indexes for what is new, in this order."""
        if not submissions:
            return ()
        engine = self.engine
        if not engine.is_exclusive:
            on_written()  # each statement waits for a server
        with engine.writing() as access:
            start, last_ms = access.rows(
                f"SELECT next_index, last_ms FROM log_head WHERE one = 1{engine.for_update}"
            )[0]
            self._expect_no_less(access, start)
            time_ms = max(engine.clock_ms(access), last_ms)  # read after the lock is held
            self.catch_up(access, start)
            self._known.begin(start)
            sequencing = Sequencing(
                self, self._known, access, submissions, start=start, time_ms=time_ms
            )
            try:
                places = sequencing.run()
                self._known.end(start + len(sequencing.keys))
                if engine.is_exclusive:
                    on_written()
            except BaseException:
                self._known.clear()  # while nobody else may use it
                raise
        self._remember(sequencing)
        return places

    def advance(self) -> Intent:
        """Fence, integrate all entries before the fence, and store the next checkpoint's intent."""
        with self._advancing:
            self._close_segments()
            while True:
                waiting = self.pending()
                if waiting is not None:
                    return waiting
                size, time_s = self._fence()
                intent = self._intend(size, time_s)
                if intent is not None:
                    return intent

    def release(self, number: int, note: bytes, /) -> None:
        """Store the signed note of an intent; another note for the same number is an error."""
        with self.engine.writing() as access:
            rows = access.rows(
                f"SELECT note FROM checkpoint WHERE number = ?{self.engine.for_update}",
                (number,),
            )
            if rows and rows[0][0] is None:
                access.run("UPDATE checkpoint SET note = ? WHERE number = ?", (note, number))
        if not rows:
            raise StoreError(f"there is no checkpoint {number}")
        if rows[0][0] is not None and bytes(rows[0][0]) != note:
            raise StoreError(f"checkpoint {number} was released with another note")

    def probe(self) -> None:
        """Return when the store has made a real durable write."""
        with self.engine.writing() as access:
            access.run("UPDATE probe SET count = count + 1 WHERE one = 1")

    def close(self) -> None:
        """Let go of files, locks and connections."""
        self.engine.close()

    def _remember(self, done: Sequencing) -> None:
        """Take up in memory what is durable now."""
        if done.keys:
            with self._indexing:
                if self.index.known >= done.rows.start:
                    self.index.add(done.rows.start, done.keys)
                    if self.index.known == done.rows.start + len(done.keys):
                        self._last_leaf = (self.index.known - 1, done.rows.leaves[-1])
        self._known.remember(done.changed.values())

    def _fence(self) -> tuple[int, int]:
        """Store the clock under the sequencer's lock: what comes later is not older."""
        engine = self.engine
        with engine.writing() as access:
            size, last_ms = access.rows(
                f"SELECT next_index, last_ms FROM log_head WHERE one = 1{engine.for_update}"
            )[0]
            self._expect_no_less(access, size)
            now = max(engine.clock_ms(access), last_ms)
            access.run("UPDATE log_head SET last_ms = ? WHERE one = 1", (now,))
        return size, now // 1000

    def _expect_no_less(self, access: Access, next_index: int) -> None:
        """Raise where the database forgot entries that this process has seen.

        It was restored under us, or a standby was promoted that lagged.
        """
        if next_index < self.index.known:
            raise StoreCorruptError(
                f"the store has gone back: it has {next_index} entries, and had {self.index.known}"
            )
        self.expect_the_same(access)

    def _intend(self, size: int, time_s: int) -> Intent | None:
        """Integrate up to `size` and store the intent; None where another process was faster."""
        while True:
            with self.engine.writing() as access:
                done, stored = access.rows(
                    f"SELECT size, edge FROM tree WHERE one = 1{self.engine.for_update}"
                )[0]
                newest = newest_checkpoints(access)[:1]
                if done > size or any(
                    one.note is None or one.size > size or one.time_s > time_s for one in newest
                ):
                    return None
                edge = edge_of(done, bytes(stored))
                integrate(access, edge, min(size, done + INTEGRATED_LEAVES_MAX))
                if edge.size < size:
                    continue  # the next transaction goes on
                number = newest[0].number + 1 if newest else 1
                root = head_of(access, edge)
                access.insert(
                    "INSERT INTO checkpoint (number, time_s, size)", [(number, time_s, size)]
                )
                intent = Intent(number=number, time_s=time_s, size=size, root=root)
            break
        return intent

    def _close_segments(self) -> None:
        """Write the runs of segments that are full: sorted before the transaction begins."""
        while (segment := self.index.full_segment()) is not None:
            start = segment * INDEX_SEGMENT_ENTRIES
            with self.engine.reading() as access:
                leaves = leaves_of(access, start, start + INDEX_SEGMENT_ENTRIES)
            rows = self.index.runs_of(segment, leaves, _let_others_on)
            with self.engine.writing() as access:
                access.insert("INSERT INTO run (slot, words)", rows, "ON CONFLICT DO NOTHING")
            with self._indexing:
                self.index.close(segment)


def _let_others_on() -> None:
    """Sleep for a moment: who only gives the interpreter away mostly has it back at once."""
    time.sleep(0.0003)
