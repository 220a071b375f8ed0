# SPDX-License-Identifier: Apache-2.0
"""The receipts that the arguments name: files, pipes, standard input and collectors.

What can't be read twice is copied into a temporary file without a name first, since the verifier
may need a second pass. Files are opened when their turn comes and closed at their end, so their
number has no limit. What can't be read becomes a finding: other paths are still looked at.
"""

from __future__ import annotations

import errno
import os
import re
import select
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, Protocol, cast

import click

from tallystick.cli.arguments import STDIN
from tallystick.cli.output import Exit, Stop
from tallystick.config import read
from tallystick.errors import RefusedInput
from tallystick.model.reader import Fault
from tallystick.verify.findings import CODES
from tallystick.verify.receipt import Examined, examine
from tallystick.verify.source import Input, Source

_COPY_BYTES: Final = 1024 * 1024
# The beginnings of a collector's address: its receipts are read as those of a file.
_URL: Final = ("http://", "https://")


class InputFile:
    """One path as a stream that can always be read again from its beginning."""

    def __init__(self, path: str) -> None:
        """Remember the path; it is opened by the first read."""
        self.path = path
        self.bytes_read = 0
        self._stream: BinaryIO | None = None
        self._copy: BinaryIO | None = None
        self._stdin_start: int | None = None
        self._has_ended = False

    def seekable(self) -> bool:
        """Return True: pipes are copied."""
        return True

    def tell(self) -> int:
        """Return the place where reading begins."""
        return 0

    def seek(self, offset: int) -> int:
        """Go back to the beginning, the only place that is ever asked for."""
        assert offset == 0
        self._leave()
        self._has_ended = False
        return 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        return b"" if self._has_ended else self._note(self._opened().read(size))

    def readline(self, size: int) -> bytes:
        """Return the rest of the line, or its next `size` bytes."""
        return b"" if self._has_ended else self._note(self._opened().readline(size))

    def size(self) -> int:
        """Return the size of a regular file; of others it is not known, and 0."""
        try:
            return 0 if self.path == STDIN else os.stat(self.path).st_size
        except (OSError, ValueError):
            return 0

    def close(self) -> None:
        """Give back what is held; nothing can be read any more."""
        self._leave()
        self._has_ended = True
        if self._copy is not None:
            self._copy.close()

    def _note(self, data: bytes) -> bytes:
        self.bytes_read += len(data)
        if not data:
            self._leave()
            self._has_ended = True
        return data

    def _opened(self) -> BinaryIO:
        if self._stream is None:
            if self._copy is not None:
                self._copy.seek(0)
                self._stream = self._copy
            else:
                self._stream = self._open()
        return self._stream

    def _open(self) -> BinaryIO:
        stream = _stdin() if self.path == STDIN else _file(self.path)
        if stream.seekable():
            if self.path == STDIN:
                self._stdin_start = stream.seek(
                    stream.tell() if self._stdin_start is None else self._stdin_start
                )
            return stream
        self._copy = tempfile.TemporaryFile(prefix="tally-")  # noqa: SIM115  # lives as we do
        try:
            _copy(stream, self._copy)
        except OSError as fault:
            if self.path.startswith(_URL):
                raise
            raise OSError(fault.errno, f"could not be copied to a file: {fault.strerror}") from None
        finally:
            if self.path != STDIN:
                stream.close()
        self._copy.seek(0)
        return self._copy

    def _leave(self) -> None:
        if self._stream not in (None, self._copy) and self.path != STDIN:
            self._stream.close()
        self._stream = None


class Reads(Protocol):
    """What is read, for who shows how far it is."""

    bytes_read: int

    def size(self) -> int:
        """Return how many bytes there are, as far as that is known."""
        ...


def paths_of(paths: tuple[str, ...], store: str | None) -> tuple[str, ...]:
    """Return all paths that were given: a store stands for itself and what is beside it."""
    if store is not None:
        from tallystick.cli.ledger_input import with_imported

        paths = (*paths, *with_imported(store))
    if not paths:
        raise click.UsageError("Missing argument 'PATH...'.")
    return paths


@contextmanager
def opened_sources(
    paths: Sequence[str], *, is_judged: bool = False, called: Callable[[str], str] = str
) -> Iterator[tuple[list[Source], list[Reads]]]:
    """Yield a source for each path, and the files behind them; a daemon's store is one, too.

    `is_judged`: all that is read gets verified by who asks; `called`: how reports name a path.
    """
    files = [_file_of(path, is_judged=is_judged, called=called) for path in paths]
    sources = [
        Source(
            one,
            name=_name_of(called(one.path)),
            form="lines" if one.path.endswith(".jsonl") or _is_list(one.path) else "auto",
            whole=not isinstance(one, InputFile),
        )
        for one in files
    ]
    try:
        yield sources, list(files)
    finally:
        for one in files:
            one.close()


def examined_receipts(paths: Sequence[str]) -> Iterator[tuple[str, Examined]]:
    """Yield the place of each receipt and what it says; no signature is checked."""
    with opened_sources(paths) as (sources, _):
        stream = Input(sources)
        for index, raw in enumerate(stream):
            yield stream.where(index), examine(raw)


class Damage:
    """What could not be read as receipts: the first is told, the others are counted."""

    def __init__(self) -> None:
        self._first: dict[Exit, str] = {}
        self._count = 0

    def found_in(self, examined: Examined, where: str) -> bool:
        """Note what is wrong with a receipt that does not even hold an action and a link.

        What is wrong with the place where it lay is noted, too, and says nothing against it.
        """
        for fault in examined.faults:
            if fault.code == "STORE_COLUMN":
                self._note(fault, where)
        receipt = examined.receipt
        subject = receipt.credentialSubject if receipt is not None else None
        if subject is not None and None not in (subject.action, subject.chain, subject.outcome):
            return False
        fault = next(
            (fault for fault in examined.faults if fault.where.startswith("/credentialSubject")),
            examined.faults[0],
        )
        self._note(fault, where)
        return True

    def note(self, code: Exit, line: str) -> None:
        """Note one thing that went wrong."""
        self._count += 1
        self._first.setdefault(code, line)

    def stop(self, *codes: Exit) -> None:
        """End the command when anything was noted: refused beats could-not-check.

        Where codes are given, the others end nothing.
        """
        for code in codes or (Exit.REFUSED, Exit.UNCHECKED):
            if code in self._first:
                others = f" ({self._count - 1} more like this)" if self._count > 1 else ""
                raise Stop(code, self._first[code] + others)

    def _note(self, fault: Fault, where: str) -> None:
        code = CODES[fault.code]
        self.note(
            Exit.REFUSED if code.severity == "refused" else Exit.UNCHECKED,
            f"{where}{fault.where}: {fault.message}. {code.remedy}",
        )


def _file_of(path: str, *, is_judged: bool, called: Callable[[str], str]) -> Any:
    if path != STDIN and not path.startswith(_URL):
        from tallystick.cli.ledger_input import LedgerInput, begins, is_store
        from tallystick.model.bundle import BEGINNINGS

        if is_store(path):
            return LedgerInput(path, is_judged=is_judged, called=called)
        if begins(path, BEGINNINGS):
            raise Stop(Exit.USAGE, f"{path} is a bundle of evidence: see `tally evidence --help`")
    elif path != STDIN and "@" in re.split(r"[/?#\\]", path.partition("://")[2], maxsplit=1)[0]:
        # Refused before any report names what it is about by its address.
        raise Stop(
            Exit.USAGE,
            "a collector's URL that holds a user name or a password is not used, and not shown; "
            "set AGENTRECEIPTS_COLLECTOR_TOKEN",
        )
    return InputFile(path)


def _is_list(path: str) -> bool:
    """Whether a collector's address gives lines, and not one receipt as it was received."""
    return path.startswith(_URL) and "/receipts/" not in path


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise OSError(errno.EBADF, "standard input is closed")
    return sys.stdin.buffer


def _file(path: str) -> BinaryIO:
    if path.startswith(_URL):
        from tallystick.store.remote import open_remote

        try:
            return open_remote(path, read("AGENTRECEIPTS_COLLECTOR_TOKEN") or None)
        except RefusedInput as fault:
            raise OSError(errno.EINVAL, str(fault)) from None
    try:
        return open(path, "rb")
    except ValueError as fault:
        raise OSError(errno.EINVAL, str(fault)) from None


def _copy(stream: BinaryIO, copy: BinaryIO) -> None:
    """Copy a pipe to its end; who made it non-blocking is no reason to stop where it pauses."""
    while (part := cast("bytes | None", stream.read(_COPY_BYTES))) != b"":
        if part is None:
            select.select([stream], [], [])
        else:
            copy.write(part)


def _name_of(path: str) -> str:
    """Return how reports name a path: bytes that are no UTF-8 as escapes."""
    if path == STDIN:
        return "stdin"
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
