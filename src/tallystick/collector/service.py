# SPDX-License-Identifier: Apache-2.0
"""A collector's log from start to end: guard, sequencer, checkpoints, and the order among them.

Start: the store is held to what was last said, an intent without a note is finished, and only then
is a receipt taken. End: what waits is committed, a last checkpoint covers it, and the thread stops.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from tallystick.collector.checkpoints import GROWING_S, IDLE_S, Checkpoints
from tallystick.collector.guard import Guard, fault_of
from tallystick.collector.log import Sequencer
from tallystick.collector.log_keys import LogKeys
from tallystick.collector.log_view import LogView
from tallystick.collector.promised import Promised
from tallystick.collector.succession import succession
from tallystick.durable.file import FilePath
from tallystick.errors import LogFormatError, LogRolledBackError, SettingError, StoreError
from tallystick.model.checkpoint import open_checkpoint
from tallystick.model.log_entry import parse_entry
from tallystick.model.submission import Intent
from tallystick.ports import LogStore

OnCommit = Callable[[int, float], None]
OnRelease = Callable[[int, float, float], None]

_LOGGER: Final = logging.getLogger("tallystick.collector")


class LogService:
    """What takes receipts, and gives them their places in one log."""

    def __init__(
        self,
        store: LogStore,
        keys: LogKeys,
        guard_path: FilePath,
        *,
        on_commit: OnCommit | None = None,
        on_release: OnRelease | None = None,
        clock_s: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        growing_s: float = GROWING_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """Take a store that is open, and the keys of its log; nothing is signed yet."""
        self.store: Final = store
        self.log: Final = LogView(store, keys, catch_up=self._catch_up)
        self._keys = keys
        self._guard = Guard(guard_path, keys.origin)
        self._promised = Promised(guard_path, keys.origin)
        self.sequencer: Final = Sequencer(
            store, keys, note=self._promised.note, on_commit=on_commit
        )
        self._on_release = on_release
        self._clock_s = clock_s
        self._fault: str | None = None
        self._checkpoints = Checkpoints(
            store,
            keys,
            self._guard,
            self.log.publish,
            on_fault=self._fail,
            on_release=None if on_release is None else self._tell_release,
            before=lambda: _hold_to_promises(self._promised, self.store),
            growing_s=growing_s,
            idle_s=idle_s,
            monotonic=monotonic,
        )

    @property
    def fault(self) -> str | None:
        """Why nothing more is taken, or None while all is well."""
        return self._fault or self.sequencer.fault

    def start(self) -> None:
        """Return when the log may take receipts, or raise: then nothing was signed."""
        check_keys(self.store, self._keys)
        self._guard.check(self.store)
        _hold_to_promises(self._promised, self.store)
        released = self.store.released()
        if released is not None:
            self.log.publish(released)
        predecessor = self._keys.predecessor
        if predecessor is not None and not self.store.next_index():
            self.store.place([succession(self._keys.origin, predecessor)])
        self._checkpoints.make()
        self._checkpoints.start()

    def drain(self) -> None:
        """Take no more; return when what was taken is durable and under a checkpoint."""
        self.sequencer.close()
        self._checkpoints.stop()
        newest = self.log.newest
        if self._fault is None and newest is not None:
            try:
                if self.store.next_index() > newest.size:
                    self._checkpoints.make()
            except StoreError as fault:
                self._fail(f"the last checkpoint could not be made: {fault}")

    def close(self) -> None:
        """End at once: what was promised is durable, and the next start covers it."""
        self.sequencer.close()
        self._checkpoints.stop()
        self._promised.close()

    def _catch_up(self) -> None:
        if self._fault is None:
            self._checkpoints.catch_up()

    def _fail(self, reason: str) -> None:
        if self._fault is None:
            self._fault = reason
            _LOGGER.critical("log_stopped", extra={"reason": reason})

    def _tell_release(self, made: Intent, before: Intent | None, seconds: float) -> None:
        delay_s = 0.0
        first = before.size if before is not None else made.size
        if first < made.size:
            time_ms = parse_entry(self.store.entries(first, first + 1)[0]).time_ms
            delay_s = max(0.0, self._clock_s() - time_ms / 1000)
        if self._on_release is not None:
            self._on_release(made.size, delay_s, seconds)


def check_keys(store: LogStore, keys: LogKeys) -> None:
    """Return when these keys signed what the store has released, if anything; else raise."""
    released = store.released()
    if released is None or released.note is None:
        return
    try:
        open_checkpoint(released.note, keys.log.verifier, keys.time.verifier)
    except LogFormatError:
        origin = released.note.partition(b"\n")[0].decode("utf-8", "replace")
        raise SettingError(
            f"these are the keys of {keys.origin!r}, and the store holds the log {origin!r} under "
            "other keys: name its keys with --keys, or another store with --db"
        ) from None


def reconcile(
    store: LogStore, keys: LogKeys, guard_path: FilePath, checkpoint: bytes | None = None
) -> Intent:
    """Let a store go on whose last word is not known here, and return where it stands.

    Wanted is the newest checkpoint that anybody outside holds: a monitor, a mirror, an auditor. A
    store that lacks any of what was signed never goes on: its origin has to be given up.
    """
    check_keys(store, keys)
    guard = Guard(guard_path, keys.origin)
    known = guard.read()
    fault = fault_of(known, store) if known is not None else None
    if fault is not None:
        raise LogRolledBackError(f"the store {fault}; open the next origin")
    newest = store.pending() or store.released()
    if checkpoint is None and known is None:
        raise SettingError(
            "nothing says how far this log was: give the newest checkpoint that a monitor, a "
            "mirror or an auditor holds"
        )
    if newest is None:
        raise LogRolledBackError("the store has signed nothing; open the next origin")
    _hold_to_promises(Promised(guard_path, keys.origin), store)
    if checkpoint is not None:
        _compare(store, keys, newest, checkpoint)
    guard.record(newest)
    return newest


def _hold_to_promises(promised: Promised, store: LogStore) -> None:
    fault = promised.fault(store)
    if fault is not None:
        raise LogRolledBackError(f"the store {fault}; open the next origin")


def _compare(store: LogStore, keys: LogKeys, newest: Intent, checkpoint: bytes) -> None:
    said = open_checkpoint(checkpoint, keys.log.verifier, keys.time.verifier)
    if said.size > newest.size or (said.time_s or 0) > newest.time_s:
        raise LogRolledBackError(
            f"the log has signed a checkpoint of size {said.size}, and the store ends at "
            f"{newest.size} before that time; open the next origin"
        )
    view = LogView(store, keys)
    view.publish(newest)
    if said.size and view.root(said.size) != said.root:
        raise LogRolledBackError(
            f"the store holds another tree of size {said.size} than the one that was signed; "
            "open the next origin"
        )
