# SPDX-License-Identifier: Apache-2.0
"""A tree of files becomes a manifest and a bundle, and is verified, beside raw SHA-256.

    python bench/evidence.py                                     2 000 files, 100 MB
    python bench/evidence.py --files 20000 --bytes 50000         20 000 files, 1 GB
    python bench/evidence.py --files 100000 --bytes 100000       100 000 files, 10 GB

The floor is one thread that walks the same tree, reads each file and hashes it with hashlib; for
verifying, one that hashes the artefacts' bytes alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import sys
import tempfile
import tracemalloc
from pathlib import Path

from measure import Row, paired, ratio, show, show_times

from tallystick import generate_key_pair
from tallystick.keys.local import LocalSigner
from tallystick.solver.bundling import make_directory_bundle
from tallystick.solver.evidence import directory_manifest, list_artifacts
from tallystick.solver.hashing import scan_artifacts
from tallystick.verify.evidence import verify_evidence
from tallystick.verify.manifest_signers import Signers
from tallystick.verify.trust import trust_of

KEYS = generate_key_pair()
NOW = "2026-01-02T03:04:05.000Z"
SIGNERS = Signers(trust=trust_of(KEYS))


def make_tree(folder: Path, files: int, size: int) -> None:
    """Write so many files of that size, some hundred to a folder."""
    block = random.Random(1).randbytes(size)
    for number in range(files):
        parent = folder / f"{number // 1000:03}" / f"{number // 100 % 10}"
        if number % 100 == 0:
            parent.mkdir(parents=True, exist_ok=True)
        (parent / f"file-{number:06}.bin").write_bytes(number.to_bytes(8, "big") + block[8:])


def raw(folder: Path) -> int:
    """Hash every file of a tree, and nothing else."""
    count = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(where, name), "rb") as file:
                hashlib.file_digest(file, "sha256").hexdigest()
            count += 1
    return count


def manifest(folder: Path) -> bytes:
    """Hash a tree, and make its manifest."""
    return directory_manifest(list_artifacts(scan_artifacts(folder)), NOW)[1]


def hash_rows(folder: Path, count: int, rounds: int) -> list[Row]:
    """Hash and manifest a tree, beside raw hashing of the same files."""
    floor, ours = paired(rounds, lambda: raw(folder), lambda: manifest(folder))
    show_times("hash and manifest a tree", count, ours=ours, raw=floor)
    return [Row(f"hash and manifest {count} files, over raw hashing", ratio(floor, ours), 0.8)]


def verify_rows(count: int, size: int, rounds: int) -> list[Row]:
    """Verify a bundle, beside hashing the bytes of its artefacts."""
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name, "tree"), Path(name, "tree.tally")
        make_tree(folder, count, size)
        make_directory_bundle(folder, out, LocalSigner(KEYS), created_at=NOW)

        def ours() -> None:
            with out.open("rb") as stream:
                verify_evidence(stream, SIGNERS).ensure()

        verified, floor = paired(rounds, ours, lambda: raw(folder))
    show_times(f"verify a bundle of {count} artefacts", count, ours=verified, raw=floor)
    return [
        Row(f"verify {count} artefacts of {size} bytes, over raw hashing",
            ratio(verified, floor), at_most=2),
    ]  # fmt: skip


def memory_rows(folder: Path) -> list[Row]:
    """What hashing holds at its peak, for each file: entries, and no contents."""
    tracemalloc.start()
    count = sum(1 for _ in scan_artifacts(folder))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"scan of {count} files: peak {peak / 1024:.0f} KiB traced, {largest // 1024} MiB in all")
    return [Row("peak of a scan in MiB, whatever the files weigh", peak / 2**20, at_most=4)]


def rows(files: int, size: int, rounds: int) -> list[Row]:
    """Return all rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tree(folder, files, size)
        found = hash_rows(folder, files, rounds) + memory_rows(folder)
    return found + verify_rows(min(files, 10_000), size, rounds)


def main() -> int:
    """Measure, print the table, and tell by the exit code whether all is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--files", type=int, default=2000, help="files in the tree")
    parser.add_argument("--bytes", type=int, default=50_000, help="size of each")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison")
    options = parser.parse_args()
    print()
    return show(rows(options.files, options.bytes, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
