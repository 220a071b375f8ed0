# SPDX-License-Identifier: Apache-2.0
"""Drafting whatever is in the way: a signer that is away, or a frame that our own code fails on.

The one is waited for, and emitters lose nothing. The other is looked for, and refused alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from tallystick.daemon.attested import ArrivedFrame, as_attested
from tallystick.daemon.drafted import Answer, Drafted
from tallystick.daemon.losses import Losses
from tallystick.daemon.tallies import Tallies
from tallystick.errors import Error, SignerUnavailable
from tallystick.limits import SIGNER_PAUSE_MS_MAX
from tallystick.model.frame import Refusal
from tallystick.serve.logs import event

Stored = TypeVar("Stored")


class Drafts(Protocol):
    """What makes receipts of frames."""

    def draft(self, frames: Sequence[ArrivedFrame], /) -> Drafted:
        """Return a transaction that is signed, and that is still to be written."""

    def commit(self, frames: Sequence[ArrivedFrame], /) -> list[Answer]:
        """Draft it, and put it on stable storage."""

    @property
    def losses(self) -> Losses:
        """Where frames are counted that become no receipt, until the chain says so."""


class Endurance:
    """Has frames drafted, one batch at a time."""

    # Since when it drafts, set by who has it draft; 0 while nothing runs that could hang.
    began_ns = 0
    # Whether frames wait for a signer that gives no signatures for now.
    is_signer_away = False

    def __init__(self, ledger: Drafts, tallies: Tallies) -> None:
        self._ledger = ledger
        self._tallies = tallies
        self._is_over = threading.Event()

    def end(self) -> None:
        """Wait for no signer any more: what waits for one hears that it is away."""
        self._is_over.set()

    def draft(self, frames: list[ArrivedFrame]) -> Drafted | list[Answer]:
        """Return what is to be written; where our own code stumbles, what was stored one by one."""
        try:
            return self._patiently(self._ledger.draft, frames)
        except Error:
            raise
        except Exception:  # noqa: BLE001 - one frame's trouble is not another's
            return self._commit(frames)

    def _commit(self, frames: list[ArrivedFrame]) -> list[Answer]:
        """Have frames stored; where that fails for another reason than the store, one by one."""
        try:
            return self._patiently(self._ledger.commit, frames)
        except Error:
            raise
        except Exception as fault:  # noqa: BLE001 - one frame's trouble is not another's
            if len(frames) == 1:
                one = frames[0]
                self._tallies.faults += 1
                event(logging.ERROR, "frame_failed", kind=type(fault).__name__)
                # In the tallies it is counted with its answer.
                moment_ms = one.received_ns // 1_000_000
                self._ledger.losses.note_refused("INTERNAL", moment_ms, one.drop_count)
                return [Refusal(code="INTERNAL", message="the daemon failed on this frame")]
            middle = len(frames) // 2
            return self._commit(frames[:middle]) + self._commit(frames[middle:])

    def _patiently(
        self, work: Callable[[list[ArrivedFrame]], Stored], frames: list[ArrivedFrame]
    ) -> Stored:
        """Wait for a signer that is away for now: emitters are held back, and lose nothing."""
        pause_ms = SIGNER_PAUSE_MS_MAX // 64
        while True:
            try:
                done = work(frames)
                self.is_signer_away = False
                return done
            except SignerUnavailable as fault:
                self.is_signer_away = True
                self.began_ns = 0  # nothing runs meanwhile that could hang
                event(logging.WARNING, "signer_unavailable", reason=str(fault))
                # While they wait the settings may change, and with them what is stated.
                frames[:] = [as_attested(one) for one in frames]
                if self._is_over.wait(pause_ms / 1000):
                    raise
                pause_ms = min(2 * pause_ms, SIGNER_PAUSE_MS_MAX)
                self.began_ns = time.monotonic_ns()
