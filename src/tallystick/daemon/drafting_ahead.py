# SPDX-License-Identifier: Apache-2.0
"""Who states frames: a second process where many come, else the thread that links and signs.

The interpreter does one thing at a time in one process, and to read and state a frame is the larger
part of what it costs. The other process is never the sole hope: where it can't be started, has too
much to do or is lost, the same functions run here, on the same bytes.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from tallystick.chain.issue import timestamp
from tallystick.daemon.connection import Arrived
from tallystick.daemon.draft_process import Asked, DraftProcess, Lost
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.portion import Portion, Statement, ids_in, new_gap, state
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.daemon.terms import Terms, draft_settings_of
from tallystick.limits import (
    DRAFT_CHECKED_BYTES_MAX,
    DRAFT_FRAMES_MIN,
    DRAFT_PATIENCE_MS,
    DRAFT_PAUSE_MS,
    DRAFT_PORTION_BYTES_MAX,
    DRAFT_PORTIONS_MAX,
    DRAFT_UNCHECKED_MAX,
)
from tallystick.serve.logs import event
from tallystick.verify.companion import may_start

# One that begins may take longer, on a busy machine: nobody waits for it.
_TO_BEGIN: Final = 4


class DraftingAhead:
    """Owns the process. One thread asks; another one takes the answers."""

    def __init__(
        self,
        terms: Terms,
        names: PrincipalNames,
        *,
        may_ask: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Take what to state by, and whether a process may be started and asked."""
        self._terms = terms
        self._settings = draft_settings_of(terms)
        self._names = names
        self._gap = new_gap()
        self._clock = clock
        self._lock = threading.Lock()
        self._may_ask = may_ask and may_start()
        self._not_before = clock()
        self._begun = 0.0
        self._process: DraftProcess | None = None
        # Of portions of this process.
        self._number = 0
        # When the last receipt was issued; for the thread that takes the answers to tell.
        self.issued_ms = 0
        self.lost = 0

    @property
    def pid(self) -> int | None:
        """The number of the process, where there is one."""
        process = self._process
        return None if process is None or process.is_gone else process.pid

    def ask(self, arrived: Arrived) -> Asked | None:
        """Hand over what came in, or return None where it is for us to state."""
        if len(arrived.bodies) < DRAFT_FRAMES_MIN or arrived.size > DRAFT_PORTION_BYTES_MAX:
            return None
        if arrived.connection.passes_by():
            return None
        process = self._process or self._started()
        if process is None or not self._is_ready(process):
            return None
        attestation = arrived.connection.attestation
        principal_id = self._names.known(attestation.credential.uid)
        if principal_id is None or process.waiting >= DRAFT_PORTIONS_MAX:
            return None
        self._number += 1
        # A receipt is never earlier than the one before it, whatever the clock says.
        moment_ms = max(arrived.received_ns // 1_000_000, self.issued_ms)
        portion = Portion(
            number=self._number,
            moment_ms=moment_ms,
            moment=timestamp(moment_ms * 1_000_000),
            principal_id=principal_id,
            credential=attestation.credential,
            peer=attestation.peer,
            bodies=arrived.bodies,
        )
        try:
            process.ask(portion)
        except Lost as fault:
            self._lose(process, fault)
            return None
        return Asked(process, portion)

    def statements(self, asked: Asked) -> Sequence[Statement | None] | None:
        """Return what was said, or None where the process is lost: of each once, in their order."""
        process, portion = asked
        settings = self._settings
        try:
            statements = process.answer(portion)
            self._check(portion, statements, settings)
        except Lost as fault:
            self._lose(process, fault)
            return None
        except Exception as fault:  # noqa: BLE001 - they are stated here, whatever it was
            self._lose(process, Lost(f"its answer can't be read: {type(fault).__name__}"))
            return None
        return None if process.is_over else statements

    def take(self, terms: Terms) -> None:
        """State by other terms from now on, also what was handed over already."""
        settings = draft_settings_of(terms)
        with self._lock:
            process, self._process = self._process, None
            self._terms, self._settings = terms, settings
        if process is not None:
            process.end()

    def close(self) -> None:
        """Start no process any more, and end the one that there is."""
        self._may_ask = False
        self.take(self._terms)

    def _started(self) -> DraftProcess | None:
        if not self._may_ask or self._clock() < self._not_before:
            return None
        try:
            process = DraftProcess(self._terms)
        except OSError as fault:
            self._lose(None, Lost(f"it can't be started: {fault.strerror or fault}"))
            return None
        self._begun, self._number, self._process = self._clock(), 0, process
        return process

    def _is_ready(self, process: DraftProcess) -> bool:
        """Whether it has begun; until then, this process states."""
        try:
            if process.begin():
                return True
            if self._clock() - self._begun > _TO_BEGIN * DRAFT_PATIENCE_MS / 1000:
                raise Lost("it does not begin")
        except Lost as fault:
            self._lose(process, fault)
        return False

    def _check(
        self,
        portion: Portion,
        statements: Sequence[Statement | None],
        settings: DraftSettings,
    ) -> None:
        """State one frame here as well, now and then: nobody can tell which one."""
        # A new process is looked at more closely.
        is_new = portion.number <= DRAFT_UNCHECKED_MAX + 1
        if not is_new and secrets.randbelow(DRAFT_UNCHECKED_MAX + 1):
            return
        at = secrets.randbelow(len(statements))
        there = statements[at]
        if there is None or len(portion.bodies[at]) > DRAFT_CHECKED_BYTES_MAX:
            return
        try:
            ids = iter(ids_in(there))
            here = state(portion.bodies[at], portion, settings, self._gap, lambda: next(ids))
        except ValueError as fault:
            raise Lost(f"it states what is no statement: {fault}", is_broken=True) from None
        if here != there:
            raise Lost("it states something else", is_broken=True)

    def _lose(self, process: DraftProcess | None, fault: Lost) -> None:
        """Go on without it: for a while, or for good where it answered wrongly."""
        with self._lock:
            is_known = process is None or process is self._process
            if is_known:
                self._may_ask = self._may_ask and not fault.is_broken
                self._not_before = self._clock() + DRAFT_PAUSE_MS / 1000
                self.lost += 1
                self._process = None  # last: who asks begins another where there is none
        if process is not None:
            process.end()
        if is_known:  # else it was ended by us, or the other thread was first
            event(logging.WARNING, "drafter_lost", reason=str(fault), is_final=fault.is_broken)
