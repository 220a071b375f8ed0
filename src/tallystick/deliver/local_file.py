# SPDX-License-Identifier: Apache-2.0
"""Delivers to a file of this machine: JSON Lines that `tally verify` reads as they are."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tallystick.durable.file import Durable, FilePath
from tallystick.durable.lines import LineFile
from tallystick.errors import DurableError, EmitError
from tallystick.model.receipt import Receipt


class FileEmitter:
    """Appends each receipt as one line; returns when it is on stable storage.

    Several processes may share the file: each writes a chain of its own.
    """

    acknowledges = True

    def __init__(self, path: FilePath, *, durable: Durable | None = None) -> None:
        """Open or create the file, readable by its owner alone."""
        self._lines = LineFile(path, durable=durable)

    @property
    def path(self) -> str:
        """Where the receipts go."""
        return self._lines.path

    def emit(self, receipt: Receipt, /) -> None:
        """Append the receipt; the last one again, after an interrupt, is there once."""
        try:
            self._lines.append(receipt.to_json(), once=True)
        except DurableError as fault:
            raise EmitError(str(fault), is_transient=True) from fault

    def close(self) -> None:
        """Let go of the file."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
