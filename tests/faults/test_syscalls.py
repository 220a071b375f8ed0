# SPDX-License-Identifier: Apache-2.0
"""What the kernel was really asked for, and in which order: a trace of a process that emits.

`kill -9` can't show a missing fsync, since the kernel survives it. Here strace watches: the file's
fdatasync and the directory's fsync have returned before anything is delivered, and so before
`emit` returns. The same program with a `Durable` that leaves one of them out must be caught.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

EMITS: Final = 40

# The marker file tells in the trace where the program is.
PROGRAM: Final = """
import os, stat, sys
from tallystick.deliver.file_wal import FileWal
from tallystick.deliver.wal import WalEmitter
from tallystick.durable.file import Durable
from tests.deliveries import Collector, receipts

path, marker, durable = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT), sys.argv[3]

def only_directories(descriptor):
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)

def only_files(descriptor):
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.fsync(descriptor)

def nothing(descriptor):
    pass

made = {
    "real": Durable(),
    "no fdatasync": Durable(fdatasync=nothing),
    "no fsync of the directory": Durable(fsync=only_files),
    "no fsync of a new file": Durable(fsync=only_directories),
}[durable]

def say(text):
    os.write(marker, text.encode())

all_receipts = receipts(int(sys.argv[4]))
collector = Collector()
collector.rule = lambda receipt: say("delivering")
say("opening")
emitter = WalEmitter(inner=collector, wal=FileWal(path, size_max=20_000, durable=made))
for receipt in all_receipts:
    say("emit called")
    emitter.emit(receipt)
    say("emit returned")
emitter.close()
"""

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(?:<.*>)?(?: .*)?$")
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")


def traced(folder: Path, durable: str) -> list[str]:
    """Run the program under strace, and return the lines of the trace."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: what the kernel is asked for can't be seen")
    if subprocess.run([strace, "/bin/true"], capture_output=True, check=False).returncode:
        pytest.skip("ptrace is forbidden here: what the kernel is asked for can't be seen")
    output = folder / "trace"
    calls = "openat,creat,pwrite64,write,fsync,fdatasync,sync_file_range,rename,renameat,renameat2"
    watch = [strace, "-f", "-y", "-s", "64", "-o", str(output), "-e", f"trace={calls},ftruncate"]
    program = [sys.executable, "-c", PROGRAM, str(folder / "wal"), str(folder / "marker")]
    done = subprocess.run(
        [*watch, *program, durable, str(EMITS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    return output.read_text().splitlines()


class Watcher:
    """Follows a trace, and notes where something is delivered that is not yet stable."""

    def __init__(self, wal: Path) -> None:
        self._wal, self._new, self._folder = str(wal), f"{wal}.new", str(wal.parent)
        self._unstable: set[str] = set()
        self._unstable_names = False
        self._has_written = self._has_synced = False
        self.returned = self.syncs = self.renames = 0
        self.faults: list[str] = []

    def follow(self, line: str) -> None:
        """Take one line of the trace."""
        found = _CALL.match(line)
        if found is None or found[3].startswith("-"):
            return
        name, arguments = found[1], found[2]
        described = _DESCRIPTOR.match(arguments)
        path = described[1] if described else ""
        if name == "write" and path.endswith("/marker"):
            self._marker(arguments)
        elif name in ("pwrite64", "ftruncate") and path in (self._wal, self._new):
            self._unstable.add(path)
            self._has_written, self._has_synced = True, False
        elif name in ("fsync", "fdatasync"):
            self._synced(path)
        elif name.startswith("rename") and f'"{Path(self._new).name}"' in arguments:
            self.renames += 1
            if self._new in self._unstable:
                self.faults.append("a new file got the name before it was stable")
            self._unstable -= {self._wal, self._new}
            self._unstable_names = True

    def _synced(self, path: str) -> None:
        if path == self._folder:
            self._unstable_names = False
        elif path in (self._wal, self._new):
            self._unstable.discard(path)
            self._has_synced = True
            self.syncs += 1

    def _marker(self, arguments: str) -> None:
        if "emit called" in arguments:
            self._has_written = self._has_synced = False
        elif "delivering" in arguments:
            if self._unstable or not self._has_synced or not self._has_written:
                self.faults.append("delivered before the file was stable")
            if self._unstable_names:
                self.faults.append("delivered before the directory was stable")
        elif "emit returned" in arguments:
            self.returned += 1


def watched(folder: Path, durable: str) -> Watcher:
    """Run the program, and return what was seen."""
    watcher = Watcher(folder / "wal")
    for line in traced(folder, durable):
        watcher.follow(line)
    assert watcher.returned == EMITS
    return watcher


def test_nothing_leaves_before_it_is_stable(tmp_path: Path) -> None:
    """For each emit: written, fdatasync returned, then delivered; renames are followed by fsync."""
    watcher = watched(tmp_path, "real")
    assert not watcher.faults
    assert watcher.syncs >= EMITS
    assert watcher.renames >= 2  # the file's first, and compactions in between


@pytest.mark.parametrize(
    ("durable", "fault"),
    [
        ("no fdatasync", "delivered before the file was stable"),
        ("no fsync of the directory", "delivered before the directory was stable"),
        ("no fsync of a new file", "a new file got the name before it was stable"),
    ],
)
def test_a_missing_sync_is_caught(tmp_path: Path, durable: str, fault: str) -> None:
    """The trace of a program that leaves a sync out is told from that of one that doesn't."""
    assert fault in watched(tmp_path, durable).faults
