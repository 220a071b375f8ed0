# SPDX-License-Identifier: Apache-2.0
"""The bytes of a journal's file: what is written, and what can be read after a crash.

    header  magic 8 | version 2 | zero 6 | seed 8 | first 8 | sealed 8 | check 8
    item    mark 4 | length 4 | kind 1 | zero 3 | position 8 | stable 8 | check 4
            payload | check 16

A file is a header and any number of items. Numbers are big-endian. Checks are BLAKE2b keyed with
the file's random seed: an item of an earlier file that the disk gives back is not taken for one of
this file. The short check of an item covers what stands before it and where that stands, so that a
damaged length is known before it is used; the long one covers all of the item.

`stable` is how far the file was on stable storage when the item was written, `sealed` how far it
was when it got its name. They tell damage from a torn tail: a crash can leave out only what was
not yet stable, and of that a suffix, or sectors that are then zero. Everything else that is not a
whole item is damage.

BUG: a last item of which a whole sector was zeroed after it had become stable looks like a torn
one. So does, on file systems that give back old blocks after a crash, the reverse: a torn item
that holds such a block is taken for damage.

No clock, no disk: bytes in, bytes out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec

VERSION: Final = 1
# Neither survives a transfer as text, and no UTF-8 text holds the mark.
_MAGIC: Final = b"\x89TALLY\r\n"
_MARK: Final = b"\xff\xc1\xf5\xfe"

_HEADER: Final = struct.Struct(">8sH6x8sQQ")
_HEADER_CHECK_BYTES: Final = 8
HEADER_BYTES: Final = _HEADER.size + _HEADER_CHECK_BYTES
_ITEM: Final = struct.Struct(">4sIB3xQQ")
_SHORT_CHECK_BYTES: Final = 4
_LONG_CHECK_BYTES: Final = 16
_BEFORE_PAYLOAD: Final = _ITEM.size + _SHORT_CHECK_BYTES
ITEM_BYTES: Final = _BEFORE_PAYLOAD + _LONG_CHECK_BYTES
PAYLOAD_BYTES_MAX: Final = 2**32 - 1

# The smallest piece that a disk writes whole.
_SECTOR_BYTES: Final = 512


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file begins with."""

    seed: bytes
    # The first position that was not yet given away when the file was made.
    first: int = 1
    sealed: int = HEADER_BYTES

    def to_bytes(self) -> bytes:
        """Return the bytes of the header."""
        body = _HEADER.pack(_MAGIC, VERSION, self.seed, self.first, self.sealed)
        return body + _check(self.seed, body, _HEADER_CHECK_BYTES)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One payload in the file: its position never changes, its offset may."""

    position: int
    kind: int
    offset: int
    length: int

    @property
    def size(self) -> int:
        """The bytes that it takes up."""
        return ITEM_BYTES + self.length

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + ITEM_BYTES + self.length


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds: whole items in order, where they end, and what is wrong behind them."""

    header: Header
    items: list[Item]
    end: int
    # None: what follows `end`, if anything, is what a crash may leave.
    fault: str | None = None


def read_header(data: bytes) -> Header | str:
    """Return the header, or what is wrong with it."""
    head = data[:HEADER_BYTES]
    if head[:8] != _MAGIC:
        return "it is not a journal"
    if len(head) < HEADER_BYTES:
        return "its header is cut short"
    _, version, seed, first, sealed = _HEADER.unpack_from(head)
    if head[_HEADER.size :] != _check(seed, head[: _HEADER.size], _HEADER_CHECK_BYTES):
        return "its header is damaged"
    if version != VERSION:
        return f"it has version {version} of the format, and we read {VERSION}"
    return Header(seed=seed, first=first, sealed=sealed)


def item_bytes(
    header: Header, offset: int, *, position: int, kind: int, stable: int, payload: bytes
) -> bytes:
    """Return the bytes of an item that is going to stand at `offset`."""
    fields = _ITEM.pack(_MARK, len(payload), kind, position, stable)
    before = fields + _short_check(header.seed, fields, offset)
    return b"".join((before, payload, _long_check(header.seed, before, payload)))


def payload_at(data: bytes, header: Header) -> bytes | None:
    """Return the payload of the item that `data` is, or None where it isn't whole."""
    before, payload = data[:_BEFORE_PAYLOAD], data[_BEFORE_PAYLOAD:-_LONG_CHECK_BYTES]
    if data[-_LONG_CHECK_BYTES:] != _long_check(header.seed, before, payload):
        return None
    return payload


def read_contents(data: bytes, header: Header) -> Contents:
    """Return what the bytes of a file hold, and judge what can't be read."""
    items: list[Item] = []
    end, position = HEADER_BYTES, 0
    while (found := _whole_item(data, end, header)) is not None and found[0].position > position:
        item, _ = found
        items.append(item)
        end, position = item.end, item.position
    return Contents(header=header, items=items, end=end, fault=_fault_at(data, end, header))


def whole_items(data: bytes, header: Header) -> Iterator[Item]:
    """Yield every item that is whole, also behind damage: for salvage."""
    offset, position = HEADER_BYTES, 0
    while offset < len(data):
        found = _whole_item(data, offset, header)
        if found is not None and found[0].position > position:
            yield found[0]
            offset, position = found[0].end, found[0].position
        else:
            offset = _next_mark(data, offset + 1)


def _fault_at(data: bytes, offset: int, header: Header) -> str | None:
    """Say why what follows `offset` is not what a crash may leave, or None."""
    if offset < header.sealed:
        return f"the item at byte {offset} is damaged or missing"
    if offset == len(data):
        return None
    later = _next_mark(data, offset + 1)
    while later < len(data):
        found = _whole_item(data, later, header)
        if found is not None and found[1] > offset:
            return f"the item at byte {offset} is damaged: it was stable before others followed"
        later = _next_mark(data, later + 1)
    return None if _looks_torn(data, offset, header) else f"the item at byte {offset} is damaged"


def _looks_torn(data: bytes, offset: int, header: Header) -> bool:
    """Whether an item is cut short, or lacks sectors of what was written."""
    if offset + _BEFORE_PAYLOAD > len(data):
        return True
    fields = _fields(data, offset, header)
    end = offset + _BEFORE_PAYLOAD
    if fields is not None:
        end = offset + ITEM_BYTES + fields[1]
        if end > len(data):
            return True
    while offset < end:
        stop = min(end, offset - offset % _SECTOR_BYTES + _SECTOR_BYTES)
        if not any(data[offset:stop]):
            return True
        offset = stop
    # No check of ours is zero: that far the file grew, but the bytes did not come.
    return not any(data[end - _SHORT_CHECK_BYTES : end])


def _whole_item(data: bytes, offset: int, header: Header) -> tuple[Item, int] | None:
    """Return the item at `offset` and how far the file was stable then, or None."""
    fields = _fields(data, offset, header)
    if fields is None:
        return None
    _, length, kind, position, stable = fields
    item = Item(position=position, kind=kind, offset=offset, length=length)
    if item.end > len(data) or payload_at(data[offset : item.end], header) is None:
        return None
    return item, stable


def _fields(data: bytes, offset: int, header: Header) -> tuple[bytes, int, int, int, int] | None:
    before = data[offset : offset + _BEFORE_PAYLOAD]
    if len(before) < _BEFORE_PAYLOAD or before[:4] != _MARK:
        return None
    if before[_ITEM.size :] != _short_check(header.seed, before[: _ITEM.size], offset):
        return None
    fields: tuple[bytes, int, int, int, int] = _ITEM.unpack_from(before)
    return fields


def _next_mark(data: bytes, offset: int) -> int:
    """Return where the next mark stands at or behind `offset`, or the end of the file."""
    found = data.find(_MARK, offset)
    return found if found >= 0 else len(data)


def _check(seed: bytes, data: bytes, length: int) -> bytes:
    return blake2b(data, digest_size=length, key=seed).digest()


def _short_check(seed: bytes, fields: bytes, offset: int) -> bytes:
    return _check(seed, fields + offset.to_bytes(8, "big"), _SHORT_CHECK_BYTES)


def _long_check(seed: bytes, before: bytes, payload: bytes) -> bytes:
    check = blake2b(before, digest_size=_LONG_CHECK_BYTES, key=seed)
    check.update(payload)
    return check.digest()
