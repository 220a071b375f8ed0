# SPDX-License-Identifier: Apache-2.0
"""What the ledger can say of itself: what is on stable storage, and not what is on its way."""

from __future__ import annotations

import msgspec


class LedgerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger can say of itself."""

    # The open root and where it stands; None between two roots.
    root: str | None
    sequence: int
    hash: str | None
    receipts: int
    commits: int
    # When the last transaction was on stable storage; 0 before the first one.
    last_fsync_ns: int
    last_issued_ms: int
    # The chains that are open: the root, and those of its agents.
    open_roots: int
    open_agents: int
    fingerprint: str
