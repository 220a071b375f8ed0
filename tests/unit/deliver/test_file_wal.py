# SPDX-License-Identifier: Apache-2.0
"""The log in a file: what it holds is there for whoever opens it next."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import material
from tests.deliveries import receipts, sequences

from tallystick.deliver import file_wal
from tallystick.deliver.file_wal import FileWal
from tallystick.durable.file import Durable
from tallystick.durable.journal import Journal
from tallystick.errors import WalCorruptError, WalError, WalFullError, WalLockedError
from tallystick.limits import WAL_FRESH_RECEIPTS_MAX
from tallystick.model.reader import parse_receipt
from tallystick.ports import Wal

LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "f"}
LAZY = Durable(fdatasync=lambda descriptor: None, fsync=lambda descriptor: None)


def pending(path: Path) -> list[int]:
    """Open a log, return the places of what is pending, and close it."""
    with FileWal(path) as wal:
        return sequences(list(wal.pending()))


def test_it_is_a_log(tmp_path: Path) -> None:
    """What is appended is pending, oldest first, until it is removed; also for the next process."""
    path = tmp_path / "wal"
    with FileWal(path) as wal:
        assert isinstance(wal, Wal)
        for receipt in receipts(3):
            wal.append(receipt)
        wal.append(receipts(1)[0])
        assert list(wal.pending()) == receipts(3)
        wal.remove(receipts(2)[1].id)
        wal.remove("unknown")
        assert len(wal) == 2
        assert repr(wal) == f"FileWal('{path}', 2 pending)"
    assert pending(path) == [1, 3]


def test_receipts_come_back_byte_by_byte(tmp_path: Path) -> None:
    """The file holds the canonical bytes, and the receipt that comes back has the same."""
    full = material.full_statement()
    whole = parse_receipt(material.wire(material.signed(full)))
    with FileWal(tmp_path / "wal") as wal:
        wal.append(whole)
        wal.append(receipts(2)[1])
    assert whole.to_json() in (tmp_path / "wal").read_bytes()
    with FileWal(tmp_path / "wal") as wal:
        back = list(wal.pending())
        assert [one.to_json() for one in back] == [whole.to_json(), receipts(2)[1].to_json()]
        assert back == [whole, receipts(2)[1]]


def test_what_it_does_not_remember_it_reads_back(tmp_path: Path) -> None:
    """More receipts than are kept in memory come back from the file, in order, all the same."""
    count = WAL_FRESH_RECEIPTS_MAX + 6
    with FileWal(tmp_path / "wal", durable=LAZY) as wal:
        for receipt in receipts(count):
            wal.append(receipt)
        assert len(wal._fresh) == WAL_FRESH_RECEIPTS_MAX
        assert list(wal.pending()) == receipts(count)


def test_what_is_set_aside_is_durable(tmp_path: Path) -> None:
    """Dead letters and their reasons are there after opening again, and after compactions."""
    path = tmp_path / "wal"
    with FileWal(path) as wal:
        for receipt in receipts(4):
            wal.append(receipt)
        wal.set_aside(receipts(2)[1].id, "answered 400: 'no\ud800'")
        wal.set_aside("unknown", "x")
        wal.set_aside(receipts(4)[3].id, "x" * 10_000)
    for _ in range(2):
        with FileWal(path) as wal:
            assert sequences(list(wal.pending())) == [1, 3]
            first, second = wal.dead_letters()
            assert first.receipt() == receipts(2)[1]
            assert first.reason == "answered 400: 'no?'"
            assert second.reason == "x" * 500
            wal._compact()
    with FileWal(path) as wal:
        wal.remove(receipts(2)[1].id)
        wal.append(receipts(4)[3])
        assert wal.dead_letters() == ()
    assert pending(path) == [1, 3, 4]


def test_a_second_log_on_one_file_is_refused(tmp_path: Path) -> None:
    """Two writers would overwrite each other: the second is told who has it."""
    with FileWal(tmp_path / "wal"), pytest.raises(WalLockedError, match=str(os.getpid())):
        FileWal(tmp_path / "wal")


def test_it_is_written_anew_when_most_is_delivered(tmp_path: Path) -> None:
    """The file does not grow with what was delivered, and what is pending survives."""
    path = tmp_path / "wal"
    size_max = 20_000
    with FileWal(path, size_max=size_max, durable=LAZY) as wal:
        wal.append(receipts(1)[0])
        for receipt in receipts(100)[1:]:
            wal.append(receipt)
            wal.remove(receipt.id)
            assert path.stat().st_size < size_max
        assert wal._kept < 2_000
    assert pending(path) == [1]


def test_it_makes_room_before_it_says_that_it_is_full(tmp_path: Path) -> None:
    """What was delivered does not count against the bound; the error counts what is pending."""
    one = len(receipts(1)[0].to_json()) + 100
    with FileWal(tmp_path / "wal", size_max=4 * one, durable=LAZY) as wal:
        for receipt in receipts(3):
            wal.append(receipt)
        with pytest.raises(WalFullError, match=r"is full: .* 3 receipts in it wait for the coll"):
            wal.append(receipts(4)[3])
        wal.remove(receipts(1)[0].id)
        wal.append(receipts(4)[3])
        assert sequences(list(wal.pending())) == [2, 3, 4]
        with pytest.raises(WalFullError):
            wal.append(receipts(5)[4])


def test_marks_are_written_where_receipts_have_no_room(tmp_path: Path) -> None:
    """A full log can be emptied."""
    one = len(receipts(1)[0].to_json()) + 100
    path = tmp_path / "wal"
    with FileWal(path, size_max=3 * one, durable=LAZY) as wal:
        for receipt in receipts(2):
            wal.append(receipt)
        wal.set_aside(receipts(1)[0].id, "x" * 500)
        wal.remove(receipts(2)[1].id)
        assert len(wal) == 0
    with FileWal(path) as wal:
        assert len(wal) == 0
        assert len(wal.dead_letters()) == 1


def test_a_disk_that_is_full_is_not_tidied_for_every_receipt(tmp_path: Path) -> None:
    """A compaction that fails is tried again only when there is clearly more to win."""
    opened = 0

    def no_room(name: str, flags: int, mode: int, directory: int) -> int:
        nonlocal opened
        if flags & os.O_CREAT and wal is not None:
            opened += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Durable().open(name, flags, mode, directory)

    wal: FileWal | None = None
    durable = Durable(fdatasync=LAZY.fdatasync, fsync=LAZY.fsync, open=no_room)
    wal = FileWal(tmp_path / "wal", size_max=300_000, durable=durable)
    for receipt in receipts(125) * 2:
        wal.append(receipt)
        wal.remove(receipt.id)
    assert opened == 1
    wal.close()


def test_a_mark_that_cannot_be_written_costs_a_second_delivery(tmp_path: Path) -> None:
    """Removing never raises: the receipt is forgotten here, and pending for the next process."""
    is_broken = False

    def pwrite(descriptor: int, data: bytes | memoryview, offset: int) -> int:
        if is_broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.pwrite(descriptor, data, offset)

    path = tmp_path / "wal"
    wal = FileWal(path, durable=Durable(pwrite=pwrite))
    for receipt in receipts(2):
        wal.append(receipt)
    is_broken = True
    wal.remove(receipts(1)[0].id)
    wal.set_aside(receipts(2)[1].id, "no")
    assert len(wal) == 0
    assert [letter.receipt() for letter in wal.dead_letters()] == [receipts(2)[1]]
    with pytest.raises(WalError, match="nothing is written any more"):
        wal.append(receipts(3)[2])
    wal.close()
    assert pending(path) == [1, 2]


def test_a_receipt_that_is_not_yet_stable_is_not_pending(tmp_path: Path) -> None:
    """Nothing is delivered before it is on the disk, though it is in the file."""
    syncing, go_on = threading.Event(), threading.Event()

    def fdatasync(descriptor: int) -> None:
        syncing.set()
        go_on.wait(10)

    with FileWal(tmp_path / "wal", durable=LAZY) as wal:
        wal.append(receipts(1)[0])
    wal = FileWal(tmp_path / "wal", durable=LAZY)
    wal._journal._durable = Durable(fdatasync=fdatasync)
    thread = threading.Thread(target=wal.append, args=(receipts(2)[1],))
    thread.start()
    assert syncing.wait(10)
    assert len(wal) == 2
    assert sequences(list(wal.pending())) == [1]
    go_on.set()
    thread.join()
    assert sequences(list(wal.pending())) == [1, 2]
    wal.close()


def test_pending_receipts_are_written_anew_at_opening(tmp_path: Path) -> None:
    """Whoever wrote them may have met a failed fsync: then the kernel shows what the disk lacks."""
    path = tmp_path / "wal"
    with FileWal(path) as wal:
        wal.append(receipts(1)[0])
    before = path.stat().st_ino
    with FileWal(path):
        assert path.stat().st_ino != before


def test_a_full_disk_does_not_keep_a_log_shut(tmp_path: Path) -> None:
    """Writing it anew is no condition: it can still be read, delivered and emptied."""
    path = tmp_path / "wal"
    with FileWal(path) as wal:
        wal.append(receipts(1)[0])

    def fsync(descriptor: int) -> None:
        if (path.parent / "wal.new").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with FileWal(path, durable=Durable(fsync=fsync)) as wal:
        assert sequences(list(wal.pending())) == [1]
        wal.remove(receipts(1)[0].id)
    assert pending(path) == []


def test_damage_is_raised_and_salvaged_on_request(tmp_path: Path) -> None:
    """Nothing is dropped silently; what is whole is pending, the damaged file stays beside."""
    path = tmp_path / "wal"
    with FileWal(path) as wal:
        for receipt in receipts(3):
            wal.append(receipt)
        wal.remove(receipts(1)[0].id)
    data = bytearray(path.read_bytes())
    data[data.index(receipts(2)[1].id.encode())] ^= 1
    path.write_bytes(data)
    advice = f"open it once with FileWal({str(path)!r}, salvage=True)"
    with pytest.raises(WalCorruptError, match=f"Nothing was changed.*{re.escape(advice)}$"):
        FileWal(path)
    with FileWal(path, salvage=True) as wal:
        assert sequences(list(wal.pending())) == [3]
    assert (tmp_path / "wal.damaged-1").read_bytes() == data


def test_a_lost_receipt_leaves_its_marks_without_harm(tmp_path: Path) -> None:
    """After salvage a mark may stand for a receipt that is gone."""
    path = tmp_path / "wal"
    with FileWal(path) as wal:
        for receipt in receipts(3):
            wal.append(receipt)
        wal.remove(receipts(1)[0].id)
        wal.set_aside(receipts(2)[1].id, "no")
    data = bytearray(path.read_bytes())
    for receipt in receipts(2):
        data[data.index(receipt.id.encode())] ^= 1
    path.write_bytes(data)
    with FileWal(path, salvage=True) as wal:
        assert sequences(list(wal.pending())) == [3]
        assert wal.dead_letters() == ()


def test_what_a_later_version_wrote_is_not_lost(tmp_path: Path) -> None:
    """A receipt with members that we don't know is set aside as it is, and the others go on."""
    path = tmp_path / "wal"
    later = material.with_member(material.chain_of(1)[0], "/credentialSubject/news", "x")
    body = material.wire(later).replace(receipts(1)[0].id.encode(), b"urn:receipt:later")
    journal = Journal(path, bytes_max=100_000)
    journal.append(body, 1)
    journal.append(receipts(2)[1].to_json(), 1)
    journal.close()
    with FileWal(path) as wal:
        assert sequences(list(wal.pending())) == [2]
    with FileWal(path) as wal:
        (letter,) = wal.dead_letters()
        assert letter.body == body
        assert letter.receipt_id == "urn:receipt:later"
        assert "can't read it back" in letter.reason


@pytest.mark.parametrize(
    ("payload", "kind"), [(b"{}", 1), (b"\xff", 1), (b"12345678", 9), (b"short", 2)]
)
def test_a_journal_of_something_else_is_refused(tmp_path: Path, payload: bytes, kind: int) -> None:
    """What we don't know is neither delivered nor dropped, and the lock is given back."""
    path = tmp_path / "wal"
    journal = Journal(path, bytes_max=100_000)
    journal.append(payload, kind)
    journal.close()
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(WalError, match="holds something that"):
            FileWal(path)
    assert path.read_bytes() == before


@given(st.lists(st.tuples(st.sampled_from("aareso"), st.integers(0, 9)), max_size=40))
def test_it_does_what_a_dict_does(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Any sequence of appends, removals, settings aside and openings gives what a dict would."""
    path = tmp_path_factory.mktemp("model") / "wal"
    live: dict[str, None] = {}
    dead: dict[str, None] = {}
    wal = FileWal(path, size_max=30_000, durable=LAZY)
    for act, number in steps:
        receipt = receipts(10)[number]
        if act == "a":
            wal.append(receipt)
            dead.pop(receipt.id, None)
            live.setdefault(receipt.id)
        elif act == "r":
            wal.remove(receipt.id)
            live.pop(receipt.id, None)
            dead.pop(receipt.id, None)
        elif act == "s":
            wal.set_aside(receipt.id, "no")
            if receipt.id in live:
                del live[receipt.id]
                dead[receipt.id] = None
        elif act == "e":
            wal.close()
            wal = FileWal(path, size_max=30_000, durable=LAZY)
        else:
            wal._compact()
        assert [one.id for one in wal.pending()] == list(live)
        assert [letter.receipt_id for letter in wal.dead_letters()] == list(dead)
        assert wal._journal.size >= wal._kept
    wal.close()


@pytest.fixture
def nobody_warned() -> Iterator[None]:
    """Begin as a process that has not warned yet."""
    file_wal._warned.clear()
    yield
    file_wal._warned.clear()


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("AWS_LAMBDA_FUNCTION_NAME", "AWS Lambda"),
        ("CLOUD_RUN_JOB", "Cloud Run"),
        ("K_SERVICE", "Cloud Run"),
        ("FUNCTIONS_WORKER_RUNTIME", "Azure Functions"),
    ],
)
def test_a_temporary_folder_that_goes_with_the_instance_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody_warned: None, variable: str, name: str
) -> None:
    """One warning per process, which names the platform."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.warns(RuntimeWarning, match=f"is not durable: {name} gives") as caught:
        wal = FileWal(tmp_path / "wal", environ={variable: "x"})
    wal.close()
    assert [one.filename for one in caught] == [__file__]
    FileWal(tmp_path / "other", environ={variable: "x"}).close()  # a second one would be an error


def test_elsewhere_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobody_warned: None
) -> None:
    """Neither on another platform, nor for a folder that is mounted for keeping."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FileWal(tmp_path / "wal", environ={}).close()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        monkeypatch.setattr(file_wal, "_USUAL", str(tmp_path / "usual"))
        FileWal(tmp_path / "wal", environ=LAMBDA).close()


def test_a_log_that_nobody_closed(tmp_path: Path) -> None:
    """A log that lives until the interpreter's last moment lets go without a word."""
    program = """
import builtins, sys
from tallystick.deliver.file_wal import FileWal
class Kept: wal = FileWal(sys.argv[1])
builtins.kept = Kept
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "wal")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    FileWal(tmp_path / "wal").close()
