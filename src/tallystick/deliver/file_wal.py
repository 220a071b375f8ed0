# SPDX-License-Identifier: Apache-2.0
"""A write-ahead log in one file: what it holds survives `kill -9` at any point, and a power cut.

Three kinds of items stand in its journal: a receipt's canonical bytes, a mark that it was
delivered, a mark that it was refused for good. A receipt is stable when `append` returns. Marks
are written and made stable by whoever syncs next: losing one costs a second delivery of the same
receipt, which a collector answers with 409.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Final, Self

import msgspec

from tallystick import config
from tallystick.deliver.lifetime import after_fork_in_child
from tallystick.durable.file import Durable, FilePath, shown
from tallystick.durable.journal import Journal
from tallystick.durable.segment import HEADER_BYTES, Item
from tallystick.errors import ReceiptError, RefusedInput, WalCorruptError, WalError, WalFullError
from tallystick.limits import (
    DEAD_LETTER_REASON_CHARS_MAX,
    WAL_BYTES_MAX,
    WAL_FRESH_RECEIPTS_MAX,
    WAL_SPENT_BYTES_MAX,
)
from tallystick.model.receipt import Receipt, split_canonical
from tallystick.ports import DeadLetter

_RECEIPT: Final = 1
_REMOVED: Final = 2
_SET_ASIDE: Final = 3

# The temporary folder, also where TMPDIR names another. Looked for, not written to.
_USUAL: Final = "/tmp"  # noqa: S108

# The processes that were warned: a forked child inherits the set, but not its parent's id.
_warned: Final[set[int]] = set()


class _Named(msgspec.Struct):
    id: str


class _Dead(msgspec.Struct):
    """A receipt that was set aside: itself and the mark that says why."""

    item: Item
    mark: Item | None
    reason: str

    @property
    def size(self) -> int:
        return self.item.size + (self.mark.size if self.mark is not None else 0)


class FileWal:
    """Keeps receipts in a file that one process has for itself. Safe from many threads."""

    def __init__(
        self,
        path: FilePath,
        *,
        size_max: int = WAL_BYTES_MAX,
        salvage: bool = False,
        durable: Durable | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Open the log, or make it; what an earlier process left is pending.

        A damaged file raises `WalCorruptError`, and nothing is changed. With `salvage`, it is kept
        beside as `<path>.damaged-1`, and what is whole in it is pending.
        """
        _warn_once_where_it_does_not_last(path, environ)
        self._shown = shown(path)
        # Guards all that follows; held while a file is written, and never while it is synced.
        self._guard = threading.Lock()
        self._pending: dict[str, Item] = {}
        self._dead: dict[str, _Dead] = {}
        self._fresh: dict[str, Receipt] = {}
        # Bytes of the file that are still needed, and how many others it may hold.
        self._kept = HEADER_BYTES
        self._spent_max = self._spent_step = min(WAL_SPENT_BYTES_MAX, size_max // 2)
        try:
            self._journal = Journal(path, bytes_max=size_max, salvage=salvage, durable=durable)
        except WalCorruptError as error:
            raise WalCorruptError(
                f"{error}. To go on with what is whole and keep the damaged file beside it, open "
                f"it once with FileWal({self._shown!r}, salvage=True)"
            ) from error
        try:
            self._load()
            if self._kept > HEADER_BYTES:
                self._write_anew()
        except BaseException:
            self._journal.close()
            raise
        after_fork_in_child(self._leave_to_the_parent)

    def append(self, receipt: Receipt, /) -> None:
        """Return when the receipt is on stable storage. A pending id changes nothing."""
        with self._guard:
            item = self._pending.get(receipt.id)
            if item is None:
                item = self._write(receipt.to_json())
                self._take_in(receipt.id, item)
                if len(self._fresh) < WAL_FRESH_RECEIPTS_MAX:
                    self._fresh[receipt.id] = receipt
        self._journal.sync(item.position)

    def remove(self, receipt_id: str, /) -> None:
        """Forget a receipt, pending or set aside."""
        with self._guard:
            item = self._take_out(receipt_id)
            if item is not None:
                self._mark(_REMOVED, item)
                self._tidy()

    def set_aside(self, receipt_id: str, reason: str, /) -> None:
        """Take a pending receipt out of the line; it stays in the file, with the reason."""
        reason = reason[:DEAD_LETTER_REASON_CHARS_MAX]
        with self._guard:
            if receipt_id in self._pending:
                mark = self._mark(_SET_ASIDE, self._pending[receipt_id], reason)
                self._bury(receipt_id, mark, reason)

    def pending(self) -> Iterator[Receipt]:
        """Yield what is pending at the time of the call, oldest first; only what is stable."""
        with self._guard:
            synced = self._journal.synced
            ids = [one for one, item in self._pending.items() if item.position <= synced]
        for receipt_id in ids:
            receipt = self._receipt(receipt_id)
            if receipt is not None:
                yield receipt

    def dead_letters(self) -> tuple[DeadLetter, ...]:
        """Return what was set aside, oldest first."""
        with self._guard:
            return tuple(
                DeadLetter(
                    receipt_id=receipt_id, reason=dead.reason, body=self._journal.read(dead.item)
                )
                for receipt_id, dead in self._dead.items()
            )

    def close(self) -> None:
        """Let go of the file and its lock; what is pending stays in it."""
        self._journal.close()

    def __len__(self) -> int:
        return len(self._pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FileWal({self._shown!r}, {len(self)} pending)"

    def _leave_to_the_parent(self) -> None:
        """In a forked child: the journal refuses, so there is nothing to deliver twice."""
        self._guard = threading.Lock()
        self._pending, self._dead, self._fresh = {}, {}, {}

    def _load(self) -> None:
        ids: dict[int, str] = {}
        for item in self._journal.found:
            payload = self._journal.read(item)
            if item.kind == _RECEIPT:
                receipt_id = self._id_of(payload)
                ids[item.position] = receipt_id
                self._take_in(receipt_id, item)
            elif item.kind in (_REMOVED, _SET_ASIDE) and len(payload) >= 8:
                # A mark may outlive what it marks, where a damaged file was salvaged.
                marked = ids.get(int.from_bytes(payload[:8], "big"), "")
                if item.kind == _REMOVED:
                    self._take_out(marked)
                elif marked in self._pending:
                    self._bury(marked, item, payload[8:].decode("utf-8", "replace"))
            else:
                raise WalError(f"{self._shown} holds something that this version does not know")

    def _write_anew(self) -> None:
        """Put what an earlier process left on the disk once more, whatever became of that one.

        After a failed fsync, the kernel may go on showing bytes that it never stored.
        """
        try:
            self._compact()
        except WalFullError:
            pass  # no room for that: it can be delivered and removed all the same

    def _id_of(self, payload: bytes) -> str:
        try:
            return msgspec.json.decode(payload, type=_Named).id
        except msgspec.MsgspecError:
            raise WalError(f"{self._shown} holds something that is not a receipt") from None

    def _receipt(self, receipt_id: str) -> Receipt | None:
        with self._guard:
            item = self._pending.get(receipt_id)
            if item is None:
                return None
            fresh = self._fresh.get(receipt_id)
            if fresh is not None:
                return fresh
            body = self._journal.read(item)
        try:
            return _read_back(body)
        except RefusedInput as fault:
            self.set_aside(receipt_id, f"this version can't read it back: {fault}")
            return None

    def _write(self, body: bytes) -> Item:
        try:
            return self._journal.write(body, _RECEIPT)
        except WalFullError as error:
            if self._journal.size > self._kept:
                try:
                    self._compact()
                    return self._journal.write(body, _RECEIPT)
                except WalFullError:
                    pass  # the first error says what is the matter
            raise WalFullError(
                f"{error}; {len(self._pending)} receipts in it wait for the collector"
            ) from error

    def _mark(self, kind: int, item: Item, text: str = "") -> Item | None:
        payload = item.position.to_bytes(8, "big") + text.encode("utf-8", "replace")
        try:
            return self._journal.write(payload, kind, may_exceed=True)
        except WalError:
            return None  # the next append tells; until then, one more delivery is no harm

    def _take_in(self, receipt_id: str, item: Item) -> None:
        self._take_out(receipt_id)
        self._pending[receipt_id] = item
        self._kept += item.size

    def _take_out(self, receipt_id: str) -> Item | None:
        self._fresh.pop(receipt_id, None)
        dead = self._dead.pop(receipt_id, None)
        if dead is not None:
            self._kept -= dead.size
            return dead.item
        item = self._pending.pop(receipt_id, None)
        if item is not None:
            self._kept -= item.size
        return item

    def _bury(self, receipt_id: str, mark: Item | None, reason: str) -> None:
        self._fresh.pop(receipt_id, None)
        item = self._pending.pop(receipt_id)
        self._dead[receipt_id] = _Dead(item=item, mark=mark, reason=reason)
        self._kept += mark.size if mark is not None else 0

    def _tidy(self) -> None:
        """Write the file anew when most of it is delivered."""
        spent = self._journal.size - self._kept
        if spent <= max(self._spent_max, self._kept):
            return
        try:
            self._compact()
            self._spent_max = self._spent_step
        except WalError:  # a full disk: not for every receipt again
            self._spent_max = spent + self._spent_step

    def _compact(self) -> None:
        items = list(self._pending.values())
        for dead in self._dead.values():
            items += [dead.item, dead.mark] if dead.mark is not None else [dead.item]
        items.sort(key=lambda item: item.position)
        moved = {item.position: item for item in self._journal.compact(items)}
        for receipt_id, item in self._pending.items():
            self._pending[receipt_id] = moved[item.position]
        for dead in self._dead.values():
            dead.item = moved[dead.item.position]
            dead.mark = moved[dead.mark.position] if dead.mark is not None else None


def _read_back(body: bytes) -> Receipt:
    """Return the receipt in canonical bytes, or refuse one that this version would change."""
    found = split_canonical(body)
    if found is not None:
        return found[0]
    from tallystick.model.reader import parse_receipt  # costs a cold start 10 ms

    receipt = parse_receipt(body)
    if receipt.to_json() != body:
        raise ReceiptError("it would not come back as it was")
    return receipt


def _warn_once_where_it_does_not_last(path: FilePath, environ: Mapping[str, str] | None) -> None:
    runtime = config.ephemeral_runtime(environ)
    if runtime is None or os.getpid() in _warned:
        return
    import tempfile  # costs a cold start 5 ms

    real = os.path.realpath(path)
    folders = {os.path.realpath(one) for one in (tempfile.gettempdir(), _USUAL)}
    if any(real.startswith(folder + os.sep) for folder in folders):
        _warned.add(os.getpid())
        warnings.warn(
            f"{shown(path)} is not durable: {runtime} gives the temporary folder back with the "
            "instance, and what is pending in it is lost then",
            RuntimeWarning,
            stacklevel=3,
        )
