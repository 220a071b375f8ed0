# SPDX-License-Identifier: Apache-2.0
"""Disks that fail: whatever call does, what was acknowledged is found, and errors are told."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.deliveries import Collector, receipts

from tallystick.deliver.file_wal import FileWal
from tallystick.deliver.wal import WalEmitter
from tallystick.durable.file import Durable
from tallystick.errors import EmitError, WalError, WalFullError

CALLS = ("open", "pwrite", "ftruncate", "fdatasync", "fsync", "rename", "unlink")
LAZY = Durable(fdatasync=lambda descriptor: None, fsync=lambda descriptor: None)
SIZE = 8_000


class FailingDisk:
    """System calls of which the `when`-th of one kind fails, or with `for_ever` all from then on.

    A write that fails has written half before. A sync that fails has lost what was not stable,
    as Linux does it: the pages are clean, and not on the disk.
    """

    def __init__(self, name: str, when: int, error: int, *, for_ever: bool = False) -> None:
        self._name, self._when, self._error, self._for_ever = name, when, error, for_ever
        self._calls = 0
        self._stable: dict[int, bytes] = {}
        self.has_failed = False
        self.durable = Durable(**{one: self._call(one) for one in CALLS})

    def _call(self, name: str) -> Callable[..., Any]:
        real = getattr(LAZY, name)

        def call(*arguments: Any) -> Any:
            if name == self._name:
                self._calls += 1
                if self._calls == self._when or (self._for_ever and self._calls > self._when):
                    self.has_failed = True
                    self._fail(*arguments)
            result = real(*arguments)
            if name in ("fsync", "fdatasync"):
                self._remember(arguments[0])
            return result

        return call

    def _fail(self, *arguments: Any) -> None:
        if self._name == "pwrite":
            descriptor, data, offset = arguments
            os.pwrite(descriptor, data[: len(data) // 2], offset)
        if self._name in ("fsync", "fdatasync"):
            status = os.fstat(arguments[0])
            if stat.S_ISREG(status.st_mode):
                stable = self._stable.get(status.st_ino, b"")
                os.ftruncate(arguments[0], 0)
                os.pwrite(arguments[0], stable, 0)
        raise OSError(self._error, os.strerror(self._error))

    def _remember(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            self._stable[status.st_ino] = os.pread(descriptor, status.st_size, 0)


def life(path: Path, disk: FailingDisk) -> tuple[list[int], list[int], list[str]]:
    """Emit receipts to a collector that is down now and then; return what was told of them."""
    collector = Collector()
    kept: list[int] = []
    errors: list[str] = []
    try:
        wal = FileWal(path, size_max=SIZE, durable=disk.durable)
    except WalError as error:
        return [], [], [str(error)]
    emitter = WalEmitter(inner=collector, wal=wal)
    for receipt in receipts(24):
        if receipt.link.sequence % 6 in (4, 5):
            collector.is_down()
        else:
            collector.is_up()
        try:
            emitter.emit(receipt)
        except EmitError:
            kept.append(receipt.link.sequence)
        except WalError as error:
            errors.append(str(error))
        else:
            kept.append(receipt.link.sequence)
    try:
        wal.close()
    except WalError as error:
        errors.append(str(error))
    return kept, [receipt.link.sequence for receipt in collector.received], errors


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("for_ever", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_no_failing_call_loses_a_receipt(
    tmp_path: Path, name: str, error: int, for_ever: bool
) -> None:
    """Each call of each kind fails once: what was acknowledged or kept is delivered or found."""
    failures = 0
    for when in range(1, 200):
        path = tmp_path / f"wal-{when}"
        disk = FailingDisk(name, when, error, for_ever=for_ever)
        kept, delivered, errors = life(path, disk)
        if not disk.has_failed:
            break
        failures += 1
        with FileWal(path, durable=LAZY) as wal:
            pending = [receipt.link.sequence for receipt in wal.pending()]
        assert set(kept) <= set(delivered) | set(pending), (when, errors)
        assert delivered == sorted(delivered), when
        assert pending == sorted(pending), when
        assert all(path.name in text for text in errors), errors
    assert failures or name == "ftruncate"  # only needed after another call has failed


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_is_never_forgotten(tmp_path: Path, error: int) -> None:
    """One failing fdatasync, though the next would work: the receipt and all later ones raise."""
    disk = FailingDisk("fdatasync", 3, error)
    wal = FileWal(tmp_path / "wal", durable=disk.durable)
    collector = Collector()
    emitter = WalEmitter(inner=collector, wal=wal)
    emitter.emit(receipts(3)[0])
    emitter.emit(receipts(3)[1])
    for _ in range(3):
        with pytest.raises(WalError, match="nothing is written any more: open it anew"):
            emitter.emit(receipts(3)[2])
    assert len(collector.received) == 2
    wal.close()
    with WalEmitter(inner=collector, wal=FileWal(tmp_path / "wal")) as again:
        again.emit(receipts(3)[2])
    assert len(collector.received) == 3


def test_a_full_disk_is_told_and_left_behind(tmp_path: Path) -> None:
    """While nothing fits, each emit says so; when there is room again, the log goes on."""
    disk = FailingDisk("pwrite", 4, errno.ENOSPC, for_ever=True)
    wal = FileWal(tmp_path / "wal", durable=disk.durable)
    collector = Collector()
    emitter = WalEmitter(inner=collector, wal=wal)
    emitter.emit(receipts(4)[0])
    for _ in range(3):
        with pytest.raises(WalFullError, match="No space left on device"):
            emitter.emit(receipts(4)[1])
    disk._for_ever = False
    for receipt in receipts(4)[1:]:
        emitter.emit(receipt)
    assert [receipt.link.sequence for receipt in collector.received] == [1, 2, 3, 4]
    wal.close()
    with FileWal(tmp_path / "wal") as again:
        assert len(again) == 0


LIMITED = """
import resource, signal, sys
from tallystick.deliver.file_wal import FileWal
from tallystick.errors import WalFullError
from tests.deliveries import receipts
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
wal = FileWal(sys.argv[1])
for receipt in receipts(3):
    wal.append(receipt)
resource.setrlimit(resource.RLIMIT_FSIZE, (wal._journal.size + 300, -1))
for _ in range(2):
    try:
        wal.append(receipts(4)[3])
    except WalFullError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
wal.append(receipts(4)[3])
wal.close()
"""


def test_a_limit_of_the_kernel_is_told_too(tmp_path: Path) -> None:
    """The kernel itself writes half an item and then refuses: it is taken back, and goes later."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "wal")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("can't grow: File too large") == 2
    with FileWal(tmp_path / "wal") as wal:
        assert [receipt.link.sequence for receipt in wal.pending()] == [1, 2, 3, 4]
