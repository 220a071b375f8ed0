# SPDX-License-Identifier: Apache-2.0
"""A copy of a ledger is the ledger of one moment, or an error that says whose fault it is."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.ledgers import Home

from tallystick.daemon.ledger import Ledger
from tallystick.errors import DurableError, StoreCorruptError, StoreError
from tallystick.store.ledger_copy import copy_ledger
from tallystick.store.ledger_reads import LedgerReader

IS_ROOT = os.geteuid() == 0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A folder with a key and no store."""
    return Home(tmp_path)


def count(path: Path) -> int:
    with LedgerReader(path) as reader:
        assert reader._still is not None  # there is no log beside it
        return reader.count()


def test_what_comes_later_is_not_in_it(home: Home, tmp_path: Path) -> None:
    """It is made while the daemon commits at each portion; bytes in all and done are told."""
    ledger = home.open()
    ledger.commit([home.frame(input={"n": number, "pad": "x" * 900}) for number in range(2000)])
    seen: list[tuple[int, int]] = []

    def commit(done: int, total: int) -> None:
        seen.append((done, total))
        assert len(seen) < 100  # SQLite would begin anew for ever
        assert ledger.commit([home.frame()])[0].ok

    copy_ledger(home.db, tmp_path / "copy", 0o640, progress=commit)
    assert len(seen) > 2
    assert seen[-1][0] == seen[-1][1] == (tmp_path / "copy").stat().st_size
    assert [one for one, _ in seen] == sorted(one for one, _ in seen)
    assert count(tmp_path / "copy") == 2000
    with closing(sqlite3.connect(tmp_path / "copy")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    ledger.close()
    assert len(home.bodies()) == 2000 + len(seen) + 1


def test_of_a_ledger_that_rests(home: Home, tmp_path: Path) -> None:
    """Byte for byte what is there but for SQLite's counters; with the mode that was asked for."""
    home.open().close()
    before = os.umask(0o077)
    try:
        copy_ledger(home.db, tmp_path / "copy", 0o640)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o640
    assert (tmp_path / "copy").read_bytes()[4096:] == home.db.read_bytes()[4096:]
    assert not list(tmp_path.glob("copy-*"))


def test_a_daemon_that_comes_meanwhile(home: Home, tmp_path: Path) -> None:
    """What was read without locks while it wrote is thrown away and copied anew."""
    ledger = home.open()
    ledger.commit([home.frame(input={"pad": "x" * 900}) for _ in range(900)])
    ledger.close()
    opened: list[Ledger] = []

    def come(_done: int, _total: int) -> None:
        if not opened:
            opened.append(home.open())
            opened[0].commit([home.frame(input={"pad": "y" * 900}) for _ in range(50)])

    copy_ledger(home.db, tmp_path / "copy", 0o640, progress=come)
    assert count(tmp_path / "copy") == 901 + 50  # and the one that closed the day
    opened[0].close()


def test_it_is_stable_when_it_is_told(home: Home, tmp_path: Path) -> None:
    """The last thing that happens is the sync, of all of it."""
    home.open().close()
    synced = []
    copy_ledger(
        home.db, tmp_path / "copy", 0o640, fsync=lambda one: synced.append(os.fstat(one).st_size)
    )
    assert synced == [(tmp_path / "copy").stat().st_size]

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(DurableError, match="Input/output error"):
        copy_ledger(home.db, tmp_path / "other", 0o640, fsync=fail)


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let no file of this process become larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_disk_that_takes_no_more_is_named(home: Home, tmp_path: Path, size: int) -> None:
    """The copy's fault, in the system's own words, and not the ledger's."""
    home.open().close()
    with room(size), pytest.raises(DurableError, match="copy could not be written: File too large"):
        copy_ledger(home.db, tmp_path / "copy", 0o640)


@pytest.mark.skipif(not IS_ROOT or sys.platform != "linux", reason="mounting needs root")
def test_a_full_disk_is_named(home: Home, tmp_path: Path) -> None:
    """`No space left on device`, from a disk that is really full."""
    home.open().close()
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        with pytest.raises(DurableError, match="copy could not be written: No space left on"):
            copy_ledger(home.db, disk / "copy", 0o640)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_is_no_ledger_is_named(home: Home, tmp_path: Path) -> None:
    """Nothing there, other bytes, another database; a target that is taken is left alone."""
    with pytest.raises(StoreError, match="does not exist"):
        copy_ledger(home.db, tmp_path / "copy", 0o640)
    assert not (tmp_path / "copy").exists()
    (tmp_path / "bytes").write_bytes(b"no database at all, whatever it is called" * 99)
    with pytest.raises(StoreCorruptError, match="is no ledger"):
        copy_ledger(tmp_path / "bytes", tmp_path / "copy", 0o640)
    with closing(sqlite3.connect(tmp_path / "other")) as other, other:
        other.execute("CREATE TABLE x (y)")
    with pytest.raises(StoreCorruptError, match="is no ledger"):
        copy_ledger(tmp_path / "other", tmp_path / "copy2", 0o640)
    home.open().close()
    (tmp_path / "mine").write_bytes(b"mine")
    with pytest.raises(DurableError, match="File exists"):
        copy_ledger(home.db, tmp_path / "mine", 0o640)
    assert (tmp_path / "mine").read_bytes() == b"mine"
