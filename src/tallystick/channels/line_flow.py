# SPDX-License-Identifier: Apache-2.0
"""Bytes of a pipe as lines, and lines into a pipe; nothing is held but one line of bounded length.

A line that is over the limit goes by in parts: dropped, or passed on as it comes, and known in the
end by its size and digest.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from hashlib import sha256
from threading import RLock
from typing import Any, Final

from tallystick.limits import MESSAGE_BYTES_MAX

_READ_BYTES: Final = 1 << 16


class Lines:
    """Puts what is read together to whole lines, each with its line feed."""

    def __init__(
        self,
        *,
        overlong: Callable[[int, str], None],
        part: Callable[[bytes, bool], None] | None = None,
        limit: int = MESSAGE_BYTES_MAX,
    ) -> None:
        """Take who hears of a line over the limit, and who takes its parts (and which is last)."""
        self._overlong = overlong
        self._part = part
        self._limit = limit
        # One buffer: what comes byte by byte must not cost forty times its size.
        self._held = bytearray()
        self._hash: Any = None
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the lines that are whole now."""
        if self._hash is not None:
            data = self._go_by(data)
        end = data.rfind(b"\n") + 1
        if not end:
            self._hold(data)
            return []
        whole = data[:end]
        if self._held:
            whole = bytes(self._held) + whole
            self._held = bytearray()
        self._hold(data[end:])
        return whole.splitlines(keepends=True) if b"\r" not in whole else _split(whole)

    def last(self) -> bytes:
        """Return what stands behind the last line feed, at the end of all."""
        if self._hash is not None:
            if self._part is not None:
                self._part(b"", True)
            self._end()
        rest = bytes(self._held)
        self._held = bytearray()
        return rest

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._held += data
        if len(self._held) > self._limit:
            begun = bytes(self._held)
            self._held = bytearray()
            self._hash, self._size = sha256(), 0
            self._go_by(begun)

    def _go_by(self, data: bytes) -> bytes:
        """Let a part of a line that is over the limit pass; return what is behind its end."""
        assert self._hash is not None
        end = data.find(b"\n") + 1
        part = data[:end] if end else data
        self._hash.update(part)
        self._size += len(part)
        if self._part is not None:
            self._part(part, bool(end))
        if not end:
            return b""
        self._end()
        return data[end:]

    def _end(self) -> None:
        assert self._hash is not None
        digest = f"sha256:{self._hash.hexdigest()}"
        self._hash = None
        self._overlong(self._size, digest)


def _split(whole: bytes) -> list[bytes]:
    # A carriage return ends no line here: who refuses it has to see it.
    return [line + b"\n" for line in whole[:-1].split(b"\n")]


class Outlet:
    """Writes whole lines to a pipe, from any thread; a pipe that nobody reads is left alone."""

    def __init__(self, descriptor: int, on_gone: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_gone = on_gone
        self._lock = RLock()
        self.is_gone = False

    def write(self, data: bytes) -> None:
        """Return when the pipe has taken all: who reads slowly holds up who writes, and no more."""
        with self._lock:
            self._write(data)

    def write_part(self, data: bytes, is_last: bool) -> None:
        """Write a part of a line; no other line comes in between until the last one is written."""
        self._lock.acquire()
        self._write(data)
        if is_last:
            while self._lock._is_owned():  # type: ignore[attr-defined]  # once for each part
                self._lock.release()

    def close(self) -> None:
        """Let the other end know that nothing more will come."""
        with self._lock:
            if not self.is_gone:
                self.is_gone = True
                os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self.is_gone:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select((), (self._descriptor,), ())
            except OSError:
                self.is_gone = True
                self._on_gone()


class Inlet:
    """Reads from a pipe, into one buffer: a fresh one for each read would fray the heap."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray(_READ_BYTES)

    def read(self) -> bytes:
        """Return what can be read, or nothing at the end; waits also where the pipe would not."""
        while True:
            try:
                size = os.readv(self._descriptor, (self._buffer,))
            except BlockingIOError:
                select.select((self._descriptor,), (), ())
            except OSError:
                return b""
            else:
                return bytes(memoryview(self._buffer)[:size])
