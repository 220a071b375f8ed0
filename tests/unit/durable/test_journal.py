# SPDX-License-Identifier: Apache-2.0
"""The append-only file: durable, owned by one, never silent about damage."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tallystick.durable.file import Durable
from tallystick.durable.journal import Journal
from tallystick.durable.segment import HEADER_BYTES, ITEM_BYTES
from tallystick.errors import (
    LimitError,
    WalCorruptError,
    WalError,
    WalFullError,
    WalLockedError,
)

SIZE = 1_000_000


def opened(path: Path, **options: Any) -> Journal:
    """Open a journal with room enough."""
    return Journal(path, bytes_max=options.pop("bytes_max", SIZE), **options)


def contents(path: Path) -> list[tuple[int, int, bytes]]:
    """Open a journal, return (position, kind, payload) of all that is found, and close it."""
    journal = opened(path)
    try:
        return [(item.position, item.kind, journal.read(item)) for item in journal.found]
    finally:
        journal.close()


class Switch:
    """System calls that fail while `fault` is set."""

    def __init__(self, *names: str) -> None:
        self.fault: int | None = None
        self.calls = 0
        self.durable = Durable(**{name: self._failing(name) for name in names})

    def _failing(self, name: str) -> Callable[..., Any]:
        real = getattr(Durable(), name)

        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.fault is not None:
                raise OSError(self.fault, os.strerror(self.fault))
            return real(*arguments)

        return call


def test_what_is_appended_is_found_again(tmp_path: Path) -> None:
    """Positions count from 1, in order, also over several lives of the file."""
    path = tmp_path / "journal"
    journal = opened(path)
    assert journal.found == ()
    assert [journal.append(b"one", 3), journal.append(b""), journal.append(b"three")] == [1, 2, 3]
    journal.close()
    again = opened(path)
    assert again.append(b"four", 255) == 4
    again.close()
    assert contents(path) == [(1, 3, b"one"), (2, 0, b""), (3, 0, b"three"), (4, 255, b"four")]


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Receipts may be secret: no other user reads them."""
    opened(tmp_path / "journal").close()
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "journal.lock").stat().st_mode) == 0o600


def test_append_returns_after_the_sync(tmp_path: Path) -> None:
    """File and directory are synced when it is made, and the file for each append."""
    calls: list[str] = []

    def recorded(name: str) -> Callable[..., Any]:
        real = getattr(Durable(), name)

        def call(*arguments: Any) -> Any:
            directory = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            calls.append(name + (" directory" if directory else ""))
            return real(*arguments)

        return call

    durable = Durable(
        **{name: recorded(name) for name in ("pwrite", "fdatasync", "fsync", "rename")}
    )
    journal = opened(tmp_path / "journal", durable=durable)
    assert calls == ["pwrite", "fsync", "rename", "fsync directory"]
    calls.clear()
    journal.append(b"payload")
    assert calls == ["pwrite", "fdatasync"]
    journal.close()
    assert calls == ["pwrite", "fdatasync"]


def test_what_is_written_is_stable_after_close(tmp_path: Path) -> None:
    """Close syncs what nobody has synced."""
    switch = Switch("fdatasync")
    journal = opened(tmp_path / "journal", durable=switch.durable)
    journal.write(b"payload")
    assert (switch.calls, journal.synced) == (0, 0)
    journal.close()
    assert (switch.calls, journal.synced) == (1, 1)


def test_opening_makes_stable_what_it_shows(tmp_path: Path) -> None:
    """Whoever wrote it may have been killed between writing and syncing, or after a rename."""
    path = tmp_path / "journal"
    journal = opened(path)
    journal.append(b"payload")
    journal.close()
    switch = Switch("fdatasync", "fsync")
    opened(path, durable=switch.durable).close()
    assert switch.calls == 2


def test_many_threads_share_a_sync(tmp_path: Path) -> None:
    """What is appended while the disk is at work is made stable together, by the next fdatasync."""
    calls = 0

    def slow(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        end = time.monotonic() + 20
        while calls == 1 and journal._written < 32 and time.monotonic() < end:
            time.sleep(0.001)
        os.fdatasync(descriptor)

    journal = opened(tmp_path / "journal", durable=Durable(fdatasync=slow))
    begin = threading.Barrier(32)
    positions: list[int] = []

    def work(number: int) -> None:
        begin.wait()
        positions.append(journal.append(b"%d" % number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert sorted(positions) == list(range(1, 33))
    assert calls <= 2
    assert {payload for _, _, payload in contents(tmp_path / "journal")} == {
        b"%d" % number for number in range(32)
    }


def test_a_torn_end_is_cut_away(tmp_path: Path) -> None:
    """What a crash left of an item is gone, and the next one stands in its place."""
    path = tmp_path / "journal"
    journal = opened(path)
    journal.append(b"whole")
    journal.append(b"torn" * 50)
    journal.close()
    os.truncate(path, path.stat().st_size - 7)
    assert contents(path) == [(1, 0, b"whole")]
    assert path.stat().st_size == HEADER_BYTES + ITEM_BYTES + 5
    journal = opened(path)
    assert journal.append(b"next") == 2
    journal.close()
    assert contents(path) == [(1, 0, b"whole"), (2, 0, b"next")]


def test_what_one_sync_covers_may_be_torn_anywhere(tmp_path: Path) -> None:
    """Sectors of one batch reach the disk in any order: a gap in it is a torn end, not damage."""
    path = tmp_path / "journal"
    journal = opened(path)
    journal.append(b"stable")
    for payload in (b"a" * 1500, b"b"):
        journal.write(payload)
    journal.close()
    with path.open("r+b") as file:
        file.seek(512)
        file.write(bytes(512))
    assert contents(path) == [(1, 0, b"stable")]


def damaged(path: Path) -> bytes:
    """Leave a file of three items with a flipped bit in the second; return its bytes."""
    journal = opened(path)
    for payload in (b"one" * 9, b"two" * 9, b"three" * 9):
        journal.append(payload)
    journal.close()
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + ITEM_BYTES + 27 + 40] ^= 1
    path.write_bytes(data)
    return bytes(data)


def test_damage_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    """Opening raises each time, and leaves the bytes as they are."""
    path = tmp_path / "journal"
    data = damaged(path)
    for _ in range(2):
        with pytest.raises(WalCorruptError, match=r"is damaged.*Nothing was changed$"):
            opened(path)
    assert path.read_bytes() == data
    assert sorted(os.listdir(tmp_path)) == ["journal", "journal.lock"]


def test_salvage_keeps_the_damaged_file_and_what_is_whole(tmp_path: Path) -> None:
    """The old bytes stay beside under a name of their own; positions are not given away again."""
    path = tmp_path / "journal"
    for number in (1, 2):
        path.unlink(missing_ok=True)
        data = damaged(path)
        journal = opened(path, salvage=True)
        assert journal.aside == f"{path}.damaged-{number}"
        assert Path(journal.aside).read_bytes() == data
        assert [journal.read(item) for item in journal.found] == [b"one" * 9, b"three" * 9]
        assert journal.append(b"four") == 4
        journal.close()
        assert [position for position, _, _ in contents(path)] == [1, 3, 4]


def test_the_damaged_file_has_its_name_before_it_loses_the_other(tmp_path: Path) -> None:
    """On stable storage: a crash in between must not take what salvage was to keep."""
    path = tmp_path / "journal"
    damaged(path)
    calls: list[str] = []

    def recorded(name: str) -> Callable[..., Any]:
        real = getattr(Durable(), name)

        def call(*arguments: Any) -> Any:
            is_folder = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            calls.append("fsync folder" if is_folder else name)
            return real(*arguments)

        return call

    durable = Durable(**{name: recorded(name) for name in ("link", "fsync", "rename")})
    opened(path, salvage=True, durable=durable).close()
    assert calls == ["link", "fsync folder", "fsync", "rename", "fsync folder"]


def test_salvage_of_a_lost_header_begins_anew(tmp_path: Path) -> None:
    """Without its seed no item can be proven whole; the file is kept all the same."""
    path = tmp_path / "journal"
    data = bytearray(damaged(path))
    data[20] ^= 1
    path.write_bytes(data)
    journal = opened(path, salvage=True)
    assert journal.found == ()
    assert Path(str(journal.aside)).read_bytes() == data
    journal.close()


def test_salvage_changes_nothing_where_nothing_is_wrong(tmp_path: Path) -> None:
    """A file without damage is opened as always."""
    path = tmp_path / "journal"
    journal = opened(path, salvage=True)
    journal.append(b"one")
    journal.close()
    journal = opened(path, salvage=True)
    assert journal.aside is None
    assert len(journal.found) == 1
    journal.close()


@pytest.mark.parametrize("content", [b"", b"text\n", b'{"a":1}\n' * 100])
def test_a_foreign_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """What we did not write is neither read nor written over."""
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(WalCorruptError, match="not a journal"):
        opened(path)
    assert path.read_bytes() == content


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    """Each becomes a WalError with the system's words, and no descriptor stays open."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    before = len(os.listdir("/dev/fd"))
    for name in ("folder", "link", "pipe", "missing/journal", "", "a\0b"):
        with pytest.raises(WalError, match="can't be opened"):
            Journal(f"{tmp_path}/{name}", bytes_max=SIZE)
    assert len(os.listdir("/dev/fd")) == before
    with pytest.raises(WalError, match="it is not a regular file"):
        opened(tmp_path / "pipe")


@pytest.mark.parametrize("bytes_max", [0, HEADER_BYTES + ITEM_BYTES, 2**31])
def test_bounds_that_cannot_be_held(tmp_path: Path, bytes_max: int) -> None:
    """A journal without room for an item, or too large to be read whole, is not made."""
    with pytest.raises(LimitError):
        opened(tmp_path / "journal", bytes_max=bytes_max)


def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    """One object writes: another in this process is refused as well, until the first is closed."""
    path = tmp_path / "journal"
    journal = opened(path)
    with pytest.raises(WalLockedError, match=f"in use by process {os.getpid()}$"):
        opened(path)
    journal.close()
    opened(path).close()


def test_another_process_is_refused_and_named(tmp_path: Path) -> None:
    """The error tells which process has it; the lock goes with that process, however it ends."""
    path = tmp_path / "journal"
    program = (
        "import sys, time\n"
        "from tallystick.durable.journal import Journal\n"
        "journal = Journal(sys.argv[1], bytes_max=10000)\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(WalLockedError, match=f"in use by process {other.pid}$"):
            opened(path)
        other.kill()
        other.wait()
        opened(path).close()


def test_a_lock_without_a_hint_is_still_a_lock(tmp_path: Path) -> None:
    """Where the lock file holds no number, the error names nobody."""
    with (tmp_path / "journal.lock").open("w") as lock:
        lock.write("\x1b[31m")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(WalLockedError, match=r"in use by another process$"):
            opened(tmp_path / "journal")


def test_a_forked_child_leaves_it_to_its_parent(tmp_path: Path) -> None:
    """The child can't write, and does not keep the lock when the parent is gone."""
    program = """
import os, sys
from tallystick.durable.journal import Journal
from tallystick.errors import WalError
journal = Journal(sys.argv[1], bytes_max=10000)
journal.append(b"parent")
read, write = os.pipe()
if os.fork() == 0:
    os.close(write)
    try:
        journal.append(b"child")
    except WalError as error:
        print(error, flush=True)
    os.read(read, 1)  # lives on while the parent closes and opens again
    os._exit(0)
journal.append(b"parent")
journal.close()
Journal(sys.argv[1], bytes_max=10000).close()
os.close(write)
os.wait()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "journal")],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "opened by the parent of this process" in done.stdout
    assert contents(tmp_path / "journal") == [(1, 0, b"parent"), (2, 0, b"parent")]


def test_a_child_of_who_was_killed_keeps_no_lock(tmp_path: Path) -> None:
    """Nobody gave it back: it goes with the parent, though the child lives on."""
    program = """
import os, sys
from tallystick.durable.journal import Journal
journal = Journal(sys.argv[1], bytes_max=10000)
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b"1")
    sys.stdin.read()
    os._exit(0)
os.read(read, 1)
os._exit(0)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "journal")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as parent:
        assert parent.wait(30) == 0
        opened(tmp_path / "journal").close()


def test_it_grows_to_its_bound_and_not_beyond(tmp_path: Path) -> None:
    """The item that fits exactly is taken, the next is refused with both numbers."""
    bound = HEADER_BYTES + 2 * (ITEM_BYTES + 10)
    journal = opened(tmp_path / "journal", bytes_max=bound)
    journal.append(bytes(10))
    journal.append(bytes(10))
    with pytest.raises(WalFullError, match=f"is full: it holds {bound} of {bound} bytes"):
        journal.append(b"")
    journal.write(b"", may_exceed=True)
    journal.close()
    assert len(contents(tmp_path / "journal")) == 3


def test_compaction_keeps_what_it_is_told(tmp_path: Path) -> None:
    """Positions stay, the file shrinks, appends go on, and a reader finds all of it."""
    path = tmp_path / "journal"
    journal = opened(path)
    items = [journal.write(b"%d" % number * 100) for number in range(9)]
    before = journal.size
    kept = journal.compact([items[2], items[7]])
    assert journal.size < before
    assert journal.synced == 9
    assert [journal.read(item) for item in kept] == [b"2" * 100, b"7" * 100]
    assert journal.append(b"next") == 10
    journal.close()
    assert contents(path) == [(3, 0, b"2" * 100), (8, 0, b"7" * 100), (10, 0, b"next")]
    assert not (tmp_path / "journal.new").exists()


def test_what_a_crash_left_of_the_first_file_is_removed(tmp_path: Path) -> None:
    """Else nobody could make the journal any more."""
    (tmp_path / "journal.new").write_bytes(b"half")
    opened(tmp_path / "journal").close()
    assert contents(tmp_path / "journal") == []


def test_positions_are_never_used_twice(tmp_path: Path) -> None:
    """Not even where nothing is left of those that were given away."""
    journal = opened(tmp_path / "journal")
    journal.append(b"one")
    journal.append(b"two")
    journal.compact([])
    journal.close()
    journal = opened(tmp_path / "journal")
    assert journal.append(b"three") == 3
    journal.close()


def test_what_a_crash_left_of_a_compaction_is_removed(tmp_path: Path) -> None:
    """A new file that did not get its name is nothing."""
    path = tmp_path / "journal"
    journal = opened(path)
    journal.append(b"one")
    journal.close()
    (tmp_path / "journal.new").write_bytes(b"half")
    assert contents(path) == [(1, 0, b"one")]
    assert not (tmp_path / "journal.new").exists()


@pytest.mark.parametrize("name", ["open", "pwrite", "fsync", "rename"])
def test_a_compaction_that_fails_changes_nothing(tmp_path: Path, name: str) -> None:
    """Before the rename the old file stands, whatever fails; it is used on, and the next works."""
    switch = Switch(name)
    path = tmp_path / "journal"
    journal = opened(path, durable=switch.durable)
    item = journal.write(b"one")
    switch.fault = errno.EIO
    with pytest.raises(WalError, match="can't be written anew: Input/output error"):
        journal.compact([])
    switch.fault = None
    assert journal.read(item) == b"one"
    journal.append(b"two")
    assert [journal.read(one) for one in journal.compact([item])] == [b"one"]
    journal.append(b"three")
    journal.close()
    assert [payload for _, _, payload in contents(path)] == [b"one", b"three"]


def test_a_rename_that_may_not_last_stops_the_journal(tmp_path: Path) -> None:
    """After a crash either file may be there: nothing more is written to one of them."""
    fail = False

    def fsync(descriptor: int) -> None:
        if fail and stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(descriptor)

    journal = opened(tmp_path / "journal", durable=Durable(fsync=fsync))
    item = journal.write(b"one")
    journal.sync(1)
    fail = True
    with pytest.raises(WalError):
        journal.compact([item])
    fail = False
    for _ in range(2):
        with pytest.raises(WalError, match="could not be replaced for good"):
            journal.append(b"two")
    assert journal.read(item) == b"one"
    journal.close()
    with pytest.raises(WalError, match="could not be replaced for good"):
        journal.append(b"two")
    assert [payload for _, _, payload in contents(tmp_path / "journal")] == [b"one"]


def test_after_a_failed_sync_nothing_is_written(tmp_path: Path) -> None:
    """The kernel may have dropped what it could not write: the first failure is the last word."""
    sync, write = Switch("fdatasync"), Switch("pwrite")
    durable = Durable(fdatasync=sync.durable.fdatasync, pwrite=write.durable.pwrite)
    journal = opened(tmp_path / "journal", durable=durable)
    item = journal.write(b"one")
    journal.sync(1)
    sync.fault = errno.EIO
    with pytest.raises(WalError, match="could not be synced: Input/output error"):
        journal.append(b"two")
    sync.fault = None
    calls = write.calls
    calls_that_fail: list[Callable[[], object]] = [
        lambda: journal.append(b"three"),
        lambda: journal.compact([]),
        lambda: journal.sync(2),
    ]
    for call in calls_that_fail:
        with pytest.raises(WalError, match="nothing is written any more"):
            call()
    assert write.calls == calls
    journal.sync(1)  # this one is stable, and stays so
    assert journal.read(item) == b"one"
    journal.close()
    opened(tmp_path / "journal").close()


def test_a_failed_sync_is_told_to_all_who_wait(tmp_path: Path) -> None:
    """Nobody who shares a failed fdatasync is told that it worked."""
    begin = threading.Barrier(8)
    told: list[str] = []

    def failing(descriptor: int) -> None:
        time.sleep(0.02)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = opened(tmp_path / "journal", durable=Durable(fdatasync=failing))

    def work() -> None:
        begin.wait()
        try:
            journal.append(b"x")
        except WalError:
            told.append("error")
        else:
            told.append("done")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == ["error"] * 8
    journal.close()


def test_a_full_disk_is_not_the_end(tmp_path: Path) -> None:
    """What could not be written is taken back; when there is room again, the journal goes on."""
    path = tmp_path / "journal"
    is_full = False

    def pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        if not is_full:
            return os.pwrite(descriptor, data, offset)
        if len(data) > 20:
            return os.pwrite(descriptor, data[:20], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = opened(path, durable=Durable(pwrite=pwrite))
    journal.append(b"one")
    size = path.stat().st_size
    is_full = True
    with pytest.raises(WalFullError, match="No space left on device"):
        journal.append(b"two" * 20)
    assert path.stat().st_size == size
    is_full = False
    assert journal.append(b"three") == 2
    journal.close()
    assert [payload for _, _, payload in contents(path)] == [b"one", b"three"]


@pytest.mark.parametrize("second", ["ftruncate", "fdatasync"])
def test_what_cannot_be_taken_back_stops_the_journal(tmp_path: Path, second: str) -> None:
    """Half an item at the end of the file, and no way to cut it off: nothing may follow it."""
    write, other = Switch("pwrite"), Switch(second)
    durable = Durable(
        pwrite=write.durable.pwrite,
        **{second: getattr(other.durable, second)},
    )
    journal = opened(tmp_path / "journal", durable=durable)
    journal.append(b"one")
    write.fault = errno.ENOSPC
    other.fault = errno.EIO
    with pytest.raises(WalError, match="No space left on device; Input/output error"):
        journal.append(b"two")
    write.fault = other.fault = None
    with pytest.raises(WalError, match="nothing is written any more"):
        journal.append(b"three")
    journal.close()
    assert [payload for _, _, payload in contents(tmp_path / "journal")] == [b"one"]


def test_an_interrupted_write_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Ctrl-C in the middle of an item: the next one does not end in the rest of it."""
    interrupt = False

    def pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        if interrupt:
            os.pwrite(descriptor, data[:-5], offset)
            raise KeyboardInterrupt
        return os.pwrite(descriptor, data, offset)

    journal = opened(tmp_path / "journal", durable=Durable(pwrite=pwrite))
    interrupt = True
    with pytest.raises(KeyboardInterrupt):
        journal.append(b"one" * 100)
    interrupt = False
    journal.append(b"two")
    journal.close()
    assert [payload for _, _, payload in contents(tmp_path / "journal")] == [b"two"]


@pytest.mark.parametrize("way", ["removed", "replaced"])
def test_a_file_that_lost_its_name_is_noticed(tmp_path: Path, way: str) -> None:
    """What goes into a file that nobody can find again is not durable."""
    path = tmp_path / "journal"
    journal = opened(path)
    journal.append(b"one")
    if way == "removed":
        path.unlink()
    else:
        (tmp_path / "other").write_bytes(b"")
        (tmp_path / "other").rename(path)
    with pytest.raises(WalError, match="was removed or replaced while in use"):
        journal.append(b"two")
    journal.close()


def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    """Nothing is written after close, and closing again is no error."""
    journal = opened(tmp_path / "journal")
    item = journal.write(b"one")
    journal.close()
    journal.close()
    with pytest.raises(WalError, match="is closed"):
        journal.append(b"two")
    with pytest.raises(WalError, match="can't be read"):
        journal.read(item)
    assert repr(journal) == f"Journal('{tmp_path}/journal')"


def test_a_journal_that_nobody_holds_lets_go(tmp_path: Path) -> None:
    """Who forgets to close it does not lock himself out."""
    before = len(os.listdir("/dev/fd"))
    opened(tmp_path / "journal").append(b"one")
    assert len(os.listdir("/dev/fd")) == before
    assert contents(tmp_path / "journal") == [(1, 0, b"one")]


def test_an_item_that_rots_while_open_is_not_returned(tmp_path: Path) -> None:
    """Each read checks what it reads."""
    path = tmp_path / "journal"
    journal = opened(path)
    item = journal.write(b"one")
    with path.open("r+b") as file:
        file.seek(item.offset + 33)
        file.write(b"X")
    with pytest.raises(WalCorruptError, match=f"the item at byte {item.offset} is damaged"):
        journal.read(item)
    journal.close()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Opening, compacting and closing return what they took."""
    before = len(os.listdir("/dev/fd"))
    journal = opened(tmp_path / "journal")
    for _ in range(3):
        journal.append(b"one")
        journal.compact([])
    journal.close()
    damaged(tmp_path / "other")
    with pytest.raises(WalCorruptError):
        opened(tmp_path / "other")
    assert len(os.listdir("/dev/fd")) == before


def test_a_removed_lock_file_lets_no_second_owner_in(tmp_path: Path) -> None:
    """Somebody takes the lock file for a left-over and removes it: the file itself is locked too,
    also the one that a compaction made.
    """
    path = tmp_path / "journal"
    with contextlib.closing(opened(path)) as journal:
        for _ in range(2):
            (tmp_path / "journal.lock").unlink()
            with pytest.raises(WalLockedError, match="lock file is gone"):
                opened(path)
            journal.append(b"one")
            journal.compact([])
    opened(path).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_planted_file_is_refused(tmp_path: Path) -> None:
    """In a folder that all may write to, the file must be our own."""
    path = tmp_path / "journal"
    opened(path).close()
    tmp_path.chmod(0o1777)
    opened(path).close()
    os.chown(path, 65534, 65534)
    with pytest.raises(WalError, match="belongs to another user"):
        opened(path)
    tmp_path.chmod(0o700)
    opened(path).close()
