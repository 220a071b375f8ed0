# SPDX-License-Identifier: Apache-2.0
"""RLP, as far as transactions need it: byte strings, numbers without leading zeros, lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from tallystick.errors import EncodingError

Item: TypeAlias = bytes | int | Sequence["Item"]


def rlp_encode(item: Item) -> bytes:
    """Return the RLP of bytes, of a number that is not negative, or of a list of such."""
    if isinstance(item, bool):
        raise EncodingError("RLP has no truth values")
    if isinstance(item, int):
        if item < 0:
            raise EncodingError("RLP has no negative numbers")
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _headed(0x80, item)
    return _headed(0xC0, b"".join(map(rlp_encode, item)))


def rlp_texts(data: bytes, count: int) -> list[bytes]:
    """Return the first items of a list that `rlp_encode` wrote; they are no lists themselves."""
    at, found = _body(data, 0)[0], []
    for _ in range(count):
        start, end = _body(data, at)
        found.append(data[start:end])
        at = end
    return found


def _body(data: bytes, at: int) -> tuple[int, int]:
    """Return where the body of the item at a place begins, and where it ends."""
    head = data[at]
    if head < 0x80:
        return at, at + 1
    short = head - (0x80 if head < 0xC0 else 0xC0)
    if short < 56:
        return at + 1, at + 1 + short
    start = at + 1 + short - 55
    return start, start + int.from_bytes(data[at + 1 : start], "big")


def _headed(offset: int, body: bytes) -> bytes:
    if len(body) < 56:
        return bytes((offset + len(body),)) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((offset + 55 + len(size),)) + size + body
