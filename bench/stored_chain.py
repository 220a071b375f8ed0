# SPDX-License-Identifier: Apache-2.0
"""A daemon's store that has grown: how long a start takes, and how long it takes to verify all.

    python bench/stored_chain.py                        10 000 receipts
    python bench/stored_chain.py --receipts 1000000     a year of a busy host

The other implementation verifies the same file. Ours is the command, with the start of its process;
theirs the function alone. Counted is the processor's time: a run takes minutes, and whatever else
the machine does in them would decide.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ledger
import msgspec
import peer
from measure import Row

from tallystick.daemon.key_file import make_keys

# The bounds of the issue.
START_S, TIMES_THE_PEER = 1.0, 3
CHAIN = "bench"
AT_ONCE = 1000
PEER_RECEIPTS_MAX = 20_000


def fill(folder: Path, count: int) -> None:
    """Make a store of so many receipts in one chain, as the daemon makes it."""
    store = ledger.opened(folder)
    some = [msgspec.structs.replace(one, is_parsed=True) for one in ledger.frames(AT_ONCE)]
    for start in range(0, count, AT_ONCE):
        now_ns = time.time_ns()
        part = some[: count - start]
        store.write(store.draft([msgspec.structs.replace(one, received_ns=now_ns) for one in part]))
    # A daemon that was killed leaves its chain open: the next start goes on with it.
    store._store.close()
    store._heads.close()


def start_s(folder: Path) -> float:
    """Return how long a ledger on this store takes to open."""
    began = time.perf_counter()
    opened = ledger.opened(folder)
    took = time.perf_counter() - began
    opened._store.close()
    opened._heads.close()
    return took


def verify_s(folder: Path) -> float:
    """Return how much of the processor `tally verify --store` takes."""
    command = [sys.executable, "-m", "tallystick", "verify", "--store", str(folder / "receipts.db")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--key", str(folder / "signing.key.pub")],
        stdout=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise AssertionError(f"verify returned {done.returncode}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def store_of(folder: Path, count: int) -> None:
    """Make a key and a store of so many receipts."""
    folder.mkdir()
    make_keys(folder / "signing.key", folder / "signing.key.pub")
    fill(folder, count)


def rows(count: int) -> list[Row]:
    """Start and verify: both take long enough to be compared, and the ratio is that of the rates.

    The peer holds a chain in memory as a whole: it gets a shorter one where that would be too much.
    """
    theirs_count = min(count, PEER_RECEIPTS_MAX)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "ours"
        store_of(folder, count)
        other = folder
        if count != theirs_count:
            other = Path(made) / "theirs"
            store_of(other, theirs_count)
        public_key = (other / "signing.key.pub").read_text()
        started = min(start_s(folder) for _ in range(3))
        ours, theirs = [], []
        # In turn: what else runs on the machine slows the processor itself down, for both alike.
        for _ in range(2 if count == theirs_count else 1):
            theirs.append(peer.verify_store(str(other / "receipts.db"), CHAIN, public_key))
            ours.append(verify_s(folder))
            theirs.append(peer.verify_store(str(other / "receipts.db"), CHAIN, public_key))
        size = (folder / "receipts.db").stat().st_size
    ours_s, theirs_s = statistics.mean(ours), statistics.mean(theirs)
    print(
        f"a store of {count} receipts, {size / count:.0f} bytes each: start {1e3 * started:.0f} "
        f"ms, verify {ours_s:.2f} s ({count / ours_s:.0f}/s), the peer {theirs_s:.2f} s for "
        f"{theirs_count} ({theirs_count / theirs_s:.0f}/s)",
        flush=True,
    )
    times = (count / ours_s) / (theirs_count / theirs_s)
    return [
        Row(f"start on a store of {count}, of 1 s", started / START_S, at_most=1),
        Row(f"verify a store of {count}, times the peer", times, TIMES_THE_PEER),
    ]


def main() -> None:
    """Fill, start, verify, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--receipts", type=int, default=10_000)
    for row in rows(parser.parse_args().receipts):
        print(f"{row.ratio:.2f}  {row.what}")


if __name__ == "__main__":
    main()
