# SPDX-License-Identifier: Apache-2.0
"""Bundles and keys as the command line names them, and the bar that long work shows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, cast

from tallystick.cli.arguments import STDIN, standard_input
from tallystick.cli.output import Exit, Stop, error_is_terminal
from tallystick.durable.file import reason_of, shown
from tallystick.errors import UnreadableError
from tallystick.model.bundle import BundleReader, exactly
from tallystick.model.bundle_head import BundleHead, read_head

_WANTED_ADDRESS: Final = "an EVM address is 0x and 40 hex digits, with the right capitals or none"
# A bar that comes and goes within a second is only noise.
_BAR_AFTER_SECONDS: Final = 1.0
_BAR_EVERY_SECONDS: Final = 0.1


@contextmanager
def opened_bundle(path: str) -> Iterator[BinaryIO]:
    """Yield a bundle as a stream, or stop: without it the question is no question."""
    if path == STDIN:
        yield cast("BinaryIO", _Named(standard_input(), "standard input"))
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115  # closed below
    except (OSError, ValueError) as error:
        why = f"{shown(path)} could not be read: {reason_of(error)}"
        raise Stop(Exit.UNCHECKED, why) from None
    with stream:
        yield cast("BinaryIO", _Named(stream, shown(path)))


class _Named:
    """A stream that says what it is where it can't be read: a fault may come at any byte."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def read(self, size: int) -> bytes:
        """Return up to so many bytes."""
        try:
            return self._stream.read(size)
        except OSError as error:
            why = f"{self._name} could not be read: {reason_of(error)}"
            raise UnreadableError(why) from error

    def tell(self) -> int:
        """Return how far it was read."""
        return self._stream.tell()


def head_of(stream: BinaryIO, path: str) -> BundleHead:
    """Return what stands before the artefacts; a refusal ends the command, and names the file."""
    with naming(path):
        return read_head(BundleReader(exactly(stream.read)))


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Say in refusals which file they are about."""
    from tallystick.errors import RefusedInput

    try:
        yield
    except RefusedInput as fault:
        name = "standard input" if path == STDIN else shown(path)
        raise Stop(Exit.REFUSED, f"{name}: {fault}") from None


def signers_from(keys: Sequence[str], trust: str | None) -> Any:
    """Return whose signatures count: PEM files, did:keys, and addresses of EVM accounts."""
    from tallystick.cli.verification import trust_in
    from tallystick.verify.manifest_signers import Signers

    addresses = [key for key in keys if key[:2] in ("0x", "0X")]
    others = [key for key in keys if key[:2] not in ("0x", "0X")]
    return Signers(
        trust=trust_in(others, trust), addresses=tuple(_address(one) for one in addresses)
    )


def _address(text: str) -> bytes:
    from tallystick.crypto.secp256k1 import read_address
    from tallystick.errors import MissingExtraError, RefusedInput

    try:
        return read_address(text)
    except MissingExtraError as fault:
        raise Stop(Exit.UNCHECKED, str(fault)) from None
    except RefusedInput as fault:
        raise Stop(Exit.USAGE, f"--key: {text}: {fault}; {_WANTED_ADDRESS}") from None


@contextmanager
def bar(
    total_bytes: int, stream: BinaryIO | None = None, *, of: str = "files"
) -> Iterator[Callable[[int, int], None] | None]:
    """Yield what shows files and bytes on standard error, once the work has proved to be long.

    Where the total is a stream's, it counts how far that was read: it holds more than files.
    """
    if not error_is_terminal():
        yield None
        return
    started = shown_at = time.monotonic()
    progress: Any = None

    def show(files: int, done: int) -> None:
        nonlocal progress, shown_at
        now = time.monotonic()
        if now - shown_at < _BAR_EVERY_SECONDS or now - started < _BAR_AFTER_SECONDS:
            return
        shown_at = now
        if progress is None:
            progress = _new_bar(total_bytes, of)
        if stream is not None and total_bytes:
            done = stream.tell()
        progress.update(progress.task_ids[0], completed=done, files=files)

    try:
        yield show
    finally:
        if progress is not None:
            progress.stop()


def size_of(path: str) -> int:
    """Return the size of a file; 0 where it is not known beforehand."""
    try:
        return 0 if path == STDIN or os.path.isdir(path) else os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _new_bar(total: int, of: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    made = Progress(
        BarColumn(),
        TextColumn(f"{{task.fields[files]}} {of}", markup=False),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    made.add_task("", total=total or None, files=0)
    made.start()
    return made
