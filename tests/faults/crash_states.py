# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after a crash: system calls recorded, legal states enumerated.

The rules are those that POSIX leaves, and a bit more than usual file systems do:

- Of a file's writes since its last sync, any prefix may be there, the last one torn at any byte.
  Or the file has grown and any of its new sectors are missing, which then read as zeros.
- Of a directory's changes since its last sync, any subset may be there, in their order.
- What was synced is there. Nothing else is promised: not that a synced file has its name.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tallystick.durable.file import Durable

SECTOR: Final = 512


class Write(msgspec.Struct, frozen=True):
    """Bytes put into a file."""

    file: int
    offset: int
    data: bytes


class Cut(msgspec.Struct, frozen=True):
    """A file cut, or grown with zeros."""

    file: int
    length: int


class Sync(msgspec.Struct, frozen=True):
    """A file made stable."""

    file: int


class SyncDirectory(msgspec.Struct, frozen=True):
    """Names made stable."""


class Name(msgspec.Struct, frozen=True):
    """A name given to a file, or with None taken away."""

    name: str
    file: int | None


class Rename(msgspec.Struct, frozen=True):
    """A file whose name replaces another, in one step."""

    old: str
    new: str
    file: int


class Note(msgspec.Struct, frozen=True):
    """Something that the program under test was told: no system call."""

    text: str
    about: Any = None


Step = Write | Cut | Sync | SyncDirectory | Name | Rename | Note
Names = dict[str, int]


class Killed(BaseException):
    """The process is no more: nothing that it calls does anything."""


class Recording:
    """Does everything for real, and writes down what it did, in order.

    `leave_out` names calls that are neither done nor written down, while the program under test
    is told that they were: a disk, or a program, that lies. From the step `kill_at` on, every call
    raises `Killed`; the kernel and what it holds live on.
    """

    kill_at: int | None = None

    def __init__(self, *leave_out: str, names: Names | None = None) -> None:
        self.steps: list[Step] = []
        self._leave_out = leave_out
        self._files: dict[int, int] = {}
        self._names: Names = dict(names or {})
        self._numbers = itertools.count(len(self._names) + 1)

    def note(self, text: str, about: Any = None) -> None:
        """Write down what the program under test was told."""
        self.steps.append(Note(text, about))

    def _live(self) -> None:
        if self.kill_at is not None and len(self.steps) >= self.kill_at:
            raise Killed

    def durable(self) -> Durable:
        """Return the system calls that are recorded."""
        return Durable(
            open=self._open,
            pwrite=self._pwrite,
            ftruncate=self._ftruncate,
            fdatasync=self._fdatasync,
            fsync=self._fsync,
            rename=self._rename,
            link=self._link,
            unlink=self._unlink,
        )

    def _open(self, name: str, flags: int, mode: int, directory: int) -> int:
        self._live()
        descriptor = Durable().open(name, flags, mode, directory)
        if flags & os.O_CREAT:
            self._names[name] = next(self._numbers)
            self.steps.append(Name(name, self._names[name]))
        self._files[descriptor] = self._names[name]
        return descriptor

    def _pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        self._live()
        self.steps.append(Write(self._files[descriptor], offset, bytes(data)))
        return os.pwrite(descriptor, data, offset)

    def _ftruncate(self, descriptor: int, length: int) -> None:
        self._live()
        self.steps.append(Cut(self._files[descriptor], length))
        os.ftruncate(descriptor, length)

    def _fdatasync(self, descriptor: int) -> None:
        self._live()
        if "fdatasync" not in self._leave_out:
            self.steps.append(Sync(self._files[descriptor]))

    def _fsync(self, descriptor: int) -> None:
        self._live()
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            if "directory" not in self._leave_out:
                self.steps.append(SyncDirectory())
        elif "fsync" not in self._leave_out:
            self.steps.append(Sync(self._files[descriptor]))

    def _rename(self, old: str, new: str, directory: int) -> None:
        self._live()
        Durable().rename(old, new, directory)
        self._names[new] = self._names.pop(old)
        self.steps.append(Rename(old, new, self._names[new]))

    def _link(self, old: str, new: str, directory: int) -> None:
        self._live()
        Durable().link(old, new, directory)
        self._names[new] = self._names[old]
        self.steps.append(Name(new, self._names[new]))

    def _unlink(self, name: str, directory: int) -> None:
        self._live()
        Durable().unlink(name, directory)
        self._names.pop(name, None)
        self.steps.append(Name(name, None))


class Disk:
    """What is stable, and what is not yet."""

    def __init__(self, files: dict[int, bytes] | None = None, names: Names | None = None) -> None:
        self.files = dict(files or {})
        self.names = dict(names or {})
        self.waiting: dict[int, list[Write | Cut]] = {}
        self.waiting_names: list[Name | Rename] = []

    def take(self, step: Step) -> None:
        """Go on by one step."""
        match step:
            case Write() | Cut():
                self.waiting.setdefault(step.file, []).append(step)
            case Sync():
                for change in self.waiting.pop(step.file, []):
                    self.files[step.file] = changed(self.files.get(step.file, b""), change)
            case Name() | Rename():
                self.waiting_names.append(step)
            case SyncDirectory():
                self.names = renamed(self.names, self.waiting_names)
                self.waiting_names = []
            case Note():
                pass

    def states(self, dice: random.Random) -> Iterator[dict[str, bytes]]:
        """Yield what may be found after a crash now, as file contents by name; with repeats."""
        for kept in _subsets(self.waiting_names):
            names = renamed(self.names, kept)
            choices = [
                [(name, content) for content in self._contents(file, dice)]
                for name, file in sorted(names.items())
            ]
            # Files are torn independently of each other; one at a time is enough where only one
            # is read at all.
            whole = [of_one[-1] for of_one in choices]
            for index, of_one in enumerate(choices):
                for choice in of_one:
                    yield dict([*whole[:index], choice, *whole[index + 1 :]])
            if not choices:
                yield {}

    def _contents(self, file: int, dice: random.Random) -> list[bytes]:
        """Return what a file may hold; the last one is all of it."""
        content = self.files.get(file, b"")
        found = [content]
        for change in self.waiting.get(file, []):
            if isinstance(change, Write):
                found += [
                    changed(content, Write(file, change.offset, change.data[:length]))
                    for length in _cuts(len(change.data), dice)
                ]
            content = changed(content, change)
            found.append(content)
        return [*found, *self._with_holes(file, dice), content]

    def _with_holes(self, file: int, dice: random.Random) -> Iterator[bytes]:
        """Yield contents of full length in which new sectors are missing."""
        stable = self.files.get(file, b"")
        writes = self.waiting.get(file, [])
        content = stable
        for change in writes:
            content = changed(content, change)
        begin = min((one.offset for one in writes if isinstance(one, Write)), default=len(content))
        sectors = range(begin // SECTOR, -(-len(content) // SECTOR))
        some = [set(sectors), *({one} for one in sectors)]
        some += [{one for one in sectors if dice.random() < 0.5} for _ in range(3)]
        for missing in some:
            holed = bytearray(content)
            for sector in missing:
                start, stop = sector * SECTOR, min(len(content), (sector + 1) * SECTOR)
                old = stable[start:stop]
                holed[start:stop] = old + bytes(stop - start - len(old))
            yield bytes(holed)


def changed(content: bytes, change: Write | Cut) -> bytes:
    """Return a file's content after one change."""
    if isinstance(change, Cut):
        return content[: change.length] + bytes(max(0, change.length - len(content)))
    padded = content + bytes(max(0, change.offset - len(content)))
    return padded[: change.offset] + change.data + padded[change.offset + len(change.data) :]


def renamed(names: Names, steps: list[Name | Rename]) -> Names:
    """Return a directory after some changes."""
    names = dict(names)
    for step in steps:
        if isinstance(step, Rename):
            if names.get(step.old) == step.file:
                del names[step.old]
            names[step.new] = step.file
        elif step.file is None:
            names.pop(step.name, None)
        else:
            names[step.name] = step.file
    return names


def _subsets(steps: list[Name | Rename]) -> Iterator[list[Name | Rename]]:
    for size in range(len(steps) + 1):
        for chosen in itertools.combinations(steps, size):
            yield list(chosen)


def _cuts(length: int, dice: random.Random) -> list[int]:
    """Return places to tear a write at: its ends, those of its parts, and some in between."""
    places = {
        0,
        1,
        4,
        8,
        28,
        31,
        32,
        33,
        length - 17,
        length - 16,
        length - 15,
        length - 4,
        length - 1,
    }
    places |= {dice.randrange(length) for _ in range(8)} if length else set()
    return sorted(place for place in places if 0 <= place < length)


def lay_out(state: dict[str, bytes], folder: Path) -> None:
    """Make a folder that holds a state."""
    folder.mkdir()
    for name, content in state.items():
        (folder / name).write_bytes(content)


def crashes(
    steps: list[Step], seed: int, *, disk: Disk | None = None, since: int = 0
) -> Iterator[tuple[list[Note], dict[str, bytes]]]:
    """Yield each state that a crash between two steps may leave, once, and what was told before.

    Crashes before the step `since` are left out.
    """
    disk, told = disk or Disk(), list[Note]()
    seen: set[tuple[int, frozenset[tuple[str, bytes]]]] = set()
    for number in range(len(steps) + 1):
        if number:
            step = steps[number - 1]
            disk.take(step)
            if isinstance(step, Note):
                told.append(step)
        if number < since:
            continue
        for state in disk.states(random.Random(seed * 1_000_003 + number)):
            key = (len(told), frozenset(state.items()))
            if key not in seen:
                seen.add(key)
                yield list(told), state


Recover = Callable[[list[Note], Path], list[str]]


def violations(
    steps: list[Step],
    recover: Recover,
    folder: Path,
    *,
    seed: int = 1,
    disk: Disk | None = None,
    before: Sequence[Note] = (),
    since: int = 0,
    enough: int = 5,
) -> tuple[int, list[str]]:
    """Recover from every crash; return how many there were, and what was wrong after them.

    Stops when there is `enough` of the latter. `before` was told before the first step.
    """
    wrong: list[str] = []
    count = 0
    for told, state in crashes(steps, seed, disk=disk, since=since):
        count += 1
        place = folder / "crashed"
        lay_out(state, place)
        wrong += [f"state {count}: {fault}" for fault in recover([*before, *told], place)]
        shutil.rmtree(place)
        if len(wrong) >= enough:
            break
    return count, wrong
