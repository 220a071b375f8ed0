# SPDX-License-Identifier: Apache-2.0
"""What a log store costs: each insert in a small log and in a large one, and rows a second.

    python bench/store.py                          a million receipts of 1 KB, on SQLite
    python bench/store.py --receipts 10000000      ten million: the cost must not have grown
    python bench/store.py --db postgresql://…      on a database that is there, and empty

CPU time is what is compared, in a large log and in one of 10⁵ receipts in turn. The disk's own
fdatasync stands beside it. With `--batch 64`, the default, 64 receipts share one commit.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from measure import Row, show

from tallystick.model.submission import Submission
from tallystick.store.log_store import SqlLogStore
from tallystick.store.opening import open_log_store

# Inserts are measured in parts of this many, and the parts are compared.
PART = 50_000

# The small log, and the inserts that are compared, turn by turn, so that a machine that changes its
# speed changes both sides.
SMALL = 100_000
ROUND = 4000
ROUNDS = 9

BODY_BYTES = 1000


def submission(first: int, number: int, chains: int, padding: bytes) -> Submission:
    """Return a receipt with a random id and digest, made without signing anything."""
    receipt_id = f"urn:receipt:{first + number:032x}"
    id_hash = sha256(receipt_id.encode()).digest()
    body = id_hash + padding
    return Submission(
        tenant="default",
        receipt_id=receipt_id,
        issuer="did:agent:bench",
        chain_id=f"chain-{first + number % chains}",
        sequence=number // chains + 1,
        action_type="filesystem.file.read",
        terminal=None,
        receipt_hash="sha256:" + id_hash.hex(),
        digest=sha256(body).digest(),
        id_hash=id_hash,
        body=body,
    )


class Part:
    """What one part of the inserts has cost, in microseconds for each receipt."""

    def __init__(self, receipts: int, cpu_s: float, wall_s: float) -> None:
        self.cpu = cpu_s / receipts * 1e6
        self.wall = wall_s / receipts * 1e6


def insert(store: SqlLogStore, start: int, count: int, options: argparse.Namespace) -> Part:
    """Insert receipts batch by batch, with a checkpoint after each 5000, and return the cost."""
    padding = random.Random(1).randbytes(BODY_BYTES)
    cpu = wall = 0.0
    for at in range(start, start + count, options.batch):
        batch = [
            submission(options.first, number, options.chains, padding)
            for number in range(at, min(at + options.batch, start + count))
        ]
        cpu_from, wall_from = time.process_time(), time.perf_counter()
        store.place(batch)
        if at % 5000 < options.batch:
            intent = store.advance()
            store.release(intent.number, b"a note of usual length" * 12)
        cpu += time.process_time() - cpu_from
        wall += time.perf_counter() - wall_from
    return Part(count, cpu, wall)


def fdatasync_us(folder: Path) -> float:
    """Return what the disk takes to make 64 KiB stable: the median of 50."""
    times = []
    with (folder / "probe").open("wb") as stream:
        for _ in range(50):
            stream.write(bytes(65536))
            stream.flush()
            start = time.perf_counter()
            os.fdatasync(stream.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def filled(db: str, receipts: int, options: argparse.Namespace) -> SqlLogStore:
    """Return a store after that many inserts, and show what each part of them has cost."""
    store = open_log_store(db)
    for start in range(0, receipts, PART):
        part = insert(store, start, min(PART, receipts - start), options)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{start + PART:>10} receipts  {part.cpu:6.1f} µs of CPU each  "
            f"{1e6 / part.wall:8.0f}/s  "
            f"{store.size_bytes() / (start + PART):6.0f} bytes each  {memory} MB",
            flush=True,
        )
    return store


def compared(large: SqlLogStore, small: SqlLogStore, options: argparse.Namespace) -> list[Row]:
    """Insert into both stores in turn, and return the rows of the table."""
    ratios, costs = [], []
    for turn in range(ROUNDS):
        parts = [
            insert(store, start + turn * ROUND, ROUND, options)
            for store, start in ((small, SMALL), (large, options.receipts))
        ]
        ratios.append(parts[1].cpu / parts[0].cpu)
        costs.append(parts[1].cpu)
    print(f"an insert there: {statistics.median(costs):.1f} µs of CPU (median)")
    return [
        Row(
            f"an insert at {options.receipts} receipts, over one at {SMALL}",
            statistics.median(ratios),
            at_most=1.15,
        ),
    ]


def main() -> int:
    """Measure, print, and tell by the exit code whether all is met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--first", type=int, default=0, help="number of the first receipt")
    parser.add_argument("--receipts", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=64, help="receipts in one commit")
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--db", default="", help="an empty store; a new file where none is named")
    parser.add_argument("--folder", default=None, help="where the new file is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(f"fdatasync of 64 KiB here: {fdatasync_us(Path(folder)):.0f} µs")
        if options.db:  # shown, and compared with nothing: it is another engine
            filled(options.db, options.receipts, options).close()
            return 0
        small = filled(str(Path(folder) / "small.db"), SMALL, options)
        db = str(Path(folder) / "store.db")
        large = filled(db, options.receipts, options)
        rows = compared(large, small, options)
        for store in (large, small):
            store.close()
        begun = time.perf_counter()
        open_log_store(db).close()
        print(f"the large one opened again in {time.perf_counter() - begun:.2f} s")
    return show(rows)


if __name__ == "__main__":
    sys.exit(main())
