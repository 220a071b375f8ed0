# SPDX-License-Identifier: Apache-2.0
"""Makes checkpoints: every second while the log grows, every ten when it does not.

One checkpoint is five steps, each durable before the next: the store fences and integrates, and
keeps the intent; the intent is signed (the same row, the same bytes, however often this is begun
anew); the guard keeps what will be visible; the store keeps the note; then it is shown.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import Final

import msgspec

from tallystick.collector.guard import Guard
from tallystick.collector.log_keys import LogKeys
from tallystick.errors import Error, StoreError
from tallystick.model.submission import Intent
from tallystick.ports import LogStore

GROWING_S: Final = 1.0
IDLE_S: Final = 10.0

Publish = Callable[[Intent], None]
OnFault = Callable[[str], None]
OnRelease = Callable[[Intent, Intent | None, float], None]


class Checkpoints:
    """The checkpoints of one log, made on a thread of their own."""

    def __init__(
        self,
        store: LogStore,
        keys: LogKeys,
        guard: Guard,
        publish: Publish,
        *,
        on_fault: OnFault,
        on_release: OnRelease | None = None,
        before: Callable[[], None] = lambda: None,
        growing_s: float = GROWING_S,
        idle_s: float = IDLE_S,
        monotonic: Callable[[], float],
    ) -> None:
        """Take what a checkpoint needs; `publish` shows one, `on_fault` hears of the end.

        `before` may raise: then no checkpoint is made any more.
        """
        self._store = store
        self._keys = keys
        self._guard = guard
        self._publish = publish
        self._on_fault = on_fault
        self._on_release = on_release
        self._before = before
        self._growing_s = growing_s
        self._idle_s = idle_s
        self._monotonic = monotonic
        self._newest: Intent | None = None
        self._shown_at = monotonic()
        self._stop = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread: threading.Thread | None = None

    def make(self) -> Intent:
        """Make the next checkpoint now, or finish the one that was begun; return it, released."""
        with self._one_at_a_time:
            began = self._monotonic()
            self._hold()
            before = self._newest
            intent = self._store.advance()
            note = self._keys.checkpoint_note(intent)
            self._guard.record(intent)
            self._store.release(intent.number, note)
            made = msgspec.structs.replace(intent, note=note)
            self._show(made)
            if self._on_release is not None:
                self._on_release(made, before, self._monotonic() - began)
            return made

    def catch_up(self) -> None:
        """Show what another process released since; any thread may ask for it."""
        released = self._store.released()
        if released is None or not self._is_news(released):
            return
        with self._one_at_a_time:
            if self._is_news(released):
                self._hold()
                self._guard.record(released)
                self._show(released)

    def look(self) -> None:
        """Show what another process released since; make a checkpoint where one is due."""
        self.catch_up()
        newest = self._newest
        is_idle = self._monotonic() - self._shown_at >= self._idle_s
        if newest is None or is_idle or self._store.next_index() > newest.size:
            self.make()

    def start(self) -> None:
        """Make checkpoints from now on."""
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make no more; return when the one that is being made is done."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _hold(self) -> None:
        """Raise where the store lacks what was said or promised: it signs and shows no more."""
        self._guard.hold(self._store)
        self._before()

    def _is_news(self, released: Intent) -> bool:
        return self._newest is None or released.number > self._newest.number

    def _show(self, made: Intent) -> None:
        self._newest = made
        self._shown_at = self._monotonic()
        self._publish(made)

    def _run(self) -> None:
        wait_s = self._growing_s
        while not self._stop.wait(wait_s):
            began = self._monotonic()
            try:
                self.look()
            except Error as fault:
                if not _may_pass(fault):
                    self._on_fault(f"no checkpoint can be made: {fault}")
                    return
            except BaseException as fault:
                self._on_fault(f"no checkpoint can be made: {type(fault).__name__}")
                raise
            # From one beginning to the next, or at once where making one took longer than that.
            wait_s = max(0.0, self._growing_s - (self._monotonic() - began))


def _may_pass(fault: Error) -> bool:
    """Whether to try again: also where there was no file descriptor left, and so nothing done."""
    if isinstance(fault, StoreError):
        return fault.is_transient
    cause = fault.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)
