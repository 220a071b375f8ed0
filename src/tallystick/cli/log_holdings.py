# SPDX-License-Identifier: Apache-2.0
"""What a log holds of some chains: out of a file of receipts, or asked of a collector."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from tallystick.cli.inputs import opened_sources
from tallystick.config import read
from tallystick.errors import RefusedInput
from tallystick.verify.coverage import Holdings
from tallystick.verify.source import Source

_URL: Final = ("http://", "https://")


@contextmanager
def holdings_of(log: str | None) -> Iterator[Holdings | None]:
    """Yield what gives a log's receipts: those of a file, or of a collector's chains."""
    with ExitStack() as stack:
        if log is None:
            yield None
        elif log.startswith(_URL) and "/chains/" not in log:
            base = log.rstrip("/").removesuffix("/log")

            def ask(chains: Sequence[str]) -> list[Source]:
                return [
                    Source(stack.enter_context(HeldChain(base, chain)), name=chain, form="lines")
                    for chain in chains
                ]

            yield ask
        else:
            sources, _ = stack.enter_context(opened_sources([log]))
            yield lambda _chains: sources


class HeldChain(io.RawIOBase):
    """One chain of a collector, asked for when it is read; one that is unknown there is empty."""

    def __init__(self, base: str, chain_id: str) -> None:
        super().__init__()
        self._url = f"{base}/chains/{quote(chain_id, safe='')}"
        self._stream: BinaryIO | None = None
        self._has_ended = False

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what comes next."""
        if self._has_ended:
            return 0
        if self._stream is None:
            self._stream = self._asked()
        data = b"" if self._stream is None else self._stream.read(len(buffer))
        buffer[: len(data)] = data
        if not data:
            self._has_ended = True
            self.close_stream()
        return len(data)

    def close_stream(self) -> None:
        """Let go of the connection: there may be one for each of many chains."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        """Let go of everything."""
        self.close_stream()
        super().close()

    def _asked(self) -> BinaryIO | None:
        from tallystick.store.remote import open_remote

        try:
            stream = open_remote(self._url, read("AGENTRECEIPTS_COLLECTOR_TOKEN") or None)
            if not stream.peek(1):  # type: ignore[attr-defined]  # it is buffered
                stream.close()
                return None
        except FileNotFoundError:
            return None
        except RefusedInput as fault:
            raise OSError(errno.EINVAL, str(fault)) from None
        return stream
