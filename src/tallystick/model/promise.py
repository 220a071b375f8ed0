# SPDX-License-Identifier: Apache-2.0
"""Promises: a log's signed word that entries will stand at their indexes, and by when.

    tally-promise/v1
    log example.com/log
    range 4 8
    root 6ep91A4NFJ3oWJdAfEnW5KjpCu5455KLFSwJZFRnz/o=
    time 1700000001000
    by 1700000006000

This note says: the entries [4, 8) are the leaves of the tree with this root, in every checkpoint of
size above their index; and no checkpoint with a log time from `by` on is smaller than 8. One note
serves all entries that became durable together, so each gets it with its own path to the root: the
promise file.

    tally-promise-proof/v1
    index 5
    TWFeZdU7jgKxHj9SKE+hHYCKSYtlDVMH9TZ3KwkZvUQ=
    J4Q7JGOAOZcjLPO6LVGXdXmLFfT9tKPOuQucfS5dwHY=

    (the note)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallystick.crypto.merkle import path_len, verify_inclusion
from tallystick.crypto.multibase import b64_encode
from tallystick.crypto.note import open_note
from tallystick.errors import LogFormatError
from tallystick.limits import LOG_PROOF_BYTES_MAX
from tallystick.model.log_text import (
    after,
    hash_in,
    hash_line,
    lines_of,
    number_in,
    path_from,
    split_proof,
)
from tallystick.model.sheet import Sheet

_FIRST_LINE: Final = "tally-promise/v1"
_FILE_FIRST_LINE: Final = "tally-promise-proof/v1"
_FILE_HEAD: Final = f"{_FILE_FIRST_LINE}\nindex %d\n".encode()
_FILE_TEXT: Final = b'"%b%%b\\n%%b"' % _FILE_HEAD.replace(b"\n", rb"\n")


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a log promises of entries [start, stop)."""

    origin: str
    start: int
    stop: int
    root: bytes  # of their leaf hashes, as a tree of its own
    time_ms: int
    by_ms: int

    def encode(self) -> str:
        """Return the text that is signed."""
        lines = (
            _FIRST_LINE,
            f"log {self.origin}",
            f"range {self.start} {self.stop}",
            f"root {b64_encode(self.root)}",
            f"time {self.time_ms}",
            f"by {self.by_ms}",
        )
        return "".join(f"{line}\n" for line in lines)


class PromiseFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is given and keeps: its index, its path, and the note. Nothing checked."""

    index: int
    path: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return encode_promise_file(self.index, self.path, self.note)


class SignedPromise(msgspec.Struct, frozen=True, kw_only=True):
    """A promise whose signature was checked, with the place in it that a file names."""

    promise: Promise
    index: int
    path: tuple[bytes, ...]

    def holds(self, leaf: bytes) -> bool:
        """Whether this leaf hash is the one that was promised at the index."""
        promise = self.promise
        at, size = self.index - promise.start, promise.stop - promise.start
        return verify_inclusion(leaf, at, size, self.path, promise.root)


def encode_promise_file(index: int, path: Sequence[bytes], note: bytes) -> bytes:
    """Return the bytes of a promise file."""
    return promise_file(index, b"".join(map(hash_line, path)), note)


def promise_file(index: int, path_lines: bytes, note: bytes) -> bytes:
    """Return the bytes of a promise file whose path is spelled already: one for each receipt."""
    return _FILE_HEAD % index + path_lines + b"\n" + note


def promise_file_text(index: int, path_text: bytes, note_text: bytes) -> bytes:
    """Return the same as a JSON text; path and note are spelled so already."""
    return _FILE_TEXT % (index, path_text, note_text)


def parse_promise_file(data: bytes) -> PromiseFile:
    """Return the parts of a promise file."""
    lines, note = split_proof(data, LOG_PROOF_BYTES_MAX, "promise file")
    if len(lines) < 2 or lines[0] != _FILE_FIRST_LINE:
        raise LogFormatError(f"promise file does not begin with {_FILE_FIRST_LINE} and an index")
    index = number_in(after("index", lines[1]), "index of the promise file")
    return PromiseFile(index=index, path=path_from(lines[2:], "promise file"), note=note)


def parse_promise(text: str) -> Promise:
    """Return what the text of a note says as a promise."""
    lines = lines_of(text, 6, "promise")
    if lines[0] != _FIRST_LINE:
        raise LogFormatError(f"promise does not begin with {_FIRST_LINE}")
    start, separator, stop = after("range", lines[2]).partition(" ")
    if not separator:
        raise LogFormatError("range of the promise is not two numbers")
    promise = Promise(
        origin=after("log", lines[1]),
        start=number_in(start, "range of the promise"),
        stop=number_in(stop, "range of the promise"),
        root=hash_in(after("root", lines[3]), "root of the promise"),
        time_ms=number_in(after("time", lines[4]), "time of the promise"),
        by_ms=number_in(after("by", lines[5]), "by of the promise"),
    )
    if promise.start >= promise.stop:
        raise LogFormatError("range of the promise is empty")
    return promise


def open_promise(data: bytes, sheet: Sheet) -> SignedPromise:
    """Return the promise of a file, signed by the promise key of the sheet, or raise.

    Whether it holds for a leaf is a question of its own: `SignedPromise.holds`.
    """
    file = parse_promise_file(data)
    promise = parse_promise(open_note(file.note, [sheet.promise_key]).text)
    if promise.origin != sheet.origin:
        raise LogFormatError("promise is of another origin than its sheet")
    if not 0 <= promise.by_ms - promise.time_ms <= sheet.max_delay_ms:
        raise LogFormatError("promise is due before its time, or later than the sheet allows")
    if not promise.start <= file.index < promise.stop:
        raise LogFormatError("index of the promise file is outside of the promised range")
    if len(file.path) != path_len(file.index - promise.start, promise.stop - promise.start):
        raise LogFormatError("path of the promise file is not as long as its place demands")
    return SignedPromise(promise=promise, index=file.index, path=file.path)
