# SPDX-License-Identifier: Apache-2.0
"""Splits what is to be verified into single receipts, in bounded memory, and reads it twice.

Takes bytes, a dict, a receipt, a binary stream, or an iterable of these. Bytes and streams hold one
receipt, an array of receipts, or JSON Lines. Splitting an array finds the bytes of each element
without interpreting them: what a receipt says is read by the strict parser alone.
"""

from __future__ import annotations

import errno
import io
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Literal, cast

import msgspec

from tallystick.errors import MalformedInput
from tallystick.limits import RECEIPT_BYTES_MAX
from tallystick.model.reader import Fault
from tallystick.model.receipt import Receipt

Format = Literal["auto", "lines"]


class Noted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A receipt's bytes, and a fault of the place where they lay, of which they know nothing."""

    body: bytes
    fault: Fault


Raw = bytes | Mapping[str, object] | Receipt | Noted | MalformedInput

_BLANK = b" \t\r\n"
_CHUNK_BYTES = 64 * 1024
_PAUSED = "the stream is non-blocking and has no data yet; give one that waits"
# A whole string, a bracket, a comma; or a quote alone: a string that the buffer cuts off.
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]|"', re.DOTALL)


class Source:
    """A named piece of input."""

    def __init__(
        self,
        data: object,
        *,
        name: str = "",
        form: Format = "auto",
        whole: bool | frozenset[str] = False,
    ) -> None:
        self.name = name
        # Whether all that its receipts speak of has to be there, as in the store of a daemon: of
        # all of its chains, or of those that are named.
        self.whole = whole
        self._form = form
        self._stream: BinaryIO | None = None
        self._start = 0
        self._items: Iterable[Raw] = ()
        self.is_rereadable = True
        if isinstance(data, (bytes, bytearray, memoryview)):
            self._stream = io.BytesIO(bytes(data))
        elif hasattr(data, "read") and not isinstance(data, io.TextIOBase):
            self._stream = cast("BinaryIO", data)
            self.is_rereadable = self._stream.seekable()
            self._start = self._stream.tell() if self.is_rereadable else 0
        elif isinstance(data, (Mapping, Receipt)):
            self._items = [data]
        elif isinstance(data, (str, io.TextIOBase)) or not isinstance(data, Iterable):
            raise TypeError(
                "give bytes, a dict, a receipt, a binary stream or an iterable of these, "
                f"not {type(data).__name__}; for a file, open it in binary mode"
            )
        else:
            self._items = data
            self.is_rereadable = iter(data) is not data

    def __iter__(self) -> Iterator[Raw]:
        if self._stream is None:
            yield from self._items
            return
        try:
            if self.is_rereadable:
                self._stream.seek(self._start)
            yield from _split(self._stream, self._form)
        except Exception as fault:  # noqa: BLE001  # zlib, TLS and HTTP streams have errors of their own
            why = fault.strerror if isinstance(fault, OSError) else None
            yield MalformedInput("SOURCE_UNREADABLE", why or type(fault).__name__)


class Input:
    """Several sources, one after another; knows where each receipt came from."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)
        self._starts: list[int] = []
        # Where there was a source of which nothing could be read: no receipt stands there.
        self._unread: set[int] = set()
        self._is_unnamed = len(self._sources) == 1 and not self._sources[0].name

    def __iter__(self) -> Iterator[Raw]:
        self._starts = []
        self._unread = set()
        count = 0
        for source in self._sources:
            self._starts.append(count)
            for raw in source:
                if count == self._starts[-1] and is_unreadable(raw):
                    self._unread.add(count)
                count += 1
                yield raw

    @property
    def is_rereadable(self) -> bool:
        """Whether a second pass gives the same receipts."""
        return all(source.is_rereadable for source in self._sources)

    def where(self, index: int) -> str:
        """Return the place of the receipt with that index (from 0) for a finding.

        What could not be read at all has no place in it: then it is the source.
        """
        if self._is_unnamed:
            return "input" if index in self._unread else f"receipt[{index}]"
        number = bisect_right(self._starts, index) - 1
        if index in self._unread:
            return self._sources[number].name
        return f"{self._sources[number].name}:receipt[{index - self._starts[number]}]"

    def of_whole(self, index: int, chain_id: str) -> bool:
        """Whether the receipt with that index is of a chain whose source has to be whole."""
        whole = self._sources[bisect_right(self._starts, index) - 1].whole
        return whole if isinstance(whole, bool) else chain_id in whole

    @property
    def has_store(self) -> bool:
        """Whether there is a source of which each chain is one of a store that has to be whole."""
        return any(source.whole is True for source in self._sources)

    @property
    def has_whole(self) -> bool:
        """Whether there is a source that has to be whole."""
        return any(source.whole for source in self._sources)


def is_unreadable(raw: Raw) -> bool:
    """Whether this stands for what could not be read, and not for a receipt."""
    return isinstance(raw, MalformedInput) and raw.code == "SOURCE_UNREADABLE"


def _read(stream: BinaryIO, size: int) -> bytes:
    """Read up to `size` bytes; none means that the stream has ended, not that it pauses."""
    part = cast("bytes | None", stream.read(size))
    if part is None:
        raise BlockingIOError(errno.EAGAIN, _PAUSED)
    return part


def _expect_end(stream: BinaryIO) -> None:
    """Raise unless the stream has ended: `readline` gives as little when it only pauses."""
    if _read(stream, 1):
        raise BlockingIOError(errno.EAGAIN, _PAUSED)


def _split(stream: BinaryIO, form: Format) -> Iterator[Raw]:
    head = b""
    while not head.strip(_BLANK):
        chunk = stream.readline(RECEIPT_BYTES_MAX + 2)
        if not chunk:
            _expect_end(stream)
            return
        head = chunk
    if form == "lines":
        yield from _lines(head, stream)
    elif head.lstrip(_BLANK).startswith(b"["):
        yield from _array(head.lstrip(_BLANK)[1:], stream)
    elif _is_whole(head):
        yield from _lines(head, stream)
    else:
        yield _document(head, stream)


def _document(head: bytes, stream: BinaryIO) -> Raw:
    """Return all that the stream holds, without the blanks around it."""
    parts, size = [head], len(head)
    while size <= RECEIPT_BYTES_MAX and (part := _read(stream, RECEIPT_BYTES_MAX + 1 - size)):
        parts.append(part)  # an unbuffered stream gives less than it is asked for
        size += len(part)
    document = b"".join(parts).strip(_BLANK)
    is_over_limit = len(document) > RECEIPT_BYTES_MAX
    while not is_over_limit and (rest := _read(stream, _CHUNK_BYTES)):
        is_over_limit = bool(rest.strip(_BLANK))
    if is_over_limit:
        return MalformedInput("MALFORMED_SIZE", f"over {RECEIPT_BYTES_MAX} bytes")
    return document


def _is_whole(line: bytes) -> bool:
    """Whether the first line holds all brackets that it opens: then the input is JSON Lines."""
    if not line.rstrip(_BLANK).endswith(b"}"):
        return False
    depth = 0
    for token in _TOKENS.finditer(line):
        if token.group() in (b"{", b"["):
            depth += 1
        elif token.group() in (b"}", b"]"):
            depth -= 1
        elif token.group() == b'"':
            return False  # a string that does not end
    return depth == 0


def _lines(line: bytes, stream: BinaryIO) -> Iterator[Raw]:
    while line:
        if len(line) > RECEIPT_BYTES_MAX and not line.endswith(b"\n"):
            yield MalformedInput("MALFORMED_SIZE", f"a line over {RECEIPT_BYTES_MAX} bytes")
            while line and not line.endswith(b"\n"):
                line = stream.readline(_CHUNK_BYTES)
        else:
            if not line.endswith(b"\n"):
                _expect_end(stream)
            stripped = line.strip(_BLANK)
            if stripped:
                yield stripped
        line = stream.readline(RECEIPT_BYTES_MAX + 2)
    _expect_end(stream)


def _array(buffer: bytes, stream: BinaryIO) -> Iterator[Raw]:
    """Yield the bytes of each element of an array whose opening bracket has been read."""
    start = scanned = depth = count = 0
    while True:
        for token in _TOKENS.finditer(buffer, scanned):
            text = token.group()
            if text == b'"':
                scanned = token.start()
                break
            scanned = token.end()
            if text in (b"{", b"["):
                depth += 1
            elif depth and text in (b"}", b"]"):
                depth -= 1
            elif depth == 0 and text in (b",", b"]"):
                element = buffer[start : token.start()].strip(_BLANK)
                if len(element) > RECEIPT_BYTES_MAX:
                    break
                if element or count or text == b",":
                    yield element
                count += 1
                start = scanned
                if text == b"]":
                    yield from _after_array(buffer[start:], stream)
                    return
        if _is_over_limit(buffer, start):
            yield MalformedInput("MALFORMED_SIZE", f"an element over {RECEIPT_BYTES_MAX} bytes")
            return
        chunk = _read(stream, _CHUNK_BYTES)
        if not chunk:
            yield MalformedInput("MALFORMED_JSON", "the array is not closed")
            return
        buffer, scanned, start = buffer[start:] + chunk, scanned - start, 0


def _is_over_limit(buffer: bytes, start: int) -> bool:
    """Whether an element that may still go on is too long, however the stream cut it into chunks.

    Blanks around it do not count, up to a bound that keeps the buffer small.
    """
    size = len(buffer) - start
    return size > RECEIPT_BYTES_MAX and (
        size > 2 * RECEIPT_BYTES_MAX or len(buffer[start:].strip(_BLANK)) > RECEIPT_BYTES_MAX
    )


def _after_array(rest: bytes, stream: BinaryIO) -> Iterator[Raw]:
    while True:
        if rest.strip(_BLANK):
            yield MalformedInput("MALFORMED_TRAILING_DATA", "something follows the array")
            return
        rest = _read(stream, _CHUNK_BYTES)
        if not rest:
            return
