# SPDX-License-Identifier: Apache-2.0
"""The one append-only file of the system: what `append` returned from survives a power cut.

A journal is one file of checked items (see segment.py) and beside it an empty one that is locked:
one process writes, and one object in it. Whoever opens the file finds each item that was appended,
in order, and nothing that is not whole. An end that a crash tore off is cut away; other damage is
never passed over: opening raises, and changes nothing. What can be done about it depends on what
the file is for: whoever opens it says so.

After a failed fsync the kernel may have dropped what it could not write and say no more about it.
So the first such failure is the last word: nothing is written any more, and each later call says
so. Nothing is delivered here and nothing is ever rewritten in place.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterable
from typing import Final
from weakref import WeakSet

from tallystick.durable.file import (
    Durable,
    FilePath,
    hold,
    lock,
    open_directory,
    read_descriptor,
    reason_of,
    refuse_planted,
    shown,
    unlock,
    write_at,
)
from tallystick.durable.segment import (
    HEADER_BYTES,
    ITEM_BYTES,
    Contents,
    Header,
    Item,
    item_bytes,
    payload_at,
    read_contents,
    read_header,
    whole_items,
)
from tallystick.errors import LimitError, WalCorruptError, WalError, WalFullError
from tallystick.limits import JOURNAL_BYTES_MAX

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOWHERE: Final = -1


class Journal:
    """An append-only file with one owner. Safe from many threads, which share one fdatasync."""

    def __init__(
        self,
        path: FilePath,
        *,
        bytes_max: int,
        salvage: bool = False,
        durable: Durable | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Open the file, or make it; `found` is what it holds, oldest first.

        With `salvage`, a damaged file is kept beside as `<path>.damaged-1` (`aside` names it), and
        what is whole in it goes into a new one.
        """
        self._file = self._lock = self._directory = _NOWHERE
        if not HEADER_BYTES + ITEM_BYTES < bytes_max <= JOURNAL_BYTES_MAX:
            raise LimitError(f"a journal can't be held to {bytes_max} bytes")
        self.found: tuple[Item, ...] = ()
        self.aside: str | None = None
        self._shown = shown(path)
        self._bytes_max = bytes_max
        self._durable = durable or Durable()
        self._entropy = entropy
        # Guards the end of the file; whoever holds both took `_syncing` first.
        self._writing = threading.Lock()
        self._syncing = threading.Lock()
        self._fault: str | None = None
        self._header = Header(seed=b"")
        # The end of the file and what is stable of it, in bytes; then the same as positions.
        self._end = self._stable = 0
        self._written = self._synced = 0
        try:
            self._directory, self._name = open_directory(path)
            self._lock = lock(f"{self._name}.lock", self._directory, self._shown)
            self._open(salvage=salvage)
        except (OSError, ValueError, LimitError) as error:
            self._let_go()
            why = str(error) if isinstance(error, LimitError) else reason_of(error)
            raise WalError(f"{self._shown} can't be opened: {why}") from error
        except BaseException:
            self._let_go()
            raise
        _open_journals.add(self)

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self._end

    @property
    def synced(self) -> int:
        """The last position that is on stable storage, and all before it."""
        return self._synced

    def append(self, payload: bytes, kind: int = 0) -> int:
        """Return the position of a new item that is on stable storage."""
        position = self.write(payload, kind).position
        self.sync(position)
        return position

    def write(self, payload: bytes, kind: int = 0, *, may_exceed: bool = False) -> Item:
        """Return a new item that is in the file, and stable only after `sync`.

        With `may_exceed`, the bound on the file's size doesn't count: for what makes room later.
        """
        with self._writing:
            self._check()
            if not may_exceed and self._end + ITEM_BYTES + len(payload) > self._bytes_max:
                raise WalFullError(
                    f"{self._shown} is full: it holds {self._end} of {self._bytes_max} bytes"
                )
            item = Item(
                position=self._written + 1, kind=kind, offset=self._end, length=len(payload)
            )
            data = item_bytes(
                self._header,
                item.offset,
                position=item.position,
                kind=kind,
                stable=self._stable,
                payload=payload,
            )
            try:
                write_at(self._file, data, item.offset, self._durable)
                self._written, self._end = item.position, item.end
            except OSError as error:
                raise self._cut_back(error) from error
            except BaseException:  # Ctrl-C: the next item must not end in the rest of this one
                self._cut_back(OSError(errno.EINTR, "interrupted"))
                raise
            return item

    def sync(self, position: int) -> None:
        """Return when the item at this position and all before it are on stable storage."""
        if position <= self._synced:
            return
        with self._syncing:
            if position <= self._synced:  # somebody else's fdatasync was for us too
                return
            with self._writing:
                self._check()
                written, end = self._written, self._end
            try:
                self._durable.fdatasync(self._file)
            except OSError as error:
                raise self._stop(f"could not be synced: {reason_of(error)}") from error
            if os.fstat(self._file).st_nlink == 0:
                raise self._stop("was removed or replaced while in use")
            self._synced, self._stable = written, end

    def read(self, item: Item) -> bytes:
        """Return the payload of an item."""
        return self._payload(self._file, self._header, item)

    def compact(self, keep: Iterable[Item]) -> list[Item]:
        """Write a new file with these items only, put it in the place of the old, and return them.

        Positions stay, offsets change. All that is kept is stable when this returns.
        """
        with self._syncing, self._writing:
            self._check()
            try:
                return self._replace(list(keep))
            except OSError as error:
                kind = WalFullError if error.errno in _NO_ROOM else WalError
                raise kind(f"{self._shown} can't be written anew: {reason_of(error)}") from error

    def close(self) -> None:
        """Make stable what is not yet, and let go of file and lock."""
        try:
            if self._fault is None:
                self.sync(self._written)
        finally:
            with self._syncing, self._writing:
                self._fault = self._fault or "is closed"
                self._let_go()

    def __del__(self) -> None:
        self._let_go()

    def __repr__(self) -> str:
        return f"Journal({self._shown!r})"

    def _open(self, *, salvage: bool) -> None:
        try:
            flags = os.O_RDWR | os.O_NONBLOCK  # a pipe must not make us wait
            self._file = self._durable.open(self._name, flags, 0, self._directory)
        except FileNotFoundError:
            self._remove(f"{self._name}.new")
            self._replace([])
            return
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise ValueError("it is not a regular file")
        refuse_planted(self._file, self._directory)
        hold(self._file, self._shown)
        self._remove(f"{self._name}.new")  # what a crash left of a new file
        data = read_descriptor(self._file, 2 * JOURNAL_BYTES_MAX)  # marks may exceed the bound
        contents = _contents(data)
        self._header = contents.header
        if contents.fault is not None:
            if not salvage:
                raise WalCorruptError(f"{self._shown}: {contents.fault}. Nothing was changed")
            self._keep_aside()
        items = contents.items
        self._written = max([self._header.first - 1, *(item.position for item in items)])
        if contents.fault is not None:
            items = self._replace(items)
        else:
            self._take_over(contents.end, len(data))
        self.found = tuple(items)

    def _take_over(self, end: int, length: int) -> None:
        """Make stable what was read: who wrote it may have been killed before doing so."""
        if end < length:
            self._durable.ftruncate(self._file, end)
        self._durable.fdatasync(self._file)
        self._durable.fsync(self._directory)
        self._end = self._stable = end
        self._synced = self._written

    def _keep_aside(self) -> None:
        number = 1
        while True:
            try:
                self._durable.link(self._name, f"{self._name}.damaged-{number}", self._directory)
                break
            except FileExistsError:
                number += 1
        self.aside = f"{self._shown}.damaged-{number}"
        self._durable.fsync(self._directory)

    def _replace(self, items: list[Item]) -> list[Item]:
        """Put a new file with these items under the name; the old one stays whole until then."""
        durable, name = self._durable, f"{self._name}.new"
        sealed = HEADER_BYTES + sum(item.size for item in items)
        header = Header(seed=self._entropy(8), first=self._written + 1, sealed=sealed)
        file = durable.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, self._directory)
        is_renamed = False
        try:
            hold(file, self._shown)
            moved = self._copy(items, file, header)
            durable.fsync(file)
            durable.rename(name, self._name, self._directory)
            is_renamed = True
            durable.fsync(self._directory)
        except BaseException as error:
            os.close(file)
            if is_renamed:  # after a crash, either may be there: what follows must go to neither
                self._stop(f"could not be replaced for good: {error}")
            else:
                self._remove(name)
            raise
        # Closed last: an interrupt behind that call must not leave the number of a closed file.
        old, self._file, self._header = self._file, file, header
        self._end = self._stable = sealed
        self._synced = self._written
        if old != _NOWHERE:
            os.close(old)
        return moved

    def _copy(self, items: list[Item], file: int, header: Header) -> list[Item]:
        moved = []
        write_at(file, header.to_bytes(), 0, self._durable)
        offset = HEADER_BYTES
        for item in items:
            payload = self._payload(self._file, self._header, item)
            data = item_bytes(
                header, offset, position=item.position, kind=item.kind, stable=0, payload=payload
            )
            write_at(file, data, offset, self._durable)
            moved.append(
                Item(position=item.position, kind=item.kind, offset=offset, length=item.length)
            )
            offset += len(data)
        return moved

    def _payload(self, file: int, header: Header, item: Item) -> bytes:
        try:
            payload = payload_at(os.pread(file, item.size, item.offset), header)
        except OSError as error:
            raise WalError(f"{self._shown} can't be read: {reason_of(error)}") from error
        if payload is None:
            raise WalCorruptError(f"{self._shown}: the item at byte {item.offset} is damaged")
        return payload

    def _cut_back(self, error: OSError) -> WalError:
        """Take back what was written of an item, and return the error that says why."""
        try:
            self._durable.ftruncate(self._file, self._end)
            self._durable.fdatasync(self._file)
        except OSError as second:
            return self._stop(f"could not be written: {reason_of(error)}; {reason_of(second)}")
        if error.errno in _NO_ROOM:
            return WalFullError(f"{self._shown} can't grow: {reason_of(error)}")
        if error.errno == errno.EINTR:
            return WalError(f"{self._shown} could not be written: {reason_of(error)}")
        return self._stop(f"could not be written: {reason_of(error)}")

    def _check(self) -> None:
        if self._fault is not None:
            raise WalError(f"{self._shown} {self._fault}")

    def _stop(self, fault: str) -> WalError:
        """Write nothing any more: what is on the disk is no longer known."""
        self._fault = f"{fault}; nothing is written any more: open it anew"
        return WalError(f"{self._shown} {self._fault}")

    def _remove(self, name: str) -> None:
        try:
            self._durable.unlink(name, self._directory)
        except OSError:
            pass  # not there; or it stays, and making the new file says so

    def _let_go(self, *, release: Callable[[int], None] = unlock) -> None:
        for descriptor, give_back in (
            (self._file, release),
            (self._directory, os.close),
            (self._lock, release),
        ):
            if descriptor != _NOWHERE:
                give_back(descriptor)
        self._file = self._lock = self._directory = _NOWHERE

    def _forget(self) -> None:
        """In a forked child: leave file and lock to the parent."""
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._fault = "was opened by the parent of this process; each process needs one of its own"
        self._let_go(release=os.close)


_open_journals: Final[WeakSet[Journal]] = WeakSet()


def _contents(data: bytes) -> Contents:
    """Return what a file holds; after damage, all that is whole in it."""
    header = read_header(data)
    if isinstance(header, str):
        return Contents(header=Header(seed=b""), items=[], end=0, fault=header)
    contents = read_contents(data, header)
    if contents.fault is None:
        return contents
    whole = list(whole_items(data, header))
    return Contents(header=header, items=whole, end=contents.end, fault=contents.fault)


def _leave_to_the_parent() -> None:
    for journal in list(_open_journals):
        journal._forget()


os.register_at_fork(after_in_child=_leave_to_the_parent)
