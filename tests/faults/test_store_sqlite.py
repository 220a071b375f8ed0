# SPDX-License-Identifier: Apache-2.0
"""The store on SQLite under kill -9, failing disks and damage: what was acknowledged is there."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from tests.faults.store_writer import receipt
from tests.submissions import note_of, submissions

from tallystick.durable.room import PIECE
from tallystick.errors import StoreCorruptError, StoreError, StoreLockedError, StoreStoppedError
from tallystick.limits import SQLITE_WAL_ROOM_BYTES
from tallystick.store.fsck import check_store
from tallystick.store.opening import open_log_store
from tallystick.store.sqlite import COLLECTOR

KILLS: Final = int(os.environ.get("TALLY_KILLS", "12"))
FLIPS: Final = 10 * KILLS
PAGE_BYTES: Final = COLLECTOR.page_bytes
# Writes by which room is made in the log, before the first commit and again after 256 pages.
ROOM: Final = SQLITE_WAL_ROOM_BYTES // len(PIECE) - 1

ROOT: Final = Path(__file__).parents[2]
WRITER: Final = [sys.executable, "-m", "tests.faults.store_writer"]


def acknowledged(lines: list[str]) -> dict[int, tuple[int, str]]:
    """Return what a writer was told, by the receipt's number; a line cut by the kill is not."""
    found: dict[int, tuple[int, str]] = {}
    for line in lines:
        if re.fullmatch(r"\d+ \d+ [0-9a-f]{64}", line):
            number, index, leaf = line.split()
            place = (int(index), leaf)
            assert found.setdefault(int(number), place) == place
    return found


def check(db: str, told: dict[int, tuple[int, str]]) -> None:
    """All that was acknowledged is there, at its index, to the byte; and fsck finds nothing."""
    store = open_log_store(db)
    try:
        for index, leaf in told.values():
            assert store.leaf_hashes(index, index + 1).hex() == leaf
        for number in random.Random(1).sample(sorted(told), min(len(told), 100)):
            index, leaf = told[number]
            sent = receipt(number)
            placed = store.placed("t", sent.digest)
            assert placed is not None, number
            assert (placed.index, placed.leaf_hash.hex()) == (index, leaf)
            found = store.by_leaf("t", placed.leaf_hash)
            assert found is not None
            assert found.body == sent.body
    finally:
        store.close()
    assert check_store(db).faults == []


def test_kill_minus_nine_loses_nothing(tmp_path: Path) -> None:
    """A writer is killed at random moments, again and again: every acknowledged receipt is kept."""
    db = str(tmp_path / "store.db")
    dice = random.Random(4)
    told: dict[int, tuple[int, str]] = {}
    for kill in range(KILLS):
        output = tmp_path / "output"
        with output.open("wb") as stream:
            writer = subprocess.Popen(
                [*WRITER, db, str(kill * 100_000)], stdout=stream, stderr=stream, cwd=ROOT
            )
            until = time.monotonic() + 20
            while not output.stat().st_size and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(dice.uniform(0, 0.15))
            writer.kill()
            writer.wait()
        new = acknowledged(output.read_text().split("\n")[:-1])
        assert new, output.read_text()
        told |= new
        check(db, told)
    assert len({index for index, _ in told.values()}) == len(told)


def strace(*arguments: str) -> list[str]:
    """Return how to run a program under strace, or skip."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed: what the kernel is asked for can't be seen")
    if subprocess.run([found, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("ptrace is forbidden here: what the kernel is asked for can't be seen")
    return [found, "-f", *arguments]


def run_traced(tmp_path: Path, pragmas: tuple[str, ...], *arguments: str) -> list[str]:
    """Run a writer under strace for a while, and return its output."""
    program = [*WRITER, str(tmp_path / "store.db"), "0", *pragmas]
    done = subprocess.run(
        [*strace("-o", str(tmp_path / "trace"), *arguments), *program],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def faults_in(trace: str) -> tuple[int, int]:
    """Return (acknowledgements, those that left while a write to the WAL was not yet stable)."""
    unstable = False
    acknowledgements = early = 0
    for line in trace.split("\n"):
        if "-wal>" in line and re.search(r"\b(pwrite64|write)\(", line):
            unstable = True
        elif "-wal>" in line and re.search(r"\b(fdatasync|fsync)\(.*\) += 0", line):
            unstable = False
        elif re.search(r"\bwrite\(1<", line):
            acknowledgements += 1
            early += unstable
    return acknowledgements, early


@pytest.mark.parametrize(("pragmas", "is_durable"), [((), True), (("synchronous = OFF",), False)])
def test_the_log_is_stable_before_place_returns(
    tmp_path: Path, pragmas: tuple[str, ...], is_durable: bool
) -> None:
    """Each acknowledgement follows the return of the WAL's fdatasync; without it we'd be caught."""
    run_traced(tmp_path, pragmas, "-y", "-e", "trace=pwrite64,write,fsync,fdatasync")
    acknowledgements, early = faults_in((tmp_path / "trace").read_text())
    assert acknowledgements > 300
    assert (early == 0) is is_durable


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize(
    ("call", "when"),
    [("fdatasync", 25), ("fdatasync", 41), ("pwrite64", 301 + ROOM), ("pwrite64", 600 + 2 * ROOM)],
)
def test_a_failing_disk_stops_the_store(tmp_path: Path, call: str, when: int, error: str) -> None:
    """One failing call, though the next would work: an error, then no more; nothing is lost."""
    lines = run_traced(
        tmp_path, (), "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={when}"
    )
    failed = [number for number, line in enumerate(lines) if line.startswith("!")]
    assert failed, "the fault came too late"
    assert lines[failed[0]].startswith(("! StoreError 0", "! StoreCorruptError 0"))
    assert failed == list(range(failed[0], len(lines))), "something was acknowledged after it"
    assert lines[-1].startswith("! StoreStoppedError")
    check(str(tmp_path / "store.db"), acknowledged(lines))


@pytest.mark.parametrize("when", [1, 3, 5, 7])
def test_a_disk_that_fails_at_the_start_does_no_harm(tmp_path: Path, when: int) -> None:
    """A sync fails while the file is made: told, or done again by SQLite; all is in the end whole.

    SQLite passes over a failing fsync of a journal's folder: we sync the file's own name after it.
    """
    db = str(tmp_path / "store.db")
    inject = ("-e", "trace=fdatasync,fsync", "-e", f"inject=fdatasync,fsync:error=EIO:when={when}")
    done = subprocess.run(
        [*strace("-o", "/dev/null", *inject), *WRITER, db, "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    told = acknowledged(done.stdout.split("\n")[:-1])
    assert told or "StoreError" in done.stderr
    check(db, told)


def test_a_full_disk_stops_the_store(tmp_path: Path) -> None:
    """A real limit of the file's size: an error, then no more; with room again, all is there."""
    db = str(tmp_path / "store.db")
    # In KiB: an empty store has some two dozen pages of 16.
    program = f"ulimit -f 800; exec {' '.join(WRITER)} {db} 0"
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    lines = done.stdout.split("\n")[:-1]
    assert lines[-1].startswith("! StoreStoppedError"), done.stderr
    told = acknowledged(lines)
    assert told
    check(db, told)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Who has the file is named; when that one is gone, the next may have it."""
    db = str(tmp_path / "store.db")
    store = open_log_store(db)
    done = subprocess.run(
        [*WRITER, db, "0"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    assert done.returncode != 0
    assert f"StoreLockedError: {db} is in use by process {os.getpid()}" in done.stderr
    with pytest.raises(StoreLockedError):
        open_log_store(db)
    store.close()
    open_log_store(db).close()


def filled(tmp_path: Path) -> Path:
    """Return a store of some hundred receipts whose log is in the file itself."""
    path = tmp_path / "store.db"
    store = open_log_store(str(path))
    for start in range(0, 300, 50):
        store.place(submissions(50, start=start))
    intent = store.advance()
    store.release(intent.number, note_of(intent))
    store.close()
    assert check_store(str(path)).faults == []
    return path


def test_no_damaged_page_goes_unseen(tmp_path: Path) -> None:
    """Each page of the file zeroed in turn, each with a byte changed in it: fsck says so."""
    path = filled(tmp_path)
    whole = path.read_bytes()
    pages = len(whole) // PAGE_BYTES
    assert pages > 25
    for page in range(pages):
        damaged = bytearray(whole)
        start = PAGE_BYTES * page
        damaged[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)
        path.write_bytes(damaged)
        try:
            faults = check_store(str(path)).faults
        except StoreError:
            continue
        assert faults, page


def content(path: Path) -> list[str] | None:
    """Return all that SQLite reads out of a file, or None where it can't.

    Without what only signatures protect, and these notes have none: see test_fsck_heads.
    """
    unsigned = ('INSERT INTO "checkpoint"', 'INSERT INTO "probe"', 'INSERT INTO "log_head"')
    try:
        with closing(sqlite3.connect(path)) as connection:
            return [one for one in connection.iterdump() if not one.startswith(unsigned)]
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def test_no_changed_byte_goes_unseen(tmp_path: Path) -> None:
    """Bytes flipped one at a time: fsck says so, unless it was a byte that nothing reads."""
    path = filled(tmp_path)
    whole = path.read_bytes()
    before = content(path)
    dice = random.Random(5)
    seen = 0
    for _ in range(FLIPS):
        damaged = bytearray(whole)
        damaged[dice.randrange(PAGE_BYTES, len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        if content(path) != before:
            seen += 1
            path.write_bytes(damaged)
            try:
                assert check_store(str(path)).faults
            except StoreError:
                continue
    assert seen > FLIPS // 4


def test_a_damaged_page_stops_the_store(tmp_path: Path) -> None:
    """A page that is no page any more is told, and nothing is acknowledged on top of it."""
    path = filled(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[PAGE_BYTES:] = os.urandom(len(whole) - PAGE_BYTES)
    path.write_bytes(whole)
    with pytest.raises(StoreError) as caught:
        open_log_store(str(path)).place(submissions(1, start=1000))
    assert isinstance(caught.value, StoreCorruptError | StoreStoppedError)
    path.write_bytes(b"this is no database at all, but a text of some length" * 100)
    with pytest.raises(StoreCorruptError, match="not a database"):
        open_log_store(str(path))
