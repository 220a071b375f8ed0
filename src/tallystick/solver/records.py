# SPDX-License-Identifier: Apache-2.0
"""Small append-only files of one fact per line, as the solver keeps them.

What was appended survives a power cut; a last line that a crash tore off was never acknowledged
and is not read. Every line begins with its time, so that a torn one is known again.
"""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from tallystick.durable.file import FilePath, read_bounded, reason_of, shown
from tallystick.durable.lines import LineFile
from tallystick.errors import RunError
from tallystick.limits import SOLVER_RECORD_TAIL_BYTES, SOLVER_RECORDS_BYTES_MAX

T = TypeVar("T", bound=msgspec.Struct)

# No sorting: a line has to begin with its first member, the time.
_ENCODE = msgspec.json.Encoder().encode


def append_fact(path: FilePath, record: msgspec.Struct) -> None:
    """Append one fact and return when it is on stable storage."""
    file = LineFile(path)
    try:
        file.append(_ENCODE(record))
    finally:
        file.close()


def read_facts(path: FilePath, kind: type[T]) -> list[T]:
    """Return all facts of a file; one that is not there holds none."""
    if not os.path.lexists(path):
        return []
    return _decoded(path, read_bounded(path, SOLVER_RECORDS_BYTES_MAX), kind)


def last_fact(path: FilePath, kind: type[T]) -> T | None:
    """Return the last fact of a file of any length."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - SOLVER_RECORD_TAIL_BYTES))
            tail = file.read()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise RunError(f"{shown(path)} can't be read: {reason_of(fault)}") from fault
    if size > len(tail):
        tail = tail.partition(b"\n")[2]
    found = _decoded(path, tail, kind)
    return found[-1] if found else None


def _decoded(path: FilePath, data: bytes, kind: type[T]) -> list[T]:
    *lines, last = data.split(b"\n")
    found = [_one(path, line, kind) for line in lines]
    if last:
        try:
            found.append(_one(path, last, kind))
        except RunError:
            pass  # torn off by a crash: whoever wrote it was never told that it is there
    return found


def _one(path: FilePath, line: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise RunError(f"{shown(path)} holds a line that is not one of ours") from None
