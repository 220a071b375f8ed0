# SPDX-License-Identifier: Apache-2.0
"""What the ledger says of itself is what the store holds."""

from __future__ import annotations

from pathlib import Path

from tests.ledgers import DAY_MS, Home

from tallystick.daemon.ledger_status import LedgerStatus
from tallystick.daemon.publishing import published
from tallystick.verify.trust import fingerprint_of


def opened(status: LedgerStatus) -> tuple[int, int]:
    """Return how many roots and how many chains of agents are open."""
    return status.open_roots, status.open_agents


def test_open_chains_are_counted(tmp_path: Path) -> None:
    """From the first receipt to the last, over a kill, a rotation, and the end of a day."""
    home = Home(tmp_path)
    ledger = home.open()
    assert opened(ledger.status()) == (0, 0)
    assert ledger.status().last_fsync_ns == 0
    ledger.commit([home.frame(), home.frame(agent_id="a"), home.frame(agent_id="b")])
    assert opened(ledger.status()) == (1, 2)
    assert ledger.status().last_fsync_ns == home.now_ms * 1_000_000
    ledger.write(ledger.draft([home.frame(agent_id="c")]))
    assert opened(ledger.status()) == (1, 3)
    # As a daemon that was killed leaves it.
    ledger._store.close()
    ledger._heads.close()
    ledger = home.open()
    assert opened(ledger.status()) == (1, 3)
    home.now_ms += DAY_MS
    ledger.tick()
    assert opened(ledger.status()) == (0, 0)
    assert ledger.status().last_fsync_ns == home.now_ms * 1_000_000
    ledger.commit([home.frame(agent_id="a")])
    assert opened(ledger.status()) == (1, 1)
    ledger.rotate()
    assert opened(ledger.status()) == (0, 0)
    key = published(home.public)
    assert key is not None
    assert ledger.status().fingerprint == fingerprint_of(key)
    ledger.close()
