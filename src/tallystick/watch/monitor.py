# SPDX-License-Identifier: Apache-2.0
"""Follows one log: recomputes it, holds each checkpoint against the last, and keeps it to its word.

What a log can be convicted of comes out as evidence. What is only strange (it is silent, it serves
tiles that lead nowhere, it shows something old) comes out as an alarm: an honest log behind a
broken cache looks the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from tallystick.crypto.merkle import Edge
from tallystick.crypto.note import VerifierKey
from tallystick.errors import LogFormatError, NoteSignatureError, UnreadableError
from tallystick.model.sheet import Sheet, parse_sheet
from tallystick.watch.evidence import Fraud, Prosecutor, served_beginning, served_leaf
from tallystick.watch.growth import Growth, grow
from tallystick.watch.seen import Seen
from tallystick.watch.served import CHECKPOINT, SHEET, LogReader, ServedTree
from tallystick.watch.spoken import Spoken, heard
from tallystick.watch.watched import WatchedPromise

# How far a log's clock may be ahead of ours before that is told.
_AHEAD_S: Final = 60


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at a log has shown."""

    spoken: Spoken | None
    grown: int
    kept: int
    frauds: tuple[Fraud, ...]
    alarms: tuple[str, ...]


class Monitor:
    """Looks at one log again and again. Owned by one thread."""

    def __init__(
        self,
        reader: LogReader,
        log_key: VerifierKey,
        seen: Seen | None = None,
        *,
        save: Callable[[Seen], None],
        clock_s: Callable[[], float],
        silent_after_s: float,
    ) -> None:
        """Take where the log is, the key that is trusted, and what was seen before."""
        self._reader = reader
        self._log_key = log_key
        self._seen = seen
        self._save = save
        self._clock_s = clock_s
        self._silent_after_s = silent_after_s
        self._sheet: Sheet | None = None
        self._sheet_note = b""
        self._prosecutor = Prosecutor(b"", log_key)
        # What others hold: promises not yet kept, and checkpoints that ours does not reach yet.
        self._promises: list[WatchedPromise] = []
        self._hearsay: list[Spoken] = []
        self._frauds: list[Fraud] = []
        self._alarms: list[str] = []

    @property
    def seen(self) -> Seen | None:
        """What was last seen and found in order."""
        return self._seen

    @property
    def sheet(self) -> Sheet:
        """The log's sheet: the one that was seen first, ever."""
        if self._sheet is None:
            data = self._seen.sheet if self._seen is not None else self._reader.get(SHEET)
            if data is None:
                raise UnreadableError("the log has no sheet")
            self._sheet, self._sheet_note = parse_sheet(data, self._log_key), data
            self._prosecutor = Prosecutor(data, self._log_key)
        return self._sheet

    def watch(self, promises: Iterable[WatchedPromise]) -> None:
        """Hold the log to these promises from the next look on, until each is kept."""
        _ = self.sheet  # evidence needs it
        known = {one.index: one for one in self._promises}
        for one in promises:
            other = known.setdefault(one.index, one)
            if other is one:
                self._promises.append(one)
            elif other.leaf != one.leaf:
                self._accuse(
                    self._prosecutor.double_promise((other.file, other.leaf), (one.file, one.leaf))
                )

    def hear(self, note: bytes) -> None:
        """Take a checkpoint that somebody else was shown; the next look compares it."""
        self._hearsay.append(heard(note, self._log_key, self.sheet))

    def look(self) -> Look:
        """Fetch the newest checkpoint and judge all that follows from it."""
        spoken: Spoken | None = None
        before = self._seen.spoken.size if self._seen is not None else 0
        held = len(self._promises)
        try:
            spoken = self._newest()
            self._check_clock(spoken)
            self._follow(spoken)
        except NoteSignatureError as fault:
            self._alarms.append(f"{fault}; check that the key is this log's")
        except (LogFormatError, UnreadableError) as fault:
            self._alarms.append(str(fault))
        if spoken is not None:
            self._hold_to_promises(spoken)
            self._compare_hearsay(spoken)
        look = Look(
            spoken=spoken,
            grown=(self._seen.spoken.size if self._seen is not None else 0) - before,
            kept=held - len(self._promises),
            frauds=tuple(self._frauds),
            alarms=tuple(self._alarms),
        )
        self._frauds, self._alarms = [], []
        return look

    def _newest(self) -> Spoken:
        sheet = self.sheet
        # At each look: promises under another sheet's keys are no evidence under this one.
        if self._reader.get(SHEET) != self._sheet_note:
            self._alarms.append("the log serves another sheet than before, or none")
        note = self._reader.get(CHECKPOINT)
        if note is None:
            raise UnreadableError("the log serves no checkpoint")
        return heard(note, self._log_key, sheet)

    def _check_clock(self, spoken: Spoken) -> None:
        age_s = self._clock_s() - spoken.time_s
        if age_s > self._silent_after_s:
            self._alarms.append(f"the log is silent: its checkpoint is {age_s:.0f} s old")
        if age_s < -_AHEAD_S:
            self._alarms.append(f"the log's clock is {-age_s:.0f} s ahead of this one")

    def _follow(self, spoken: Spoken) -> None:
        """Hold a checkpoint against the last; where it fits, it is the last from now on."""
        seen = self._seen
        older = seen.spoken if seen is not None else None
        if older is not None and self._contradicts(older, spoken):
            return
        if seen is not None and older is not None and spoken.size <= older.size:
            if spoken.size < older.size or spoken.time_s < older.time_s:
                self._alarms.append(
                    f"the log shows size {spoken.size} of an earlier time, after {older.size}"
                )
            else:
                self._remember(spoken, seen.edge, seen.last_entry)
            return
        edge = seen.tree() if seen is not None else Edge()
        last_entry = seen.last_entry if seen is not None else None
        grown = grow(self._reader, edge, last_entry, (older, spoken), self.sheet.max_delay_ms)
        if grown.edge.root() != spoken.root:
            self._explain(older, spoken)
            return
        self._accuse_of_times(older, spoken, grown)
        if not grown.suspects:
            self._remember(spoken, grown.edge.hashes, grown.last_entry)

    def _contradicts(self, older: Spoken, newer: Spoken) -> bool:
        """Accuse where two checkpoints alone contradict each other."""
        if older.size == newer.size and older.root != newer.root:
            self._accuse(self._prosecutor.contradiction("fork/same-size", older, newer))
            return True
        first, second = sorted((older, newer), key=lambda one: one.time_s)
        if first.time_s < second.time_s and first.size > second.size:
            self._accuse(self._prosecutor.contradiction("rollback", first, second))
            return True
        return False

    def _explain(self, older: Spoken | None, spoken: Spoken) -> None:
        """Find out why the entries do not lead to the signed root."""
        if older is not None and older.size:
            root, path = served_beginning(older.size, spoken, self._reader)
            if root != older.root:
                self._accuse(self._prosecutor.other_beginning(older, spoken, root, path))
                return
        self._alarms.append(
            f"the entries that the log serves are not those of its tree of size {spoken.size}"
        )

    def _accuse_of_times(self, older: Spoken | None, spoken: Spoken, grown: Growth) -> None:
        for suspect in grown.suspects:
            notes = [spoken]
            if suspect.needs_older and older is not None:
                notes = [older, spoken]
            paths = [grown.tree.inclusion(index) for index, _ in suspect.entries]
            self._accuse(self._prosecutor.wrong_times(suspect.kind, notes, suspect.entries, paths))

    def _hold_to_promises(self, spoken: Spoken) -> None:
        tree = ServedTree(self._reader, spoken.size)
        waiting = []
        for one in self._promises:
            try:
                if not self._is_settled(one, spoken, tree):
                    waiting.append(one)
            except UnreadableError as fault:
                self._alarms.append(f"the promise of index {one.index} can't be checked: {fault}")
                waiting.append(one)
        self._promises = waiting

    def _is_settled(self, one: WatchedPromise, spoken: Spoken, tree: ServedTree) -> bool:
        """Whether a promise needs no more watching: it was kept, or it was broken."""
        if spoken.size <= one.index:
            return self._accuse(self._prosecutor.overdue(one.file, spoken), is_expected=False)
        found, path = served_leaf(one.index, spoken, tree)
        if found == one.leaf:
            return True
        place = (one.index, found, path)
        return self._accuse(self._prosecutor.broken_position(one.file, one.leaf, spoken, place))

    def _compare_hearsay(self, spoken: Spoken) -> None:
        waiting = []
        for one in self._hearsay:
            if self._contradicts(one, spoken):
                continue
            if one.size > spoken.size:
                waiting.append(one)
            elif 0 < one.size < spoken.size:
                try:
                    root, path = served_beginning(one.size, spoken, self._reader)
                except UnreadableError as fault:
                    self._alarms.append(f"a checkpoint of others can't be compared: {fault}")
                    waiting.append(one)
                else:
                    if root != one.root:
                        self._accuse(self._prosecutor.other_beginning(one, spoken, root, path))
        self._hearsay = waiting

    def _remember(self, spoken: Spoken, edge: tuple[bytes, ...], last: bytes | None) -> None:
        seen = Seen(sheet=self._sheet_note, spoken=spoken, edge=edge, last_entry=last)
        self._save(seen)
        self._seen = seen

    def _accuse(self, fraud: Fraud | None, *, is_expected: bool = True) -> bool:
        """Keep what is proven; tell where what looked wrong could not be proven."""
        if fraud is not None:
            self._frauds.append(fraud)
        elif is_expected:
            self._alarms.append("the log contradicts itself in a way that no file can prove")
        return fraud is not None
