# SPDX-License-Identifier: Apache-2.0
"""Crashes, all of them: nothing acknowledged is lost, and nothing torn comes up.

A program is recorded once; then every state that a crash at any step may leave on the disk is laid
out and recovered from. That the states are harsh enough is shown by programs that leave out one
sync each: all of them are caught.
"""

from __future__ import annotations

import os
import random
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.deliveries import receipts
from tests.faults.crash_states import (
    Disk,
    Killed,
    Note,
    Recording,
    Rename,
    Step,
    crashes,
    lay_out,
    violations,
)

from tallystick.deliver.file_wal import FileWal
from tallystick.durable.file import Durable
from tallystick.durable.journal import Journal
from tallystick.errors import WalError

# Seeds other than the first draw other tears and holes.
SEEDS = pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 41))]
)
# Recovery itself is not recorded here: syncs would only take time.
LAZY = Durable(fdatasync=lambda descriptor: None, fsync=lambda descriptor: None)
SIZE = 8_000


def first_life(path: Path, recording: Recording) -> None:
    """Append, deliver and refuse receipts, over two compactions and a restart."""
    wal = FileWal(path, size_max=SIZE, durable=recording.durable())

    def append(*places: int) -> None:
        for place in places:
            recording.note("begun", place)
            wal.append(receipts(14)[place - 1])
            recording.note("appended", place)

    def remove(*places: int) -> None:
        for place in places:
            recording.note("delivered", place)
            wal.remove(receipts(14)[place - 1].id)

    append(1, 2, 3)
    remove(1, 2)
    wal.set_aside(receipts(14)[2].id, "no")
    append(4, 5)
    remove(4, 5)
    append(6, 7)
    remove(7)
    append(8)
    wal.close()
    wal = FileWal(path, size_max=SIZE, durable=recording.durable())
    append(9)
    remove(6, 8)
    append(10)


def recovered(told: list[Note], folder: Path) -> list[str]:
    """Open what a crash left, and return what is wrong with it."""
    about = {text: [one.about for one in told if one.text == text] for text in
             ("begun", "appended", "delivered")}  # fmt: skip
    path = folder / "wal"
    try:
        with FileWal(path, durable=LAZY) as wal:
            pending = list(wal.pending())
            found = [receipt.link.sequence for receipt in pending]
            dead = [letter.receipt().link.sequence for letter in wal.dead_letters()]
            wal.append(receipts(14)[13])
        with FileWal(path, durable=LAZY) as wal:
            again = [receipt.link.sequence for receipt in wal.pending()]
    except WalError as error:
        return [f"can't be opened: {error}"]
    wrong = []
    if lost := set(about["appended"]) - set(about["delivered"]) - set(found) - set(dead):
        wrong.append(f"lost {lost}")
    if strange := set(found) - set(about["begun"]):
        wrong.append(f"nobody appended {strange}")
    if any(one != receipts(14)[one.link.sequence - 1] for one in pending):
        wrong.append("a receipt is not what it was")
    if found != sorted(found):
        wrong.append(f"out of order: {found}")
    if again != [*found, 14]:
        wrong.append(f"{found} became {again} after one more")
    return wrong


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder, in memory where there is such a place: thousands of files come."""
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as made:
        yield Path(made)


def recorded(folder: Path, recording: Recording) -> list[Step]:
    """Return what the first life of a log does."""
    (folder / "first").mkdir()
    first_life(folder / "first" / "wal", recording)
    return recording.steps


@SEEDS
def test_a_log_survives_every_crash(folder: Path, seed: int) -> None:
    """Whatever step the power fails at: acknowledged receipts are there, whole, in order."""
    steps = recorded(folder, Recording())
    assert sum(isinstance(step, Note) for step in steps) > 20
    assert sum(isinstance(step, Rename) for step in steps) >= 3
    count, wrong = violations(steps, recovered, folder, seed=seed)
    assert not wrong
    assert count > 1000


@pytest.mark.parametrize("leave_out", ["fdatasync", "directory", "fsync"])
def test_a_missing_sync_is_caught(folder: Path, leave_out: str) -> None:
    """A log that leaves out one kind of sync loses receipts in some of these states."""
    _, wrong = violations(recorded(folder, Recording(leave_out)), recovered, folder, enough=1)
    assert wrong
    assert "lost" in wrong[0] or "can't be opened" in wrong[0]


@SEEDS
def test_a_recovery_survives_every_crash(folder: Path, seed: int) -> None:
    """The power fails again while a log is opened after a crash: still nothing is lost."""
    steps = recorded(folder, Recording())
    total = 0
    for number, (told, state) in enumerate(crashes(steps, seed)):
        if number % 150 != seed % 150:
            continue
        again = folder / f"again-{number}"
        lay_out(state, again)
        names = {name: index for index, name in enumerate(state, 1)}
        disk = Disk({names[name]: content for name, content in state.items()}, names)
        recording = Recording(names=names)
        with FileWal(again / "wal", size_max=SIZE, durable=recording.durable()) as wal:
            recording.note("begun", 12)
            wal.append(receipts(14)[11])
            recording.note("appended", 12)
        count, wrong = violations(
            recording.steps, recovered, folder, seed=seed, disk=disk, before=told
        )
        assert not wrong
        total += count
    assert total > 250


@SEEDS
def test_a_kill_before_a_crash_is_survived(folder: Path, seed: int) -> None:
    """What the killed process left unsynced is synced before the next builds on it."""
    whole = len(recorded(folder, Recording()))
    creation = range(1, 7)
    total = 0
    for kill_at in [*creation, *random.Random(seed).sample(range(8, whole), 3)]:
        place = folder / f"killed-{kill_at}"
        place.mkdir()
        recording = Recording()
        recording.kill_at = kill_at
        try:
            first_life(place / "wal", recording)
        except Killed as killed:
            traceback.clear_frames(killed.__traceback__)  # the lock goes with its process
        recording.kill_at, since = None, len(recording.steps)
        with FileWal(place / "wal", size_max=SIZE, durable=recording.durable()) as wal:
            recording.note("begun", 12)
            wal.append(receipts(14)[11])
            recording.note("appended", 12)
            for receipt in wal.pending():
                recording.note("delivered", receipt.link.sequence)
                wal.remove(receipt.id)
            recording.note("begun", 13)
            wal.append(receipts(14)[12])
            recording.note("appended", 13)
        count, wrong = violations(recording.steps, recovered, folder, seed=seed, since=since)
        assert not wrong
        total += count
    assert total > 250


def test_a_batch_survives_every_crash(folder: Path) -> None:
    """Items that share one sync: a crash may leave any of them, and those before a sync all."""
    payloads = [b"%d" % number * 300 for number in range(9)]
    recording = Recording()
    (folder / "first").mkdir()
    journal = Journal(folder / "first" / "wal", bytes_max=SIZE, durable=recording.durable())
    for batch in (payloads[:1], payloads[1:4], payloads[4:]):
        recording.note("begun", len(batch))
        journal.sync([journal.write(payload).position for payload in batch][-1])
        recording.note("stable", len(batch))
    journal.close()

    def recover(told: list[Note], place: Path) -> list[str]:
        try:
            journal = Journal(place / "wal", bytes_max=SIZE, durable=LAZY)
        except WalError as error:
            return [str(error)]
        found = [journal.read(item) for item in journal.found]
        journal.close()
        stable = sum(one.about for one in told if one.text == "stable")
        begun = sum(one.about for one in told if one.text == "begun")
        holds = stable <= len(found) <= begun and found == payloads[: len(found)]
        return [] if holds else [f"{len(found)} of {stable} to {begun}"]

    count, wrong = violations(recording.steps, recover, folder)
    assert not wrong
    assert count > 200
