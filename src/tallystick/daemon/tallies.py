# SPDX-License-Identifier: Apache-2.0
"""What the daemon counts of itself, for its status: plain numbers that cost an addition."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from tallystick.limits import COMMITS_TIMED_MAX


class Tallies:
    """Numbers since the start. Each is changed by one thread only; who reads may be a bit late."""

    def __init__(self) -> None:
        self.connections = 0
        self.strangers = 0  # of whom the system said nothing
        self.over_quota = 0
        self.evicted = 0
        self.idle = 0
        self.slow = 0
        self.stalled = 0
        self.faults = 0  # of our own, each in one connection
        self.holds = 0
        self.scarcities = 0  # of descriptors or memory
        self.frames = 0
        self.receipts = 0
        self.late = 0
        self.acknowledged = 0
        self.rejected: Counter[str] = Counter()
        self._commit_us: deque[int] = deque(maxlen=COMMITS_TIMED_MAX)

    def note_commit(self, receipts: int, took_ns: int) -> None:
        """Count the receipts of one commit, and how long it took."""
        self.receipts += receipts
        self._commit_us.append(took_ns // 1000)

    def commit_us(self) -> dict[str, int]:
        """Return how long recent commits took, in microseconds."""
        times = sorted(self._commit_us)
        if not times:
            return {}
        last = len(times) - 1
        return {"p50": times[last // 2], "p99": times[last * 99 // 100], "max": times[last]}

    def as_dict(self) -> dict[str, Any]:
        """Return all counts by their names."""
        return {
            name: dict(value) if isinstance(value, Counter) else value
            for name, value in vars(self).items()
            if not name.startswith("_")
        }
