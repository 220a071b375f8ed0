# SPDX-License-Identifier: Apache-2.0
"""Promises that somebody was given: what a monitor holds a log to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tallystick.crypto.merkle import leaf_hash
from tallystick.crypto.multibase import b64_decode
from tallystick.durable.file import FilePath, read_bounded, shown
from tallystick.errors import LogFormatError, RefusedInput, UnreadableError
from tallystick.limits import ANSWER_BODY_BYTES_MAX, MONITOR_PROMISES_MAX
from tallystick.model.log_entry import parse_entry
from tallystick.model.promise import open_promise
from tallystick.model.sheet import Sheet


class WatchedPromise(msgspec.Struct, frozen=True, kw_only=True):
    """One promise that holds for one leaf."""

    file: bytes
    leaf: bytes
    index: int


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    entry: str
    promise: str


def watched_promise(file: bytes, entry: bytes, sheet: Sheet) -> WatchedPromise:
    """Return a promise about an entry, checked, or raise `LogFormatError`."""
    promise = open_promise(file, sheet)
    leaf = leaf_hash(entry)
    parse_entry(entry)
    if not promise.holds(leaf):
        raise LogFormatError("promise of another entry")
    return WatchedPromise(file=file, leaf=leaf, index=promise.index)


def promise_in_answer(body: bytes, sheet: Sheet) -> WatchedPromise:
    """Return the promise in the body of a 201 or a 409, as a collector gave it."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
        return watched_promise(answer.promise.encode(), b64_decode(answer.entry), sheet)
    except msgspec.MsgspecError as fault:
        raise LogFormatError(f"not the answer of a collector: {fault}") from None


def promises_in(folder: FilePath, sheet: Sheet) -> Iterator[WatchedPromise]:
    """Yield the promises in a folder's `*.json` files, each the body of a 201."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError as error:
        raise UnreadableError(f"{shown(folder)} could not be read: {error.strerror}") from error
    if len(names) > MONITOR_PROMISES_MAX:
        raise UnreadableError(f"{shown(folder)} holds over {MONITOR_PROMISES_MAX} promises")
    for name in names:
        path = Path(os.fspath(folder)) / name
        try:
            yield promise_in_answer(read_bounded(path, ANSWER_BODY_BYTES_MAX), sheet)
        except RefusedInput as fault:
            raise UnreadableError(f"{shown(path)}: {fault}") from None
