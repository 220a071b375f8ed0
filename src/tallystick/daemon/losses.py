# SPDX-License-Identifier: Apache-2.0
"""Frames that became no receipt, counted by reason until a receipt in the chain says so."""

from __future__ import annotations

import threading

from tallystick.chain.issue import timestamp
from tallystick.limits import JSON_INTEGER_MAX, LOSS_REASONS_MAX
from tallystick.model.extension import Dropped

# Where the reasons are too many to be told apart.
OTHER = "OTHER"
# Losses that an emitter told of in a frame that was itself refused.
CLAIMED = "CLAIMED_BY_EMITTER"

# Reasons with their counts, the first and the last moment.
Taken = tuple[dict[str, int], int, int]


class Losses:
    """Counts from any thread; the ledger takes them, and gives back what it could not write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reasons: dict[str, int] = {}
        self._since_ms = self._until_ms = 0

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def note(self, reason: str, now_ms: int, count: int = 1) -> None:
        """Count frames that are lost; a reason is a stable code and never an emitter's word."""
        with self._lock:
            self._add({reason: count}, now_ms, now_ms)

    def note_refused(self, reason: str, now_ms: int, claimed: int) -> None:
        """Count a frame that was refused, with the losses that it told of: nobody tells again."""
        self.note(reason, now_ms)
        if claimed:
            self.note(CLAIMED, now_ms, claimed)

    def take(self) -> Taken | None:
        """Return reasons with their counts, first and last moment, and begin anew."""
        with self._lock:
            if not self._reasons:
                return None
            taken = (dict(self._reasons), self._since_ms, self._until_ms)
            self._reasons.clear()
            return taken

    def take_besides(self, refused: Losses) -> tuple[Taken | None, Taken | None]:
        """Return what `take` does, and the same with what else was counted."""
        if not (self or refused):
            return None, None
        before, both = self.take(), Losses()
        both.give_back(before)
        both.give_back(refused.take())
        return before, both.take()

    def give_back(self, taken: Taken | None) -> None:
        """Count again what was taken and not written."""
        if taken is not None:
            with self._lock:
                self._add(*taken)

    def _add(self, reasons: dict[str, int], since_ms: int, until_ms: int) -> None:
        if not self._reasons:
            self._since_ms, self._until_ms = since_ms, until_ms
        self._since_ms = min(self._since_ms, since_ms)
        self._until_ms = max(self._until_ms, until_ms)
        for reason, count in reasons.items():
            is_known = reason in self._reasons or len(self._reasons) < LOSS_REASONS_MAX
            name = reason if is_known else OTHER
            self._reasons[name] = self._reasons.get(name, 0) + count


def told(taken: Taken) -> tuple[int, Dropped]:
    """Return how many frames were lost, and what the receipt says of them."""
    reasons, since_ms, until_ms = taken
    facts = Dropped(
        reasons={name: min(count, JSON_INTEGER_MAX) for name, count in sorted(reasons.items())},
        since=timestamp(since_ms * 1_000_000),
        until=timestamp(until_ms * 1_000_000),
    )
    return min(sum(reasons.values()), JSON_INTEGER_MAX), facts
