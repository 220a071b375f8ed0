# SPDX-License-Identifier: Apache-2.0
"""The end of a host's transcript: which model asked for a call, and what that cost.

Only the last part of the file is read, however long it is. The format is no contract: what is not
there is not told, and no fault of it stops the hook.
"""

from __future__ import annotations

import os
import stat
from _collections_abc import Iterator

from tallystick.limits import JSON_INTEGER_MAX, TRANSCRIPT_TAIL_BYTES_MAX
from tallystick.model.quick_json import make_decode

_DECODE = make_decode()

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cached_input_tokens",
    "reasoning_output_tokens",
    "total_tokens",
)


def last_lines(path: str, needle: bytes) -> Iterator[dict[str, object]]:
    """Yield the objects of the last lines that hold these bytes, the last line first."""
    for line in reversed(_tail(path).split(b"\n")):
        if needle in line:
            try:
                value = _DECODE(line.decode("utf-8"))
            except (ValueError, RecursionError):
                continue  # cut off, or no JSON at all
            if type(value) is dict:
                yield value


def counts_of(usage: object) -> dict[str, object] | None:
    """Return the counts of tokens that a usage has, and nothing else of it."""
    if type(usage) is not dict:
        return None
    found: dict[str, object] = {
        name: value
        for name in _COUNTS
        if type(value := usage.get(name)) is int and 0 <= value <= JSON_INTEGER_MAX
    }
    return found or None


def _tail(path: str) -> bytes:
    """Return the end of a regular file; nothing where there is none, or where it can't be read."""
    try:
        # Not waiting for a pipe that somebody put in its place.
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return b""
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            return b""
        start = max(found.st_size - TRANSCRIPT_TAIL_BYTES_MAX, 0)
        return os.pread(opened, TRANSCRIPT_TAIL_BYTES_MAX, start)
    except OSError:
        return b""
    finally:
        os.close(opened)
