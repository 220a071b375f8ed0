# SPDX-License-Identifier: Apache-2.0
"""The ledger under kill -9 and failing disks: what was acknowledged is there, in sound chains."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.ledgers import Home, chain_of

from tallystick.durable.room import PIECE
from tallystick.limits import SQLITE_WAL_ROOM_BYTES
from tallystick.model.receipt import Receipt
from tallystick.store.ledger_reads import LedgerReader, column_faults

KILLS: Final = 5 * int(os.environ.get("TALLY_KILLS", "12"))
ROOT: Final = Path(__file__).parents[2]
# Writes by which room is made in the log, before the first commit.
ROOM: Final = SQLITE_WAL_ROOM_BYTES // len(PIECE) - 1
WRITER: Final = [sys.executable, "-m", "tests.faults.ledger_writer"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def acknowledged(lines: list[str]) -> set[tuple[str, int, str]]:
    """Return what a writer was told."""
    found = set()
    for line in lines:
        if re.fullmatch(r"\S+ \d+ sha256:[0-9a-f]{64}", line):
            chain, sequence, digest = line.split()
            found.add((chain, int(sequence), digest))
    return found


def check(home: Home, told: set[tuple[str, int, str]]) -> None:
    """All that was acknowledged is there; all chains verify, and a ledger goes on."""
    home.now_ms += 400 * 24 * 60 * 60 * 1000
    ledger = home.open()
    ledger.commit([home.frame()])
    ledger.close()
    with LedgerReader(home.db) as reader:
        stored = {(one.chain_id, one.sequence, one.hash) for one in reader.receipts()}
        assert told <= stored
        assert not [one for one in reader.receipts() if column_faults(one)]
        names = {one.chain_id for one in reader.chains()}
        assert all(one.terminal for one in reader.chains())
    report = home.verify()
    assert report.verdict == "verified", report.findings[:5]
    announced = set()
    before: dict[str, object] = {}
    for one in home.receipts():
        target = one["credentialSubject"]["action"].get("target", {})
        announced.add(target.get("resource"))
        link = chain_of(one)
        if link["sequence"] == 1 and "/agent/" not in link["chain_id"]:
            ours = one["issuer"]["runtime"]["tallystick"] if before else {}
            assert ours.get("previous_chain", {}) == before
        if link.get("terminal") and "/agent/" not in link["chain_id"]:
            before = {"chain_id": link["chain_id"], "sequence": link["sequence"]}
            before["hash"] = hash_of(one)
    assert {name for name in names if "/agent/" in name} == announced & names


def hash_of(receipt: dict[str, object]) -> str:
    """Return what the next receipt links to."""
    from tallystick.chain.issue import hash_receipt

    return hash_receipt(Receipt.from_dict(receipt))


def test_kill_minus_nine_loses_nothing(home: Home) -> None:
    """Writers are killed at random, in starts, days and rotations: nothing is lost or forked."""
    done = subprocess.run(
        [*WRITER, "--kill", str(home.folder), "4", str(KILLS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split("\n")
    assert not [one for one in lines if one.startswith("!")]
    told = acknowledged(lines)
    assert len(told) > 5 * KILLS
    check(home, told)


def strace(*arguments: str) -> list[str]:
    """Return how to run a program under strace, or skip."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed: what the kernel is asked for can't be seen")
    if subprocess.run([found, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("ptrace is forbidden here: what the kernel is asked for can't be seen")
    return [found, "-f", *arguments]


def run_traced(home: Home, pragmas: tuple[str, ...], *arguments: str) -> list[str]:
    """Run a writer under strace, and return its output."""
    done = subprocess.run(
        [
            *strace("-o", str(home.folder / "trace"), *arguments),
            *WRITER, str(home.folder), "3", *pragmas,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(("pragmas", "is_durable"), [((), True), (("synchronous = OFF",), False)])
def test_receipts_are_stable_before_commit_returns(
    home: Home, pragmas: tuple[str, ...], is_durable: bool
) -> None:
    """Each acknowledgement follows the return of the WAL's fdatasync; without it we'd be caught."""
    run_traced(home, pragmas, "-y", "-e", "trace=pwrite64,write,fsync,fdatasync")
    unstable = False
    acknowledgements = early = 0
    for line in (home.folder / "trace").read_text().split("\n"):
        if "receipts.db-wal>" in line and re.search(r"\b(pwrite64|write)\(", line):
            unstable = True
        elif "receipts.db-wal>" in line and re.search(r"\b(fdatasync|fsync)\(.*\) += 0", line):
            unstable = False
        elif re.search(r"\bwrite\(1<", line):
            acknowledgements += 1
            early += unstable
    assert acknowledgements > 80
    assert (early == 0) is is_durable


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize(
    ("call", "when"),
    [("fdatasync", 20), ("fdatasync", 41), ("pwrite64", 150 + ROOM), ("pwrite64", 351 + ROOM)],
)
def test_a_failing_disk_stops_the_ledger(home: Home, call: str, when: int, error: str) -> None:
    """One failing call, though the next would work: an error, then no more; nothing is lost."""
    lines = run_traced(
        home, (), "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"
    )
    failed = [number for number, line in enumerate(lines) if line.startswith("!")]
    assert failed, "the fault came too late"
    assert failed == list(range(failed[0], len(lines))), "something was acknowledged after it"
    check(home, acknowledged(lines))


def test_a_full_disk_stops_the_ledger(home: Home) -> None:
    """A real limit of the file's size: an error, then no more; with room again, all is there."""
    program = f"ulimit -f 400; exec {' '.join(WRITER)} {home.folder} 0"
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    lines = done.stdout.split("\n")[:-1]
    assert lines[-1].startswith("! "), done.stderr
    told = acknowledged(lines)
    assert told
    check(home, told)
