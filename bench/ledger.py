# SPDX-License-Identifier: Apache-2.0
"""What the daemon's ledger costs by itself: no socket, one caller, batches of frames.

    python bench/ledger.py                        a look at each size of batch
    python bench/ledger.py --receipts 1000000     fill a store first: the cost must not have grown

Each frame is drafted, chained, signed and stored durably. CPU time beside wall time, the disk's own
fdatasync beside both; the start of a ledger on the filled store stands at the end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tallystick.daemon.attested import AttestedFrame
from tallystick.daemon.drafter import Drafter
from tallystick.daemon.drafting import DraftSettings
from tallystick.daemon.key_file import FileKeySource, make_keys
from tallystick.daemon.ledger import Ledger
from tallystick.daemon.opening import open_ledger
from tallystick.daemon.peer import attest
from tallystick.daemon.principal_names import PrincipalNames
from tallystick.model.frame import Frame, Tool
from tallystick.model.redact import Redactor

ISSUER = "did:agent-receipts-daemon:local"


def opened(folder: Path) -> Ledger:
    """Open the ledger in a folder as the daemon does."""
    return open_ledger(
        db=folder / "receipts.db",
        keys=FileKeySource(folder / "signing.key", f"{ISSUER}#k1"),
        public_path=folder / "signing.key.pub",
        heads_path=folder / "signing.key.heads",
        issuer_id=ISSUER,
        drafting=Drafter(DraftSettings(issuer_id=ISSUER, redactor=Redactor()), PrincipalNames()),
        clock=time.time_ns,
        chain_id="bench",
    )


def frames(count: int) -> list[AttestedFrame]:
    """Return frames of a usual size, from this very process."""
    import socket

    here, there = socket.socketpair(socket.AF_UNIX)
    peer = attest(here)
    here.close()
    there.close()
    members: dict[str, Any] = {
        "v": "1",
        "ts_emit": "2026-03-10T12:00:00.000Z",
        "session_id": "0b2f3c1e-9d5a-4a57-8f3e-0d2f8e3c9a11",
        "channel": "mcp",
        "tool": Tool(name="read_file", server="files"),
        "decision": "allowed",
        "input": {"path": "/srv/report.txt", "limit": 100},
        "output": {"content": [{"type": "text", "text": "some lines of text" * 10}]},
        "correlation_id": "toolu_01ABCDEFGHIJKLMNOP",
    }
    one = Frame(**members)
    return [AttestedFrame(frame=one, peer=peer, received_ns=time.time_ns()) for _ in range(count)]


def measured(ledger: Ledger, size: int, receipts: int) -> str:
    """Commit batches of one size, and return what a receipt and a commit cost."""
    batch, walls = frames(size), []
    cpu = time.process_time()
    for _ in range(max(3, receipts // size)):
        wall = time.perf_counter()
        ledger.commit(batch)
        walls.append(time.perf_counter() - wall)
    cpu = time.process_time() - cpu
    each = cpu / len(walls) / size * 1e6
    rate = size * len(walls) / sum(walls)
    return (
        f"batches of {size:4}  {rate:7,.0f} receipts/s  {each:4.0f} µs of CPU each  "
        f"commit p50 {statistics.median(walls) * 1e3:.2f} ms"
    )


def floor(folder: Path, count: int = 200) -> str:
    """Return what one fdatasync of 4 KiB costs on this disk."""
    descriptor = os.open(folder / "floor", os.O_RDWR | os.O_CREAT, 0o600)
    walls = []
    for _ in range(count):
        os.pwrite(descriptor, b"x" * 4096, 0)
        wall = time.perf_counter()
        os.fdatasync(descriptor)
        walls.append(time.perf_counter() - wall)
    os.close(descriptor)
    return f"the disk's fdatasync  p50 {statistics.median(walls) * 1e3:.2f} ms"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--receipts", type=int, default=0, help="fill the store with so many first")
    parser.add_argument("--each", type=int, default=4096, help="receipts for each row")
    parser.add_argument("--folder", help="where the store is made: the disk to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        make_keys(folder / "signing.key", folder / "signing.key.pub")
        ledger = opened(folder)
        while ledger.status().receipts < options.receipts:
            ledger.commit(frames(1024))
        for size in (1, 16, 64, 256, 1024):
            print(measured(ledger, size, options.each if size > 1 else 200), flush=True)
        print(floor(folder))
        count = ledger.status().receipts
        ledger._heads.close()
        ledger._store.close()
        wall = time.perf_counter()
        again = opened(folder)
        took = time.perf_counter() - wall
        print(f"start behind a kill, {count:,} receipts: {took * 1e3:.0f} ms")
        again.close()


if __name__ == "__main__":
    main()
