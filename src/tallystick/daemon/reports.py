# SPDX-License-Identifier: Apache-2.0
"""What the status socket says: how the daemon is, in numbers, and nothing of what it has stored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from tallystick import __version__
from tallystick.chain.issue import timestamp
from tallystick.daemon.connections import Connections
from tallystick.daemon.intake import Intake
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.listener import Listener
from tallystick.daemon.settings import Settings
from tallystick.daemon.statements import Statements
from tallystick.daemon.tallies import Tallies
from tallystick.errors import Error


class Reports:
    """Puts together what each part knows."""

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: Ledger,
        tallies: Tallies,
        intake: Intake,
        connections: Connections,
        clock_ns: Callable[[], int],
    ) -> None:
        self.settings = settings
        self._ledger = ledger
        self._tallies = tallies
        self._intake = intake
        self._connections = connections
        self._clock_ns = clock_ns
        self._started_ns = clock_ns()
        self._began_ns = time.monotonic_ns()

    def status(self, statements: Statements, listener: Listener) -> dict[str, Any]:
        """Return how things stand."""
        tallies, fault = self._tallies, self._intake.fault
        counts, ledger = tallies.as_dict(), self._ledger.status()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": timestamp(self._started_ns),
            "uptime_s": (time.monotonic_ns() - self._began_ns) // 1_000_000_000,
            "socket": self.settings.socket,
            "socket_in_place": listener.is_in_place,
            "socket_is_safe": self.settings.is_safe_path,
            "key": {"fingerprint": ledger.fingerprint},
            "chains": {
                "open": ledger.open_roots + ledger.open_agents,
                "roots": ledger.open_roots,
                "agents": ledger.open_agents,
            },
            "ledger": {
                "root": ledger.root,
                "sequence": ledger.sequence,
                "hash": ledger.hash,
                "receipts": ledger.receipts,
                "last_issued_ms": ledger.last_issued_ms,
                "clock_behind_ms": max(0, ledger.last_issued_ms - self._clock_ns() // 1_000_000),
            },
            "queue": {
                "frames": self._connections.waiting,
                "commit_running_ms": self._intake.busy_ms,
                "signer_is_away": self._intake.is_signer_away,
            },
            "commit": {
                "count": ledger.commits,
                "recent_us": tallies.commit_us(),
                "last_fsync": timestamp(ledger.last_fsync_ns) if ledger.last_fsync_ns else None,
            },
            "connections": {"open": len(self._connections), "taken": counts["connections"]},
            "frames": {
                name: counts[name] for name in ("frames", "receipts", "acknowledged", "late")
            },
            "rejected": counts["rejected"],
            "undisclosed": statements.undisclosed,
            "drafting": {"pid": statements.ahead.pid, "lost": statements.ahead.lost},
            "guarded": {
                name: counts[name]
                for name in (
                    "strangers",
                    "over_quota",
                    "evicted",
                    "idle",
                    "slow",
                    "stalled",
                    "holds",
                    "scarcities",
                    "faults",
                )
            },
            "fault": None
            if fault is None
            else (str(fault) if isinstance(fault, Error) else type(fault).__name__),
        }
