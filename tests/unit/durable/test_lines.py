# SPDX-License-Identifier: Apache-2.0
"""Lines that were appended stay, whatever happens to the process or to another writer."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from tallystick.durable.file import Durable
from tallystick.durable.lines import LineFile
from tallystick.errors import DurableError


def test_lines_follow_each_other(tmp_path: Path) -> None:
    """What was appended is there in order, also after opening the file again."""
    path = tmp_path / "a.jsonl"
    for line in (b"one", b"two"):
        lines = LineFile(path)
        lines.append(line)
        lines.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"tw", b"two" * 100_000, b"\0" * 5000])
def test_a_torn_line_is_cut_away(tmp_path: Path, torn: bytes) -> None:
    """A line without its end was never acknowledged."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"one\n" + torn)
    LineFile(path).append(b"two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_file_and_directory_are_synced(tmp_path: Path) -> None:
    """The directory entry once, the data with each line, before append returns."""
    calls: list[str] = []

    def note(name: str, call: object) -> None:
        calls.append(name)
        call()  # type: ignore[operator]

    durable = Durable(
        fsync=lambda fd: note("fsync", lambda: os.fsync(fd)),
        fdatasync=lambda fd: note("fdatasync", lambda: os.fdatasync(fd)),
    )
    lines = LineFile(tmp_path / "a", durable=durable)
    lines.append(b"one")
    lines.append(b"two")
    assert calls == ["fsync", "fdatasync", "fdatasync"]


def test_after_a_failed_sync_nothing_is_promised(tmp_path: Path) -> None:
    """The fault is told, and every later append refuses."""

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    lines = LineFile(tmp_path / "a", durable=Durable(fdatasync=fail))
    with pytest.raises(DurableError, match="could not be written"):
        lines.append(b"one")
    with pytest.raises(DurableError, match="failed before"):
        lines.append(b"two")


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    """No traceback of the operating system's errors."""
    with pytest.raises(DurableError, match="could not be opened"):
        LineFile(tmp_path / "nowhere" / "a")


def test_a_closed_file_refuses(tmp_path: Path) -> None:
    """Closing twice is fine; writing afterwards is not."""
    lines = LineFile(tmp_path / "a")
    lines.close()
    lines.close()
    with pytest.raises(DurableError):
        lines.append(b"one")


def _append_many(path: str, letter: str) -> None:
    lines = LineFile(path)
    for _ in range(50):
        lines.append(letter.encode() * 300)


def test_several_processes_share_a_file(tmp_path: Path) -> None:
    """No line is lost or mixed with another."""
    path = tmp_path / "a"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(str(path), x)) for x in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(path.read_bytes().split()) == sorted(x.encode() * 300 for x in "abc" * 50)


def test_a_whole_last_line_is_kept(tmp_path: Path) -> None:
    """An editor that took the last line feed away has not torn a line."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}')
    LineFile(path).append(b'{"a":3}')
    assert path.read_bytes() == b'{"a":1}\n{"a":2}\n{"a":3}\n'


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """A wrong path in a setting destroys nothing."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not ours, and without a line feed")
    with pytest.raises(DurableError, match="something else"):
        LineFile(path).append(b'{"a":1}')
    assert path.read_bytes() == b"not ours, and without a line feed"


def test_a_removed_file_is_told(tmp_path: Path) -> None:
    """What nobody can find any more was not kept."""
    lines = LineFile(tmp_path / "a")
    lines.append(b"one")
    (tmp_path / "a").unlink()
    with pytest.raises(DurableError, match="removed while in use"):
        lines.append(b"two")


def test_once_means_once(tmp_path: Path) -> None:
    """After an interrupt nobody knows whether a line was written: it is looked up."""

    def interrupt(fd: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a"
    syncs = [interrupt, os.fdatasync]

    def next_sync(fd: int) -> None:
        syncs.pop(0)(fd)

    lines = LineFile(path, durable=Durable(fdatasync=next_sync))
    with pytest.raises(KeyboardInterrupt):
        lines.append(b"one", once=True)
    lines.append(b"one", once=True)
    assert path.read_bytes() == b"one\n"


def test_a_forked_child_writes_beside_its_parent(tmp_path: Path) -> None:
    """A lock that both inherited would hold up neither: no line overwrites another."""
    path = tmp_path / "a"
    lines = LineFile(path)
    child = os.fork()
    for _ in range(200):
        lines.append((b"p" if child else b"c") * 300)
    if child == 0:
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    written = sorted(path.read_bytes().split())
    assert written == sorted([b"p" * 300] * 200 + [b"c" * 300] * 200)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_planted_file_is_refused(tmp_path: Path) -> None:
    """In a folder that all may write to, the file must be our own: others would read along."""
    path = tmp_path / "a"
    LineFile(path).close()
    os.chown(path, 65534, 65534)
    tmp_path.chmod(0o1777)
    with pytest.raises(DurableError, match="belongs to another user"):
        LineFile(path)
